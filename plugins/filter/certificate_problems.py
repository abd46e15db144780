# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter certificate_problems: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_problems
short_description: Say what is wrong with a certificate
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Looks at a certificate and its chain as M(stronghold.registry.certificate_info) does, on the controller, before
    anything is changed.
  - The private key is never in what it says.
requirements:
  - cryptography 38 or newer on the controller
positional: _input, private_key, passphrase, ca, names
options:
  _input:
    description:
      - The certificate in PEM, and its chain below it. Anything is accepted, since it is what is to be checked.
    type: raw
    required: true
  private_key:
    description:
      - The private key in PEM that shall match. Not looked at when empty.
    type: str
    default: ''
  passphrase:
    description:
      - The passphrase of the private key.
    type: str
  ca:
    description:
      - Trust anchors in PEM. The certificate has to lead to one of them. Not looked at when empty.
    type: str
    default: ''
  names:
    description:
      - Names and addresses that the certificate shall cover.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Check the certificate that was brought along
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join(' ') }}"
  vars:
    problems: >-
      {{ certificate | stronghold.registry.certificate_problems(private_key=key, ca=anchor, names=['registry.lab']) }}
"""

RETURN = r"""
_value:
  description: The problems, a sentence each. Empty when all is well.
  type: list
  elements: str
"""

from typing import TYPE_CHECKING

from ansible.errors import AnsibleFilterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def certificate_problems(
    text: object,
    private_key: str | None = None,
    passphrase: str | None = None,
    ca: str | None = None,
    names: Sequence[str] = (),
) -> list[str]:
    from ansible_collections.stronghold.registry.plugins.module_utils._certificate_problems import (
        Expectations,
        text_problems,
    )
    from ansible_collections.stronghold.registry.plugins.module_utils._dependencies import require
    from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

    try:
        require("cryptography.x509")
    except RegistryError as error:
        raise AnsibleFilterError(str(error)) from error
    return text_problems(text, Expectations(private_key or "", passphrase, ca or "", tuple(names)))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"certificate_problems": certificate_problems}
