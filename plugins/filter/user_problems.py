# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter user_problems: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: user_problems
short_description: Say what is wrong with a list of users
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Checks a list of users as the module M(stronghold.registry.htpasswd) would, on the controller, before any change.
  - A password is never in what it says.
positional: _input, cost
options:
  _input:
    description:
      - The users. Anything is accepted, since it is what is to be checked.
    type: raw
    required: true
  cost:
    description:
      - The bcrypt cost of users without one of their own.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Check the users
  ansible.builtin.assert:
    that: registry_auth_users | stronghold.registry.user_problems | length == 0
"""

RETURN = r"""
_value:
  description: The first problem, as a sentence, or nothing.
  type: list
  elements: str
"""

from collections.abc import Callable


def user_problems(users: object, cost: int = 10) -> list[str]:
    from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
    from ansible_collections.stronghold.registry.plugins.module_utils._htpasswd import parse_users

    try:
        parse_users(users, int(cost))
    except RegistryError as error:
        return [str(error)]
    return []


class FilterModule:
    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"user_problems": user_problems}
