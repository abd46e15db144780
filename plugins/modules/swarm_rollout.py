# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module swarm_rollout: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm_rollout
short_description: Wait until a Docker swarm runs a service as it was last asked to
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Follows the change of a service until all of its nodes have it. The host is a manager of the swarm.
  - Fails where the swarm gives up, and tells why its tasks failed, and whether it went back by itself.
extends_documentation_fragment:
  - stronghold.registry.attributes
options:
  service:
    description:
      - The name of the service.
    type: str
    required: true
  nodes:
    description:
      - On how many nodes it has to run.
    type: int
    required: true
  timeout:
    description:
      - How many seconds that may take.
    type: int
    default: 600
  docker_socket:
    description:
      - Where the engine answers.
    type: path
    default: /var/run/docker.sock
attributes:
  check_mode:
    description: Looks once, and waits for nothing.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference.
    support: none
"""

EXAMPLES = r"""
- name: Wait until all nodes run it
  stronghold.registry.swarm_rollout:
    service: registry
    nodes: 3
"""

RETURN = r"""
nodes:
  description: The names of the nodes that run the service as it is now, sorted.
  type: list
  elements: str
  returned: success
  sample: [registry1, registry2, registry3]
gone_back:
  description: Whether the swarm runs again what it ran before.
  type: bool
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _docker_engine, _swarm_rollout
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "service": {"type": "str", "required": True},
    "nodes": {"type": "int", "required": True},
    "timeout": {"type": "int", "default": 600},
    "docker_socket": {"type": "path", "default": _docker_engine.DEFAULT_SOCKET},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _swarm_rollout.run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
