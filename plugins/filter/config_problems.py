# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter config_problems: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: config_problems
short_description: What is wrong with the configuration of a registry
version_added: 1.0.0
author: the stronghold.registry authors (@stronghold)
description:
  - Checks a configuration as M(stronghold.registry.registry_config) does, but on the controller.
positional: major
options:
  _input:
    description: The complete configuration of a registry.
    type: dict
    required: true
  major:
    description: The major version of the registry.
    type: int
    choices: [2, 3]
    default: 3
seealso:
  - plugin: stronghold.registry.registry_config
    plugin_type: module
"""

EXAMPLES = r"""
- name: Check the configuration
  ansible.builtin.assert:
    that: config | stronghold.registry.config_problems(major=3) | length == 0
    fail_msg: "{{ config | stronghold.registry.config_problems(major=3) | join(' ') }}"
"""

RETURN = r"""
_value:
  description: All problems, a sentence each; none when the configuration is right. They quote no text.
  type: list
  elements: str
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError


def config_problems(config: object, major: int = 3) -> list[str]:
    from ansible_collections.stronghold.registry.plugins.module_utils._registry_schema import MAJORS, problems

    if major not in MAJORS:
        raise AnsibleFilterError(f"config_problems: major is {major}, wanted one of {', '.join(map(str, MAJORS))}.")
    return problems(config, major)


class FilterModule:
    """What Ansible loads from this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"config_problems": config_problems}
