# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module htpasswd against what bcrypt alone has to cost."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from passlib.hash import bcrypt

from ._lab import ROOT, command
from ._measure import Scope, alternate, medians, ratio
from ._report import Result, Table, Target

_MODULE = "ansible_collections.stronghold.registry.plugins.modules.htpasswd"
_COST = 10
_SAMPLE = 100
"""Hashes from which the time of one is taken."""

_LIMIT = 1.15
_HOW = """\
The module runs as a process, as a controller has it run, with {users} users of cost {cost}, and is timed from start
to end. At the *first* run there is no file, so every password is hashed; at the *settled* run every password is
verified against the file and nothing changes. The *floor* is the number of users, times the time of one hash, over
the number of cores; that time is taken in the same round from {sample} hashes one after the other, by the same
library in one thread. Start-up and parsing count for the module, not for the floor."""


def measure(scope: Scope) -> Result:
    users = 100 if scope.quick else 1000
    with TemporaryDirectory() as directory:
        path = Path(directory) / "htpasswd"
        values = alternate(_contenders(path, users), scope.rounds)
    seconds = medians(values)
    return Result(
        name="htpasswd",
        title="A user file",
        question="How much slower than bcrypt itself is the module htpasswd?",
        how=_HOW.format(users=users, cost=_COST, sample=_SAMPLE),
        tables=[
            Table(
                f"{users} users",
                ["run", "seconds", "users a second", "floor, s", "ratio"],
                [
                    [run, seconds[run], users / seconds[run], seconds["floor"], ratio(values[run], values["floor"])]
                    for run in ("first", "settled")
                ],
            )
        ],
        targets=[
            Target(f"{users} users, {run} run: module / floor", ratio(values[run], values["floor"]), _LIMIT)
            for run in ("first", "settled")
        ],
        values=values,
    )


def _contenders(path: Path, users: int) -> dict[str, Callable[[], float]]:
    """The settled run reads what the first one wrote, so it comes after it."""
    accounts = [{"name": f"user{number}", "password": f"the secret of {number}"} for number in range(users)]
    parameters = json.dumps({"ANSIBLE_MODULE_ARGS": {"path": str(path), "users": accounts, "cost": _COST}})

    def first() -> float:
        path.unlink(missing_ok=True)
        return _run(parameters, changed=True)

    return {
        "floor": lambda: _seconds_of_a_hash() * users / len(os.sched_getaffinity(0)),
        "first": first,
        "settled": lambda: _run(parameters, changed=False),
    }


def _seconds_of_a_hash() -> float:
    hasher = bcrypt.using(rounds=_COST, ident="2y")
    start = time.perf_counter()
    for number in range(_SAMPLE):
        hasher.hash(f"the secret of {number}")
    return (time.perf_counter() - start) / _SAMPLE


def _run(parameters: str, *, changed: bool) -> float:
    environment = {"PYTHONPATH": str(ROOT / "build" / "collections")}
    start = time.perf_counter()
    output = command(sys.executable, "-m", _MODULE, stdin=parameters, environment=environment)
    seconds = time.perf_counter() - start
    result: dict[str, Any] = json.loads(output)
    if result["changed"] is not changed:
        raise RuntimeError(f"the module should say changed: {changed}, and says why not: {result['reasons'][:3]}")
    return seconds
