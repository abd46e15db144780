# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter registry_report: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: registry_report
short_description: Judge what was seen of registries and their clients
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Holds what the modules returned on all hosts against limits. The playbook C(check) writes the result as JSON and
    shows it as a page.
positional: _input, clients, limits, expected
options:
  _input:
    description:
      - Of each host with a registry its C(host), C(registry) and C(anonymous_expected), and an C(error), or as C(info)
        and C(probe) what M(stronghold.registry.registry_info) and M(stronghold.registry.registry_probe) returned.
    type: list
    elements: dict
    required: true
  clients:
    description:
      - Of each client its C(host) and C(registry), and an C(error) or the C(reasons) why it is not as it should be.
    type: list
    elements: dict
    default: []
  limits:
    description:
      - Below these or above, something is critical, C(certificate_days), C(disk_free_percent), C(cost), C(backup_days)
        and C(collection_days). With V(0) days it is not looked at.
    type: dict
    required: true
  expected:
    description:
      - The names of all hosts. Those of which nothing is in the lists before are told as critical.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Judge what was seen
  ansible.builtin.set_fact:
    report: "{{ servers | stronghold.registry.registry_report(clients, limits) }}"
"""

RETURN = r"""
_value:
  description:
    - The C(time), the worst C(level) of all, the C(limits), the C(registries) with their C(findings) and the C(clients)
      with their C(problems), each with its C(level), V(ok), V(warning) or V(critical).
  type: dict
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def registry_report(
    servers: Sequence[Mapping[str, Any]],
    clients: Sequence[Mapping[str, Any]],
    limits: Mapping[str, Any],
    expected: Sequence[str] = (),
) -> dict[str, Any]:
    from ansible_collections.stronghold.registry.plugins.module_utils._report import report

    return report(servers, clients, limits, time.time(), expected)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"registry_report": registry_report}
