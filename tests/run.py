# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the gates and the tests, all or the named parts, and count what passed.

Usage: run.py [PART ...]
All parts are lint, units, modules, sanity, package and molecule. The part cluster, more than an hour with seven hosts,
runs only where it is named.
Goes on after a failure, prints what the failed checks said, and ends with one line of counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "reports"
FORGES = ((".github/workflows/test.yml", "github-workflows"), (".gitlab-ci.yml", "gitlab-ci"))
"""What tells forges to run the tests, and the schema of each."""

LANES = 4
"""How many checks run side by side. Scenarios often wait for their hosts; four keep two cores busy."""

LONGEST = (
    "molecule lifecycle",
    "molecule operate",
    "tests/modules",
    "molecule clients",
    "molecule faults",
    "molecule firewall",
)
"""What is begun first, the longest one at the head, so that all lanes end at about the same time."""

COLLECTION = "build/collections/ansible_collections/stronghold/registry"


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class Check:
    """One command: a gate that counts as one test, or a pytest run that counts its cases."""

    part: str
    name: str
    command: list[str]
    report: Path | None = field(default=None)

    def run(self) -> Counts:
        if self.report:
            self.report.unlink(missing_ok=True)
        start = time.monotonic()
        done = subprocess.run(
            self.command,
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        seconds = time.monotonic() - start
        counts = self.count(succeeded=done.returncode == 0)
        verdict = "FAILED" if counts.failed else "ok"
        lines = [f"{verdict:<6} {seconds:6.1f} s  {self.name}: {counts}"]
        if counts.failed:
            lines += [done.stdout.decode(errors="replace").rstrip(), *self.complaints()]
        print("\n".join(lines), flush=True)
        return counts

    def complaints(self) -> list[str]:
        """What each failed case said: told last, since records of a long output keep little of its middle."""
        if not self.report or not self.report.exists():
            return []
        return [
            f"{case.get('classname')}::{case.get('name')}: {problem.get('message', '')}"
            for case in ET.parse(self.report).getroot().iter("testcase")
            for problem in (*case.iterfind("failure"), *case.iterfind("error"))
        ]

    def count(self, *, succeeded: bool) -> Counts:
        if not self.report or not self.report.exists():
            return Counts(passed=int(succeeded), failed=int(not succeeded))
        tests = failed = skipped = 0
        for suite in ET.parse(self.report).getroot().iter("testsuite"):
            tests += int(suite.get("tests", 0))
            failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
        if not succeeded and not failed:
            failed = 1
        return Counts(passed=max(tests - failed - skipped, 0), failed=failed, skipped=skipped)


def pytest(part: str, directory: str) -> Check:
    report = REPORTS / f"{part}.xml"
    # The modules under test run as processes of their own, which find the collection by PYTHONPATH.
    paths = f"PYTHONPATH={ROOT / 'build' / 'collections'}"
    command = ["env", paths, "pytest", "--quiet", f"--junit-xml={report}", directory]
    return Check(part, directory, command, report)


def molecule(scenario: str) -> Check:
    # Scenarios with tests of their own write a report (molecule/shared/pytest.yml), others count as one test.
    report = REPORTS / f"molecule-{scenario}.xml"
    part = "cluster" if scenario == "cluster" else "molecule"
    return Check(part, f"molecule {scenario}", ["molecule", "test", "-s", scenario], report)


def checks() -> list[Check]:
    scripts = [str(path) for where in ("tests", "tests/lab", "tools") for path in ROOT.glob(f"{where}/*.sh")]
    sources = [f"{COLLECTION}/{directory}" for directory in ("molecule", "plugins", "tests", "tools")]
    scenarios = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
    return [
        Check("lint", "ruff check", ["ruff", "check"]),
        Check("lint", "ruff format", ["ruff", "format", "--check"]),
        Check("lint", "mypy", ["mypy", *sources]),
        Check("lint", "yamllint", ["yamllint", "--strict", "."]),
        *(
            Check("lint", path, ["check-jsonschema", "--builtin-schema", f"vendor.{kind}", path])
            for path, kind in FORGES
        ),
        Check("lint", "shellcheck", ["shellcheck", ".ci/run", *scripts]),
        Check("lint", "ansible-lint", ["ansible-lint", "--offline", "--strict"]),
        pytest("units", "tests/unit"),
        pytest("modules", "tests/modules"),
        Check("sanity", "ansible-test sanity", ["tests/sanity.sh"]),
        Check("package", "package", ["tests/package.sh"]),
        pytest("package", "tests/site"),
        *(molecule(name) for name in scenarios),
    ]


def main(*parts: str) -> int:
    REPORTS.mkdir(parents=True, exist_ok=True)
    chosen = [check for check in checks() if (check.part in parts if parts else check.part != "cluster")]
    chosen.sort(key=lambda check: LONGEST.index(check.name) if check.name in LONGEST else len(LONGEST))
    with ThreadPoolExecutor(LANES) as pool:
        results = list(pool.map(Check.run, chosen))
    total = Counts(
        sum(counts.passed for counts in results),
        sum(counts.failed for counts in results),
        sum(counts.skipped for counts in results),
    )
    print(total)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
