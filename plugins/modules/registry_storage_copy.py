# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_storage_copy: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_storage_copy
short_description: Copy the images of a registry from its disk into an S3 store
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Copies what the registry's storage driver C(filesystem) wrote into a bucket, where the driver C(s3) finds it, since
    both have the same paths. rclone does the copying, and leaves out what is there already.
  - Then finds each repository, tag, manifest and blob of the directory in the bucket, and reads the blobs back to
    compare their bytes with their digests.
  - The directory is only read. Run this once while the registry serves, and once more while it is read-only, which
    copies what was pushed meanwhile.
extends_documentation_fragment:
  - stronghold.registry.attributes
attributes:
  check_mode:
    description: Tells what the bucket lacks, and copies nothing.
    support: full
requirements:
  - boto3
  - rclone
options:
  data_directory:
    description:
      - The directory on this host which the registry's storage driver C(filesystem) has as its C(rootdirectory).
    type: path
    required: true
  settings:
    description:
      - The settings of the storage driver C(s3), as the registry's configuration will have them.
    type: dict
    required: true
  ca_certificate:
    description:
      - Certificates of CAs that the store is verified with, as PEM text. By default those of the system.
    type: str
    default: ""
  config_path:
    description:
      - The registry's configuration. Where by this it keeps its images in a store already, nothing is copied, since the
        directory has what was there before.
    type: path
  verify:
    description:
      - V(content) reads all blobs that tags need back from the bucket, V(size) compares their sizes.
    type: str
    choices: [content, size]
    default: content
"""

EXAMPLES = r"""
- name: Copy the images
  stronghold.registry.registry_storage_copy:
    data_directory: /srv/registry/data
    settings:
      regionendpoint: https://store.example.org:8333
      region: us-east-1
      bucket: images
      accesskey: registry
      secretkey: "{{ vault_store_key }}"
"""

RETURN = r"""
reasons:
  description: What the bucket lacked, a sentence each. Empty when it had all.
  type: list
  elements: str
  returned: success
  sample: ["team/app: the bucket lacks 3 tags and 3 manifests", "blobs: the bucket lacks 12"]
moved:
  description: Whether the registry of O(config_path) has its images in a store already.
  type: bool
  returned: success
repositories:
  description: How many repositories there are.
  type: int
  returned: success
size:
  description: How many bytes all blobs have.
  type: int
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _object_store, _storage_copy
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "data_directory": {"type": "path", "required": True},
    **_object_store.ARGUMENTS,
    "config_path": {"type": "path"},
    "verify": {"type": "str", "choices": ["content", "size"], "default": "content"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    module.no_log_values = _object_store.secret_values(module.params["settings"])
    conclude(module, lambda: _storage_copy.run(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
