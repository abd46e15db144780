# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every module ends: with what its logic returns, or with what its user can mend."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import exclusively


def conclude(module: AnsibleModule, act: Callable[[], dict[str, Any]], *, exclusive: bool = False) -> None:
    """Act, and end the module. What is *exclusive* waits for other modules that are, on the same host."""
    try:
        with exclusively(check_mode=module.check_mode) if exclusive else nullcontext():
            result = act()
    except RegistryError as error:
        module.fail_json(msg=str(error), **error.facts)
    module.exit_json(**result)
