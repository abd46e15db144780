# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module object_store: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: object_store
short_description: Prove that a registry could keep its images in an S3 store
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Tries a bucket with the settings that a registry (CNCF distribution) will have, from the host that it will run on.
    An object is written, read, compared and deleted.
  - The bucket is made where that is asked for.
  - An error says which setting it is about.
extends_documentation_fragment:
  - stronghold.registry.attributes
requirements:
  - boto3
options:
  settings:
    description:
      - The settings of the registry's storage driver C(s3), as its configuration has them.
      - Without C(accesskey) and C(secretkey), credentials come from the host's role, as the registry's would.
    type: dict
    required: true
  create:
    description:
      - Make the bucket where it is not there.
    type: bool
    default: false
  ca_certificate:
    description:
      - Certificates of CAs that the store's is verified with besides those of the system, as PEM text.
    type: str
    default: ""
  timeout:
    description:
      - How many seconds the store may take to answer each time.
    type: int
    default: 10
attributes:
  check_mode:
    description: Looks at the bucket, and predicts whether it would be made. Nothing is written.
    support: full
"""

EXAMPLES = r"""
- name: Prove the store
  stronghold.registry.object_store:
    settings:
      regionendpoint: https://store.example.org:8333
      region: us-east-1
      bucket: registry
      accesskey: registry
      secretkey: "{{ vault_store_key }}"
    create: true
"""

RETURN = r"""
reasons:
  description: Why the bucket has to be made. Empty when it has not.
  type: list
  elements: str
  returned: always
  sample: ["bucket: 'registry' is not there at https://store.example.org:8333"]
bucket:
  description: The bucket's name.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _object_store
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    **_object_store.ARGUMENTS,
    "create": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 10},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    module.no_log_values = _object_store.secret_values(module.params["settings"])
    conclude(module, lambda: _object_store.run(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
