# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter certificate_parameter_problems: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_parameter_problems
short_description: Say what is wrong with parameters of the module certificate
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Checks the parameters of M(stronghold.registry.certificate) as the module would, on the controller, before anything
    is changed. No file is looked at, and cryptography is not needed.
  - A passphrase is never in what it says.
options:
  _input:
    description:
      - The parameters, as they would stand below the module. Those that are left out have the module's defaults.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Check what certificate is asked for
  ansible.builtin.assert:
    that: "{'names': names, 'days': days} | stronghold.registry.certificate_parameter_problems | length == 0"
"""

RETURN = r"""
_value:
  description: The first problem, as a sentence, or nothing.
  type: list
  elements: str
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def certificate_parameter_problems(params: object) -> list[str]:
    from ansible_collections.stronghold.registry.plugins.module_utils._certificate_request import parse_request
    from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

    if not isinstance(params, dict):
        return ["The parameters of a certificate must be a mapping, such as {names: [registry.lab]}."]
    if params.get("state") == "absent":
        return []
    try:
        parse_request(params)
    except RegistryError as error:
        return [str(error)]
    return []


class FilterModule:
    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"certificate_parameter_problems": certificate_parameter_problems}
