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
from datetime import datetime, timezone
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

_PATIENCE = 6 * 3600.0
"""Seconds that one job waits for another."""

_SECOND = len("2026-11-26T09:30:00")

log = logging.getLogger("stronghold.registry")


def garbage_collect(settings: dict[str, Any]) -> list[str]:
    """Remove what no image needs."""
    given = {**settings["garbage_collect"], "patience": _PATIENCE}
    reasons: list[str] = _garbage_collect.run(given, check_mode=False)["reasons"]
    return reasons


def back_up(settings: dict[str, Any]) -> list[str]:
    """Keep the registry in an archive."""
    given = {**settings["backup"], "patience": _PATIENCE}
    reasons: list[str] = _backup.back_up(given, check_mode=False)["reasons"]
    return reasons


def renew(settings: dict[str, Any]) -> list[str]:
    """Renew the certificates where they are due, and then have the registry serve the new one."""
    with _files.exclusively(check_mode=False):
        result = _x509.run(settings["renew"], check_mode=False)
    reasons: list[str] = result["reasons"]
    container = Container(settings["container"])
    # A restart would end a backup or collection that goes on.
    with alone(settings["directory"], patience=_PATIENCE):
        # By time, so that a renewal that was interrupted before its restart gets one the next day.
        written = datetime.fromtimestamp(os.stat(settings["renew"]["path"]).st_mtime, timezone.utc)
        if container.runs() and written.strftime("%Y-%m-%dT%H:%M:%S") >= container.started()[:_SECOND]:
            container.restart()
            _history.add(
                Registry(settings["container"], settings["directory"]).history_path,
                "renew",
                not_after=result["not_after"],
            )
            reasons = [*reasons, f"{settings['container']}: is restarted, to serve the certificate"]
    return reasons


def recover_writing(settings: dict[str, Any]) -> list[str]:
    """Let the registry be pushed to again, where something was killed that had made it read-only."""
    registry = Registry(settings["container"], settings["directory"])
    if not is_left_over(registry.config_path):
        return []
    with alone(registry.directory):
        recover(registry)
    return ["an earlier garbage collection or backup was interrupted"]


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
