# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done to a registry and when: a file with a JSON object in each line, the oldest first."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import Any

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import Attributes, read_text, write_file

LONGEST = 2000
"""Events that are kept, the newest: five years of one a day."""

_MODE = 0o600


def read(path: str) -> list[dict[str, Any]]:
    """The events of a file, the oldest first; none where there is no file.

    Each has ``event`` and ``time``, in whole seconds since the epoch.

    :raises RegistryError: the file is no history.
    """
    try:
        events = [json.loads(line) for line in (read_text(path) or "").splitlines() if line]
        return sorted(events, key=lambda event: int(event["time"]))
    except (ValueError, LookupError, TypeError) as error:
        raise RegistryError(f"{path} is no history of a registry; look at it and remove it.") from error


def last(events: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The newest event of a kind."""
    return next((event for event in reversed(events) if event["event"] == name), None)


def disk(path: str) -> dict[str, int]:
    """The size of the file system that a path is on, and what is left of it, in bytes."""
    usage = shutil.disk_usage(path)
    return {"total": usage.total, "free": usage.free}


def add(path: str, name: str, **facts: Any) -> None:
    """Add an event that happened now, with what the disk has left.

    :raises RegistryError: the file is no history, or cannot be written.
    """
    event = {"time": int(time.time()), "event": name, **facts, "disk": disk(os.path.dirname(path))}
    events = [*read(path), event][-LONGEST:]
    text = "".join(f"{json.dumps(each)}\n" for each in events)
    write_file(path, text.encode("utf-8"), Attributes(mode=_MODE))
