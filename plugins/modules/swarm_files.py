# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module swarm_files: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm_files
short_description: Keep files of a host as secrets and configs of its Docker swarm
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Gives a swarm the content of files, for a service to use. The host is a manager of the swarm.
  - A secret or config can't be changed, so each content has a name of its own, and what was there stays for a service
    that goes back. It is removed by O(purge).
extends_documentation_fragment:
  - stronghold.registry.attributes
options:
  service:
    description:
      - The name of the service that they are for. Their names begin with it, and a label bears it.
    type: str
    required: true
  files:
    description:
      - All files that the service needs. With none and O(purge), the swarm has nothing left of them.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Where the file is on the host.
        type: path
        required: true
      target:
        description:
          - Where containers of the service see it.
        type: path
        required: true
      secret:
        description:
          - Whether it is a secret, which nobody can read out of the swarm, or a config, which every manager can.
        type: bool
        default: true
  uid:
    description:
      - The number of the user and of the group that own them in containers. Secrets have mode C(0400) there.
    type: int
    default: 0
  purge:
    description:
      - Whether to remove, when something is made, what the service needs no more, neither as it is nor as it was
        before its last change. Without any O(files) all of it is removed.
    type: bool
    default: false
  docker_socket:
    description:
      - Where the engine answers.
    type: path
    default: /var/run/docker.sock
"""

EXAMPLES = r"""
- name: Give the swarm the registry's files
  stronghold.registry.swarm_files:
    service: registry
    uid: 65532
    files:
      - path: /srv/registry/certs/registry.key
        target: /certs/registry.key
      - path: /srv/registry/certs/registry.crt
        target: /certs/registry.crt
        secret: false
  register: files
"""

RETURN = r"""
reasons:
  description: Why something is made or removed. Empty when nothing is.
  type: list
  elements: str
  returned: always
  sample: ["/srv/registry/certs/registry.crt: the swarm has not this content"]
secrets:
  description: The secrets as C(secrets) of C(community.docker.docker_swarm_service) takes them.
  type: list
  elements: dict
  returned: always
configs:
  description: The configs as C(configs) of C(community.docker.docker_swarm_service) takes them.
  type: list
  elements: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _docker_engine, _swarm_files
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "service": {"type": "str", "required": True},
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path", "required": True},
            "target": {"type": "path", "required": True},
            "secret": {"type": "bool", "default": True, "no_log": False},
        },
    },
    "uid": {"type": "int", "default": 0},
    "purge": {"type": "bool", "default": False},
    "docker_socket": {"type": "path", "default": _docker_engine.DEFAULT_SOCKET},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _swarm_files.run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
