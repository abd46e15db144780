# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_config: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_config
short_description: Write the configuration file of a registry, checked
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Writes the whole configuration of a registry (CNCF distribution) as one YAML file, checked key by key.
  - The registry passes over keys that it does not know, and takes a duration without a unit for nanoseconds.
    Here both are errors, and so are wrong types, a second storage driver or kind of authentication, and keys
    of another major version.
  - C(http.secret) is made once, from 32 random bytes, and kept from then on.
requirements:
  - PyYAML
extends_documentation_fragment:
  - stronghold.registry.files
  - stronghold.registry.attributes
options:
  path:
    description:
      - The configuration file.
    type: path
    required: true
  state:
    description:
      - Whether there shall be a file.
    type: str
    choices: [present, absent]
    default: present
  config:
    description:
      - The complete configuration, as the registry documents it.
      - Without C(http.secret) in it, the one in the file is kept, or a new one made.
      - Required with O(state=present).
    type: dict
  major:
    description:
      - The major version of the registry that will read the file.
    type: int
    choices: [2, 3]
    default: 3
  force:
    description:
      - Overwrite a file that cannot be parsed. Its C(http.secret) is lost with it.
    type: bool
    default: false
  backup:
    description:
      - Keep the former file beside the new one, with C(.bak) appended to its name and with its owner and mode.
        Only the last one is kept. With O(state=absent) it is removed too.
    type: bool
    default: true
  data_directory:
    description:
      - The directory on this host that the registry shall keep its data in. It is made where it is not there, and
        has the owner and group of the file and the mode 0700.
      - With O(state=absent) it is left alone.
    type: path
  mode:
    description:
      - Octal permissions of the file, as a string.
    type: raw
    default: '0600'
notes:
  - The registry reads its configuration when it starts, so a change needs a restart of it.
"""

EXAMPLES = r"""
- name: Configure a registry with TLS and users
  stronghold.registry.registry_config:
    path: /srv/registry/config/config.yml
    owner: "65532"
    data_directory: /srv/registry/data
    config:
      version: 0.1
      storage:
        filesystem:
          rootdirectory: /var/lib/registry
        delete:
          enabled: true
      auth:
        htpasswd:
          realm: registry.example.com
          path: /auth/htpasswd
      http:
        addr: :5000
        tls:
          certificate: /certs/registry.crt
          key: /certs/registry.key
  register: configuration
"""

RETURN = r"""
reasons:
  description:
    - Why the file has to change, a sentence each, with the dotted path of the value. Empty when it has not.
    - Passwords, keys, C(http.secret), headers of notifications and options of middleware read V((secret\)).
  type: list
  elements: str
  returned: always
  sample: ["storage.delete.enabled: true, wanted false"]
checksum:
  description:
    - SHA-256 of the file after the run, in hexadecimal digits.
    - A registry that was started with another one has to be restarted.
    - Null when there is no file, and in check mode when the file would change.
  type: str
  returned: always
  sample: 5f2b51ca2fdc5baa31ec02e002f69aec03dbd5e4a4a1a6b37e1e2a4b8f5c2f11
backup_file:
  description: Where the former file is kept, when its content changed. Else null.
  type: str
  returned: always
  sample: /srv/registry/config/config.yml.bak
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _files, _registry_config
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    # Keeps the passwords in it out of the system's log.
    "config": {"type": "dict", "no_log": True},
    "major": {"type": "int", "choices": [2, 3], "default": 3},
    "force": {"type": "bool", "default": False},
    "backup": {"type": "bool", "default": True},
    "data_directory": {"type": "path"},
    **_files.ARGUMENTS,
    "mode": {"type": "raw", "default": "0600"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC, supports_check_mode=True, required_if=[("state", "present", ("config",))]
    )
    # With every value of the configuration masked, no reason could be read: only the secret ones are.
    module.no_log_values = _registry_config.secret_values(module.params["config"])
    conclude(module, lambda: _registry_config.run(module.params, module.check_mode), exclusive=True)


if __name__ == "__main__":
    main()
