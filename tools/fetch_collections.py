# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpack collections from the `ansible` wheel, which needs a Python package index but no Ansible Galaxy.

Usage: fetch_collections.py WHEEL==VERSION DESTINATION NAMESPACE.NAME ...
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def download(requirement: str, directory: str) -> Path:
    # The wheel is unpacked, never imported: its minimum Python does not matter.
    options = ["-qq", "--no-deps", "--only-binary=:all:", "--python-version=3.13"]
    pip = [sys.executable, "-m", "pip", "download"]
    subprocess.run([*pip, *options, "--dest", directory, requirement], check=True)
    return next(Path(directory).glob("*.whl"))


def unpack(wheel: Path, destination: Path, collections: list[str]) -> None:
    prefixes = tuple(f"ansible_collections/{name.replace('.', '/')}/" for name in collections)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(destination, [name for name in archive.namelist() if name.startswith(prefixes)])


def main(requirement: str, destination: str, *collections: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        unpack(download(requirement, directory), Path(destination), list(collections))


if __name__ == "__main__":
    main(*sys.argv[1:])
