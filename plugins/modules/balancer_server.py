# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module balancer_server: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: balancer_server
short_description: Take a replica out of a balancer's rotation, or put it back
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Tells a running HAProxy, as the role registry_balancer makes it, to send no new connections to a replica, and waits
    until that one has none any more. Or tells it to use the replica again, and waits until its checks find it up.
  - Where no balancer runs, or where it does not know the replica, nothing is done.
extends_documentation_fragment:
  - stronghold.registry.attributes
options:
  socket:
    description:
      - The socket of the balancer, at which it takes commands of the level admin.
    type: path
    required: true
  server:
    description:
      - The name of the replica.
    type: str
    required: true
  state:
    description:
      - V(drain) lets connections end and begins none. V(ready) uses the replica as usual.
    type: str
    choices: [ready, drain]
    required: true
  timeout:
    description:
      - How many seconds to wait. Connections that are idle may last longer, so it is no error when some are left.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Send nobody to this replica
  stronghold.registry.balancer_server:
    socket: /run/stronghold-registry-balancer/admin.sock
    server: registry1.example.org
    state: drain
  delegate_to: balancer.example.org
"""

RETURN = r"""
reasons:
  description: Why the balancer has to be told something, a sentence each. Empty when it has not.
  type: list
  elements: str
  returned: always
  sample: ["registry1: is in rotation, wanted drain"]
found:
  description: Whether a balancer runs that knows the replica.
  type: bool
  returned: always
up:
  description:
    - Whether the balancer's checks find the replica up and, with O(state=ready), its port can be reached from there.
  type: bool
  returned: always
sessions:
  description: How many connections the replica has left through this balancer.
  type: int
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _haproxy
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "socket": {"type": "path", "required": True},
    "server": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["ready", "drain"], "required": True},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _haproxy.run(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
