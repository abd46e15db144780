# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of this host."""

from __future__ import annotations

import os

_DIRECTORIES = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin")


def find_program(name: str, root: str = "") -> str | None:
    """The path of a program, or None where there is none. *root* stands before all directories."""
    directories = [*os.environ.get("PATH", "").split(os.pathsep), *_DIRECTORIES]
    paths = (f"{root}{directory}/{name}" for directory in directories if directory.startswith("/"))
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)
