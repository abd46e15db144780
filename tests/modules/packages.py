# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of Debian's packages, which are not installed: their services would start, and listen."""

from __future__ import annotations

import subprocess
from pathlib import Path

_CACHE = Path(__file__).parents[2] / "build"


def binary(package: str) -> Path:
    """The program that a package is named after."""
    directory = _CACHE / package
    program = directory / "usr/bin" / package
    if not program.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _run("apt-get", "--quiet=2", "download", package, cwd=directory)
        (archive,) = directory.glob(f"{package}_*.deb")
        _run("dpkg-deb", "--extract", archive.name, ".", cwd=directory)
    return program


def _run(*command: str, cwd: Path) -> None:
    process = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert process.returncode == 0, f"{command}: {process.stdout}{process.stderr}"
