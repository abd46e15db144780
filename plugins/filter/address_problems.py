# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter address_problems: see DOCUMENTATION."""

from __future__ import annotations

from typing import Callable

DOCUMENTATION = r"""
name: address_problems
short_description: What is wrong with the address of a registry
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Says in sentences what is wrong with a host and a port, so that a play can stop before it changed
    anything.
  - A host is a name in lower case, an IPv4 address, or an IPv6 address without brackets. It has no scheme,
    path or port.
positional: port
options:
  _input:
    description:
      - The host.
    type: str
    required: true
  port:
    description:
      - The port, a whole number from 1 to 65535 or its digits.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Check the registry's address
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join(' ') }}"
  vars:
    problems: "{{ registry_endpoint_host | stronghold.registry.address_problems(registry_endpoint_port) }}"
"""

RETURN = r"""
_value:
  description: What is wrong, a sentence each. Empty when the address is good.
  type: list
  elements: str
"""


# Ansible loads all filters of a collection in every process that uses one, so each imports its part when it is used.
def address_problems(host: object, port: object) -> list[str]:
    from ansible_collections.stronghold.registry.plugins.module_utils._address import address_problems as problems

    return problems(host, port)


class FilterModule:
    def filters(self) -> dict[str, Callable[[object, object], list[str]]]:
        return {"address_problems": address_problems}
