# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module htpasswd: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: htpasswd
short_description: Manage the whole user file of a registry
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Sets any number of users of an C(htpasswd) file in one task, with bcrypt hashes, all that registries accept.
  - A password that is right already is verified, never hashed again, so a second run changes nothing.
  - The registry reads the file again at its next request. It needs no restart.
requirements:
  - passlib 1.7.4 with bcrypt 3.1 to 4, or libpass 1.9.3 or newer with any bcrypt
extends_documentation_fragment:
  - stronghold.registry.files
  - stronghold.registry.attributes
options:
  path:
    description:
      - The user file.
    type: path
    required: true
  state:
    description:
      - Whether there shall be a file. With V(absent) it is removed, with all its users.
    type: str
    choices: [present, absent]
    default: present
  users:
    description:
      - The users.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the user. It has no colon and no control character.
        type: str
        required: true
      password:
        description:
          - Password of the user, of 72 bytes in UTF-8 at most, since bcrypt reads no further.
          - Give this or O(users[].hash).
        type: str
      hash:
        description:
          - A ready bcrypt hash, such as C(htpasswd -nB) prints. It is put in place as it is.
        type: str
      cost:
        description:
          - The cost of the hash of this user, from 4 to 31. Default is O(cost).
          - The registry computes bcrypt at every request. For a robot with a long random password V(5) is
            enough and costs a thirtieth of V(10).
        type: int
      state:
        description:
          - Whether the user shall be in the file.
        type: str
        choices: [present, absent]
        default: present
  cost:
    description:
      - The bcrypt cost of users without one of their own, from 4 to 31. Each step up doubles the time of every request.
      - A user with another cost is hashed anew.
    type: int
    default: 10
  purge:
    description:
      - Remove the users that are not listed.
    type: bool
    default: false
  mode:
    description:
      - Octal permissions of the file, as a string.
    type: raw
    default: '0600'
"""

EXAMPLES = r"""
- name: Let exactly these users in
  stronghold.registry.htpasswd:
    path: /srv/registry/auth/htpasswd
    owner: "65532"
    purge: true
    users:
      - name: moby
        password: "{{ vault_moby_password }}"
      - name: robot
        password: "{{ vault_robot_password }}"
        cost: 5

- name: Remove one user and leave the others
  stronghold.registry.htpasswd:
    path: /srv/registry/auth/htpasswd
    users:
      - name: mallory
        state: absent
"""

RETURN = r"""
reasons:
  description: Why the file has to change, a sentence each. Empty when it has not.
  type: list
  elements: str
  returned: always
  sample: ["user moby: cost 5, wanted 10"]
users:
  description: The users in the file after the run, sorted by name.
  type: list
  elements: str
  returned: always
  sample: [moby, robot]
foreign:
  description: Lines that the file holds besides bcrypt entries.
  type: list
  elements: str
  returned: always
  sample: ["line 3: comment"]
"""


from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _files, _htpasswd
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

USER_SPEC = {
    "name": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True},
    "hash": {"type": "str", "no_log": True},
    "cost": {"type": "int"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
ARGUMENT_SPEC = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "users": {"type": "list", "elements": "dict", "default": [], "options": USER_SPEC},
    "cost": {"type": "int", "default": 10},
    "purge": {"type": "bool", "default": False},
    **_files.ARGUMENTS,
    "mode": {"type": "raw", "default": "0600"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _htpasswd.run(module.params, module.check_mode), exclusive=True)


if __name__ == "__main__":
    main()
