# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the collection with other versions of what it runs on: make matrix.

Every version of ansible-core on a Python that it takes, every Python that a managed host may have with old, middle and
new libraries: the unit tests, and the judges of the modules that make certificates and user files. The scenario
``default`` runs with the oldest and the newest ansible-core. What this machine has no Python for is skipped, and said
so.
Writes the table in docs/support.md.

Usage: matrix.py [--units] [TITLE ...]
With titles, or what they begin with, only those are tested, and the table keeps what it says of the others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "matrix"
PAGE = ROOT / "docs" / "support.md"
BEGIN, END = "<!-- by make matrix -->", "<!-- to here -->"

CORES = {
    "2.17": ("3.11", "3.12", "3.10"),
    "2.18": ("3.12", "3.13", "3.11"),
    "2.19": ("3.13", "3.12", "3.11"),
    "2.20": ("3.13", "3.14", "3.12"),
    "2.21": ("3.14", "3.13", "3.12"),
}
"""The Pythons that each takes on a controller, the one to be tested with first."""

HOST_CORE = "2.19"
"""Whose module_utils the tests for managed hosts have: it still runs on all of their Pythons."""

HOST_PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
LIBRARIES = {
    "old": ("cryptography==38.0.4", "passlib==1.7.4", "bcrypt==3.2.2"),
    "middle": ("cryptography==43.0.3", "passlib==1.7.4", "bcrypt==4.2.0"),
    "new": ("cryptography", "libpass", "bcrypt>=5"),
}
TOOLS = ("pytest", "hypothesis", "PyYAML", "requests", "boto3", "tomli")
JUDGES = ("test_certificate.py", "test_certificate_info.py", "test_htpasswd.py")
CONTROLLER_ONLY = (
    *("test_docs.py", "test_roles.py", "test_kubernetes_pull_secret.py", "test_certificate_problems.py"),
    *("test_report.py", "test_address.py", "test_image_archive.py", "test_registry_config.py"),
)
"""Unit tests of what runs on controllers alone."""

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
"""Where pyenv keeps Pythons, which it does not put on the path."""

PATH = os.pathsep.join([os.environ["PATH"], *(str(path) for path in sorted(PYENV.glob("versions/*/bin")))])

PASSED, FAILED, SKIPPED = "passed", "FAILED", "skipped: not on this machine"


@dataclass(frozen=True)
class Cell:
    """One environment: a Python, an ansible-core and libraries."""

    title: str
    core: str
    pythons: tuple[str, ...]
    libraries: str = "new"
    on_host: bool = False

    @property
    def directory(self) -> Path:
        return WORK / self.title.replace(" ", "-")


def cells() -> Iterator[Cell]:
    for core, pythons in CORES.items():
        yield Cell(f"ansible-core {core}", core, pythons)
    for python in HOST_PYTHONS:
        for name in LIBRARIES:
            yield Cell(f"host Python {python} {name}", HOST_CORE, (python,), name, on_host=True)


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never", "PATH": PATH, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def make(cell: Cell) -> str | None:
    """Make a cell's environment with the first of its Pythons that is there; returns that one."""
    for python in cell.pythons:
        if cell.directory.exists():
            shutil.rmtree(cell.directory)
        if run("uv", "venv", "--quiet", f"--python={python}", cell.directory).returncode == 0:
            core = [] if cell.on_host else [f"ansible-core=={cell.core}.*"]
            install(cell, *TOOLS, *LIBRARIES[cell.libraries], *core)
            if cell.on_host:
                unpack_core(cell)
            return python
    return None


def install(cell: Cell, *packages: str) -> None:
    done = run("uv", "pip", "install", "--quiet", f"--python={cell.directory}", *packages)
    if done.returncode:
        raise SystemExit(f"{cell.title}: {done.stdout}")


def unpack_core(cell: Cell) -> None:
    """Put ansible-core beside the tests as a host gets it, module_utils alone, whatever Python its controller needs."""
    wheels = WORK / "wheels"
    if not list(wheels.glob(f"ansible_core-{cell.core}.*.whl")):
        options = ("--no-deps", "--ignore-requires-python", f"--dest={wheels}", f"ansible-core=={cell.core}.*")
        done = run(sys.executable, "-m", "pip", "download", "--quiet", *options)
        if done.returncode:
            raise SystemExit(done.stdout)
    (wheel,) = wheels.glob(f"ansible_core-{cell.core}.*.whl")
    shutil.unpack_archive(wheel, cell.directory / "core", "zip")


def test(cell: Cell) -> str:
    """Run what a cell is tested with. Returns PASSED or FAILED."""
    paths = [str(ROOT / "build" / "collections"), *([str(cell.directory / "core")] if cell.on_host else [])]
    ignored = [f"--ignore=tests/unit/{name}" for name in CONTROLLER_ONLY if cell.on_host]
    judges = [f"tests/modules/{name}" for name in JUDGES]
    pytest: list[str | Path] = [cell.directory / "bin" / "python", "-m", "pytest", "--quiet", "-p", "no:cacheprovider"]
    done = run(*pytest, *ignored, "tests/unit", *judges, PYTHONPATH=os.pathsep.join(paths))
    if done.returncode:
        print(done.stdout[-6000:])
    return PASSED if done.returncode == 0 else FAILED


def scenario(cell: Cell) -> str:
    """Run the scenario ``default`` with a cell's ansible-playbook. Returns PASSED or FAILED."""
    done = run("molecule", "test", "--scenario-name=default", PATH=f"{cell.directory / 'bin'}:{PATH}")
    if done.returncode:
        print(done.stdout[-6000:])
    return PASSED if done.returncode == 0 else FAILED


def main(*arguments: str) -> int:
    titles = tuple(argument for argument in arguments if not argument.startswith("-"))
    chosen = [cell for cell in cells() if not titles or cell.title.startswith(titles)]
    if not chosen:
        raise SystemExit(f"No title begins with {' or '.join(titles)}.")
    ends = (min(CORES), max(CORES, key=lambda core: int(core.partition(".")[2])))
    results: dict[str, tuple[str, str]] = {}
    for cell in chosen:
        python = make(cell)
        results[cell.title] = (python or ", ".join(cell.pythons), SKIPPED if python is None else test(cell))
        if python and not cell.on_host and cell.core in ends and "--units" not in arguments:
            results[f"{cell.title}, scenario default"] = (python, scenario(cell))
        print(*results.items(), sep="\n", flush=True)
        write({**read(), **results})
    return int(any(verdict == FAILED for _python, verdict in results.values()))


def read() -> dict[str, tuple[str, str]]:
    """The results in the page, by title: the Python, and how it went."""
    table = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    return {title: (python, verdict) for title, python, verdict in rows}


def write(results: Mapping[str, tuple[str, str]]) -> None:
    titles = [title for cell in cells() for title in (cell.title, f"{cell.title}, scenario default")]
    rows = [f"| {title} | {' | '.join(results[title])} |" for title in titles if title in results]
    table = "\n".join(["| what | Python | result |", "| --- | --- | --- |", *rows])
    before, _begin, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
