# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module firewall_port: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_port
short_description: Say in a host's own firewall who may come to a TCP port
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Opens a port in the firewall that a host has already, for all or for some networks, now and after the next boot. It
    installs none, and turns none on.
  - With ufw and firewalld, what lets anybody come to exactly this port is taken to be the module's. With nftables, its
    rules are marked by a comment.
  - Ports that Docker publishes are open past ufw and firewalld. Only nftables can close and open them, in the chain
    C(forward).
extends_documentation_fragment:
  - stronghold.registry.attributes
options:
  firewall:
    description:
      - The firewall of the host.
    type: str
    choices: [ufw, firewalld, nftables]
    required: true
  port:
    description:
      - The TCP port.
    type: int
    required: true
  name:
    description:
      - What the port is for. It is in comments and in a file's name.
    type: str
    required: true
  sources:
    description:
      - The networks or addresses that may come. Empty for everybody.
    type: list
    elements: str
    default: []
  forwarded:
    description:
      - With O(firewall=nftables), whether the port is published by a container, so that the rules belong into the chain
        C(forward) instead of C(input).
    type: bool
    default: false
  table:
    description:
      - With O(firewall=nftables), the family and name of the table that has these chains, such as V(inet filter).
    type: str
    default: inet filter
  state:
    description:
      - V(absent) removes what opens the port.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Let the build hosts come to the registry
  stronghold.registry.firewall_port:
    firewall: ufw
    port: 5000
    name: registry
    sources: [192.0.2.0/24]
"""

RETURN = r"""
reasons:
  description: Why the firewall is changed. Empty when it is not.
  type: list
  elements: str
  returned: always
  sample: ["port 5000: is not open for 192.0.2.0/24"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils import _firewall
from ansible_collections.stronghold.registry.plugins.module_utils._module import conclude

ARGUMENT_SPEC = {
    "firewall": {"type": "str", "choices": ["ufw", "firewalld", "nftables"], "required": True},
    "port": {"type": "int", "required": True},
    "name": {"type": "str", "required": True},
    "sources": {"type": "list", "elements": "str", "default": []},
    "forwarded": {"type": "bool", "default": False},
    "table": {"type": "str", "default": "inet filter"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    conclude(module, lambda: _firewall.run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
