# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does for its registry by itself: the program that systemd's timers start, where no Ansible is.

Usage: registry.pyz garbage_collect|backup|renew|recover SETTINGS
SETTINGS is a file in JSON with the parameters of each as the modules take them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from ansible_collections.stronghold.registry.plugins.module_utils import (
    _backup,
    _files,
    _garbage_collect,
    _history,
    _x509,
)
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._read_only import (
    Container,
    Registry,
    recover,
)
from ansible_collections.stronghold.registry.plugins.module_utils._registry_lock import alone, is_left_over

log = logging.getLogger("stronghold.registry")


def garbage_collect(settings: dict[str, Any]) -> list[str]:
    """Remove what no image needs."""
    reasons: list[str] = _garbage_collect.run(settings["garbage_collect"], check_mode=False)["reasons"]
    return reasons


def back_up(settings: dict[str, Any]) -> list[str]:
    """Keep the registry in an archive."""
    reasons: list[str] = _backup.back_up(settings["backup"], check_mode=False)["reasons"]
    return reasons


def renew(settings: dict[str, Any]) -> list[str]:
    """Renew the certificates where they are due, and then have the registry serve the new one."""
    with _files.exclusively(check_mode=False):
        result = _x509.run(settings["renew"], check_mode=False)
    # A CA that is renewed keeps its key, and is not what the registry serves.
    if any(not reason.startswith("CA: ") for reason in result["reasons"]):
        Container(settings["container"]).restart()
        _history.add(settings["history_path"], "renew", not_after=result["not_after"])
    reasons: list[str] = result["reasons"]
    return reasons


def recover_writing(settings: dict[str, Any]) -> list[str]:
    """Let the registry be pushed to again, where something was killed that had made it read-only."""
    registry = Registry(settings["container"], settings["config_path"], settings["data_directory"])
    if not is_left_over(registry.config_path):
        return []
    with alone(registry.config_path):
        recover(registry)
    return ["an earlier collection or backup was interrupted"]


COMMANDS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "garbage_collect": garbage_collect,
    "backup": back_up,
    "renew": renew,
    "recover": recover_writing,
}


def main() -> int:
    """Run the command of the first argument with the settings of the second. Returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    command, path = sys.argv[1:]
    try:
        with open(path, encoding="utf-8") as file:
            settings = json.load(file)
        reasons = COMMANDS[command](settings)
    except RegistryError as error:
        log.error("%s", error)
        return os.EX_SOFTWARE
    for reason in reasons or ["nothing to do"]:
        log.info("%s: %s", command, reason)
    return os.EX_OK
