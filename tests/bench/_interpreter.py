# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the Python of a host: runs the module that Ansible sends, and notes the peak of its memory."""

from __future__ import annotations

import atexit
import resource
import sys
from pathlib import Path


def note() -> None:
    # Of this process alone, not of the programs that a module runs. In KiB, see getrusage(2).
    Path("/root/peak").write_text(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n")


atexit.register(note)
exec(compile(sys.stdin.read(), "<stdin>", "exec"))
