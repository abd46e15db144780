# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the real modules as processes, the way an Ansible controller has them run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest


class RunModule(Protocol):
    """Run a module by its short name with the given parameters.

    Returns its result. Fails the test when the module fails, unless *fails* is set, and then when it does not.
    """

    def __call__(self, name: str, /, *, check: bool = ..., fails: bool = ..., **params: Any) -> dict[str, Any]: ...


@pytest.fixture
def run_module() -> RunModule:
    return _run_module


def _run_module(name: str, /, *, check: bool = False, fails: bool = False, **params: Any) -> dict[str, Any]:
    arguments = {**params, "_ansible_check_mode": check, "_ansible_diff": True}
    process = subprocess.run(
        [sys.executable, "-m", f"ansible_collections.stronghold.registry.plugins.modules.{name}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert process.stderr == "", process.stderr
    result: dict[str, Any] = json.loads(process.stdout)
    assert result.get("failed", False) is fails, result
    # What the module was called with is echoed for the controller's benefit; secrets must be masked in it as anywhere.
    return result


@pytest.fixture
def command() -> Any:
    """Run a judge (openssl, htpasswd, docker) and return what it printed; a failure of it fails the test."""
    return _command


def _command(*arguments: str | Path, stdin: str | None = None) -> str:
    process = subprocess.run(
        [str(argument) for argument in arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert process.returncode == 0, f"{arguments}: {process.stdout}{process.stderr}"
    return process.stdout + process.stderr
