# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios' own tests act with: playbooks as users run them, and commands on the scenario's hosts."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

INVENTORY = Path(__file__).parent / "inventory"

_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?:[a-z_.]+ : )?(?P<task>.*)\] \*+$")
_CHANGED = re.compile(r"^changed: \[(?P<host>[a-z0-9-]+)")


@dataclass(frozen=True)
class Run:
    """A run of a playbook: what it printed, and each change as ``host: task``, in order."""

    output: str
    changes: tuple[str, ...]


class Lab:
    def __init__(self, scenario: str) -> None:
        self.scenario = scenario

    def play(self, *options: str, playbook: str = "site", fails: bool = False, **variables: Any) -> Run:
        """Run a playbook of the collection on all hosts; it has to end well, or with *fails* to fail."""
        given = ["--extra-vars", json.dumps(variables)] if variables else []
        command = ["ansible-playbook", "--inventory", str(INVENTORY), "--limit", self.scenario, "--diff", "-v"]
        process = subprocess.run(
            [*command, *options, *given, f"stronghold.registry.{playbook}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        output = process.stdout + process.stderr
        assert process.returncode == (2 if fails else 0), output[-4000:]
        return Run(output, tuple(_changes(output)))

    def change(self, *options: str, unforeseen: tuple[str, ...] = (), **variables: Any) -> Run:
        """Change a registry by variables: check mode announces what the run does, and the next run does nothing.

        What hangs on a certificate that the run first has to make is *unforeseen*.
        """
        announced = self.play("--check", *options, **variables)
        done = self.play(*options, **variables)
        assert announced.changes == tuple(change for change in done.changes if change not in unforeseen)
        settled = self.play(*options, **variables)
        assert settled.changes == ()
        return done

    def on(self, host: str, script: str, *, fails: bool = False) -> str:
        """Run a script on a host and return what it printed; it has to end well, or with *fails* to fail."""
        process = subprocess.run(
            ["docker", "exec", "--interactive", host, "bash", "-euo", "pipefail"],
            input=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert (process.returncode != 0) is fails, f"{host}: {script}\n{process.stdout}"
        return process.stdout.strip()

    def read(self, host: str, path: str) -> bytes:
        """A file of a host."""
        return subprocess.run(["docker", "exec", host, "cat", path], capture_output=True, check=True).stdout

    def reboot(self, host: str) -> None:
        """Boot a host's system anew, and wait until it is up. Its processes end; /run and /tmp are emptied."""
        subprocess.run(["docker", "restart", host], capture_output=True, check=True)
        # The same as molecule/shared/create.yml prepares.
        self.on(host, "mount -o remount,rw /proc/sys")
        up = "[[ $(systemctl is-system-running --wait 2>/dev/null) =~ running|degraded ]]"
        self.on(host, f"until {up}; do sleep 1; done")


def _changes(output: str) -> list[str]:
    changes, task = [], ""
    for line in output.splitlines():
        if match := _TASK.match(line):
            task = match["task"]
        elif match := _CHANGED.match(line):
            changes.append(f"{match['host']}: {task}")
    return changes


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab(os.environ["MOLECULE_SCENARIO_NAME"])
