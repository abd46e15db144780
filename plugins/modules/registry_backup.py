# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_backup: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_backup
short_description: Keep a whole registry in one archive
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Writes a registry's directory, with images, certificates and their keys, users and configuration, to one tar file.
    The last member of it lists the SHA-256 of all others.
  - For that time the registry can only be pulled from, so that all fits together. It is restarted before and after,
    which takes about a second each. Pushes fail meanwhile, those that have begun as well.
  - What is not whole never bears an archive's name. Whatever goes wrong, the registry ends as it was.
extends_documentation_fragment:
  - stronghold.registry.attributes
attributes:
  check_mode:
    description: Tells what would be written, and writes nothing.
    support: full
requirements:
  - the docker client
  - PyYAML
  - GnuPG, for O(passphrase)
options:
  container:
    description:
      - The name of the registry's container. It need not run.
    type: str
    required: true
  directory:
    description:
      - The registry's directory on this host, with C(ca), C(certs), C(auth), C(config) and C(data) in it.
    type: path
    required: true
  backup_directory:
    description:
      - Where the archive goes. It is not made, since it may be a file system that just is not mounted.
    type: path
    required: true
  passphrase:
    description:
      - Encrypt the archive with this, by GnuPG with AES-256. Without it the keys in the archive lie there in the clear,
        readable for root only.
    type: str
    default: ""
  keep:
    description:
      - How many archives of this registry to keep in O(backup_directory), the newest. V(0) keeps all.
    type: int
    default: 0
notes:
  - The archive is not compressed, since layers of images are.
  - Each backup is a change, since it makes a new archive.
"""

EXAMPLES = r"""
- name: Keep the registry in an archive
  stronghold.registry.registry_backup:
    container: registry
    directory: /srv/registry
    backup_directory: /mnt/backups
    passphrase: "{{ vault_backup_passphrase }}"
    keep: 7
  register: backup
"""

RETURN = r"""
reasons:
  description: What is made and what is removed, a sentence each.
  type: list
  elements: str
  returned: success
  sample: ["/mnt/backups/registry-20261126T093000Z.tar.gpg: is made anew"]
path:
  description: The archive.
  type: str
  returned: success
  sample: /mnt/backups/registry-20261126T093000Z.tar.gpg
size:
  description: Its size in bytes; in check mode, that of what would be in it.
  type: int
  returned: success
  sample: 73400320
damaged:
  description: The tags that can't be pulled, a sentence each. They are in the archive as they are.
  type: list
  elements: str
  returned: success
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _backup
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "container": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "backup_directory": {"type": "path", "required": True},
    "passphrase": {"type": "str", "default": "", "no_log": True},
    "keep": {"type": "int", "default": 0},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _backup.back_up(module.params, module.check_mode))


if __name__ == "__main__":
    main()
