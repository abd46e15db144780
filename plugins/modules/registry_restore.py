# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_restore: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_restore
short_description: Bring a registry back from an archive
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Writes what M(stronghold.registry.registry_backup) has kept to a directory of its own within the registry's, checks
    each file against the list in the archive. Only then it takes its place. Tags that can't be pulled are told.
  - An archive that is damaged, cut off or encrypted with another passphrase changes nothing.
  - What was there is kept in the directory C(.before-restore).
extends_documentation_fragment:
  - stronghold.registry.attributes
attributes:
  check_mode:
    description: Tells what would be restored, without reading the archive, and changes nothing.
    support: full
requirements:
  - the docker client, where a container is to be stopped
  - GnuPG, for O(passphrase)
options:
  archive:
    description:
      - The archive on this host.
    type: path
    required: true
  directory:
    description:
      - The registry's directory on this host. It is made where it is not there.
    type: path
    required: true
  container:
    description:
      - The name of the registry's container. With O(force) it is stopped where it runs; it is not started.
    type: str
    required: true
  passphrase:
    description:
      - What the archive was encrypted with.
    type: str
    default: ""
  force:
    description:
      - Restore over a registry that runs, or whose directory is not empty.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Bring the registry back
  stronghold.registry.registry_restore:
    archive: /mnt/backups/registry-20261126T093000Z.tar.gpg
    directory: /srv/registry
    container: registry
    passphrase: "{{ vault_backup_passphrase }}"
"""

RETURN = r"""
reasons:
  description: What is done, a sentence each.
  type: list
  elements: str
  returned: success
  sample: ["/srv/registry: is restored from /mnt/backups/registry-20261126T093000Z.tar.gpg"]
created:
  description: When the archive was made, in seconds since the epoch. Null in check mode.
  type: int
  returned: success
  sample: 1795685400
former:
  description: Where what was there before is kept. Null where nothing was.
  type: str
  returned: success
  sample: /srv/registry/.before-restore
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
    "archive": {"type": "path", "required": True},
    "directory": {"type": "path", "required": True},
    "container": {"type": "str", "required": True},
    "passphrase": {"type": "str", "default": "", "no_log": True},
    "force": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _backup.restore(module.params, module.check_mode))


if __name__ == "__main__":
    main()
