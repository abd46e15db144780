# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that a host's timers start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._timers import imported, program

UTILS = "ansible_collections.stronghold.registry.plugins.module_utils"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "registry.pyz"
    path.write_bytes(program())
    return path


def run(packed: Path, command: str, settings: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run it as a host without the collection does."""
    path = packed.with_name("settings.json")
    path.write_text(json.dumps(settings))
    return subprocess.run(
        [sys.executable, packed, command, path], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin"}
    )


def test_it_is_always_the_same() -> None:
    assert program() == program()


def test_it_needs_nothing_of_the_collection(packed: Path, tmp_path: Path) -> None:
    done = run(packed, "recover", {"container": "registry", "directory": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "recover: nothing to do\n", "")


def test_it_says_what_is_wrong(packed: Path, tmp_path: Path) -> None:
    settings = {"backup": {"container": "registry", "directory": str(tmp_path), "backup_directory": "/", "keep": 0}}
    done = run(packed, "backup", settings)
    assert done.returncode == 70
    assert done.stdout == f"directory: there is no registry in {tmp_path}.\n"


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import os\n", []),
        (f"from {UTILS}._files import read_file\n", ["_files"]),
        (f"from {UTILS}._files import (\n    a,\n    b,\n)\n", ["_files"]),
        (f"from {UTILS} import _files, _x509\n", ["_files", "_x509"]),
        (f"from {UTILS} import (\n    _files,\n    _x509,\n)\n", ["_files", "_x509"]),
        (f"def f():\n    from {UTILS}._files import x\n", ["_files"]),
    ],
)
def test_imports_are_found(source: str, modules: list[str]) -> None:
    assert imported(source) == modules
