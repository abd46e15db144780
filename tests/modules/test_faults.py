# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong while a module writes: it is killed, the disk is full, another run writes the same file."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunModule

NOBODY = "65534"


@dataclass(frozen=True)
class Case:
    """A module, what it first made in a directory, what it shall make of it, and the files that it then has there."""

    module: str
    first: dict[str, Any]
    then: dict[str, Any]
    files: tuple[str, ...]

    def at(self, directory: Path, params: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value.replace("DIRECTORY", str(directory)) if isinstance(value, str) else value
            for name, value in params.items()
        }


def moby(password: str) -> list[dict[str, Any]]:
    return [{"name": "moby", "password": password, "cost": 4}]


def self_signed(name: str) -> str:
    """A certificate in PEM."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", os.devnull]
    made = subprocess.run(["openssl", "req", "-x509", *curve, "-subj", f"/CN={name}"], capture_output=True, check=True)
    return made.stdout.decode()


PAIR = {"path": "DIRECTORY/made/a.crt", "privatekey_path": "DIRECTORY/made/a.key", "names": ["a.lab"], "owner": NOBODY}
CONFIG = {"version": "0.1", "storage": {"filesystem": {"rootdirectory": "/data"}}, "http": {"addr": ":5000"}}
WARNING = {**CONFIG, "log": {"level": "warn"}}
TRUST = {
    "registry": "registry.lab:5000",
    "engines": ["docker"],
    "docker_directory": "DIRECTORY/made",
    "docker_socket": "DIRECTORY/no.sock",
}
CONTAINERD = {
    "registry": "registry.lab:5000",
    "engines": ["containerd"],
    "containerd_directory": "DIRECTORY/made",
}
CASES = [
    Case("certificate", PAIR, {**PAIR, "key_type": "rsa", "key_size": 2048}, ("a.crt", "a.key")),
    Case(
        "htpasswd",
        {"path": "DIRECTORY/made/htpasswd", "users": moby("gordon"), "owner": NOBODY},
        {"path": "DIRECTORY/made/htpasswd", "users": moby("flash"), "owner": NOBODY},
        ("htpasswd",),
    ),
    Case(
        "daemon_config",
        {"path": "DIRECTORY/made/daemon.json", "config": {"debug": True}},
        {"path": "DIRECTORY/made/daemon.json", "config": {"debug": False, "live-restore": True}},
        ("daemon.json", "daemon.json.bak"),
    ),
    Case(
        "registry_config",
        {"path": "DIRECTORY/made/config.yml", "config": CONFIG, "major": 2, "owner": NOBODY},
        {"path": "DIRECTORY/made/config.yml", "config": WARNING, "major": 2, "owner": NOBODY},
        ("config.yml", "config.yml.bak"),
    ),
    Case(
        "client_trust",
        {**TRUST, "ca_certificate": self_signed("first")},
        {**TRUST, "ca_certificate": self_signed("then")},
        ("certs.d/registry.lab:5000/ca.crt",),
    ),
    Case(
        "client_trust",
        {**CONTAINERD, "ca_certificate": self_signed("first")},
        {**CONTAINERD, "ca_certificate": self_signed("then"), "username": "moby", "password": "gordon"},
        ("certs.d/registry.lab:5000/ca.crt", "certs.d/registry.lab:5000/hosts.toml"),
    ),
]
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.module)

KILLER = """
    import os, signal, sys

    events = {"open", "os.rename", "os.chown", "os.chmod", "os.mkdir", "os.remove", "os.rmdir", "os.utime"}
    left = int(os.environ["KILL_AT"])

    def hook(event, arguments):
        global left
        if event in events and (isinstance(arguments[0], int) or str(arguments[0]).startswith(os.environ["KILL_IN"])):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
"""
"""Kills the process that imports it before the n-th time that it touches the directory (PEP 578)."""


@pytest.fixture
def run_killed(tmp_path: Path) -> Callable[..., int]:
    """Run a module that is killed in the middle of its work; returns how it ended."""
    killer = tmp_path / "killer"
    killer.mkdir()
    (killer / "sitecustomize.py").write_text(textwrap.dedent(KILLER))

    def run(moment: int, directory: Path, module: str, **params: Any) -> int:
        environment = {
            **os.environ,
            "KILL_AT": str(moment),
            "KILL_IN": str(directory),
            "PYTHONPATH": f"{killer}:{os.environ['PYTHONPATH']}",
        }
        return subprocess.run(
            [sys.executable, "-m", f"ansible_collections.stronghold.registry.plugins.modules.{module}"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": params}).encode(),
            env=environment,
            capture_output=True,
            check=False,
        ).returncode

    return run


@cases
@pytest.mark.parametrize("new", [True, False], ids=["new", "changed"])
def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new(
    run_module: RunModule, run_killed: Callable[..., int], tmp_path: Path, case: Case, *, new: bool
) -> None:
    moment = 0
    while True:
        moment += 1
        directory = tmp_path / str(moment)
        directory.mkdir()
        wanted = case.at(directory, case.then)
        if not new:
            run_module(case.module, **case.at(directory, case.first))
        ended = run_killed(moment, directory, case.module, **wanted)
        # Another run does not stumble over what it finds, and settles.
        run_module(case.module, **wanted)
        assert run_module(case.module, **wanted)["changed"] is False
        made = directory / "made"
        assert {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()} <= set(case.files)
        assert os.listdir(directory) == ["made"]
        if "owner" in wanted:
            assert (made.stat().st_uid, (made / case.files[0]).stat().st_uid) == (int(NOBODY), int(NOBODY))
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert moment > 5


@cases
def test_a_killed_run_never_leaves_half_a_file(
    run_module: RunModule, run_killed: Callable[..., int], tmp_path: Path, case: Case
) -> None:
    directory = tmp_path / "one"
    directory.mkdir()
    run_module(case.module, **case.at(directory, case.first))
    seen = {name: {(directory / "made" / name).read_bytes()} for name in case.files if not name.endswith(".bak")}
    moment, ended = 0, -signal.SIGKILL
    while ended != 0:
        moment += 1
        ended = run_killed(moment, directory, case.module, **case.at(directory, case.then))
        for name, contents in seen.items():
            contents.add((directory / "made" / name).read_bytes())
    # Before the rename the old file, after it the new one; a key that was made alone is completed by a later run.
    assert {name: len(contents) for name, contents in seen.items()} == dict.fromkeys(seen, 2)


def test_a_kill_leaves_no_certificate_that_its_ca_has_not_signed(
    run_module: RunModule, run_killed: Callable[..., int], command: Any, tmp_path: Path
) -> None:
    wanted: dict[str, Any] = {
        "path": str(tmp_path / "made/certs/a.crt"),
        "privatekey_path": str(tmp_path / "made/certs/a.key"),
        "ca_path": str(tmp_path / "made/ca/ca.crt"),
        "ca_privatekey_path": str(tmp_path / "made/ca/ca.key"),
        "ca": {"subject": {"CN": "One CA"}},
        "names": ["a.lab"],
        "owner": NOBODY,
    }
    moment, ended = 0, -signal.SIGKILL
    while ended != 0:
        moment += 1
        assert ended == -signal.SIGKILL
        # Alternately the first of both, and a new key of a CA that is there.
        if moment % 2 and (tmp_path / "made").exists():
            shutil.rmtree(tmp_path / "made")
        wanted["ca"] = {"subject": {"CN": "One CA"}, "key_size": (256, 384)[moment % 2]}
        ended = run_killed(moment, tmp_path / "made", "certificate", **wanted)
        run_module("certificate", **wanted)
        assert run_module("certificate", **wanted)["changed"] is False
        command("openssl", "verify", "-x509_strict", "-CAfile", wanted["ca_path"], wanted["path"])
    assert moment > 10


@pytest.fixture
def small(tmp_path: Path, command: Any) -> Iterator[Path]:
    """A file system of 64 KiB."""
    directory = tmp_path / "small"
    directory.mkdir()
    command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory)
    yield directory
    command("umount", directory)


def files_in(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@cases
def test_a_full_disk_leaves_the_old_file(run_module: RunModule, command: Any, small: Path, case: Case) -> None:
    run_module(case.module, **case.at(small, case.first))
    made = small / "made"
    before = files_in(made)
    command("sh", "-c", f"! cat /dev/zero >{small}/filler")
    result = run_module(case.module, **case.at(small, case.then), fails=True)
    assert "No space left" in result["msg"]
    assert str(made) in result["msg"]
    assert files_in(made) == before
    (small / "filler").unlink()
    assert run_module(case.module, **case.at(small, case.then))["changed"] is True
    assert run_module(case.module, **case.at(small, case.then))["changed"] is False


def at_once(run_module: RunModule, module: str, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(lambda params: run_module(module, **params), calls))


def test_users_of_runs_at_the_same_time_are_all_kept(run_module: RunModule, tmp_path: Path) -> None:
    path = tmp_path / "auth" / "htpasswd"
    names = [f"user{number}" for number in range(6)]
    at_once(
        run_module,
        "htpasswd",
        [{"path": str(path), "users": [{"name": name, "password": name, "cost": 4}]} for name in names],
    )
    assert sorted(line.split(":")[0] for line in path.read_text().splitlines()) == names


def test_keys_of_runs_at_the_same_time_are_all_kept(run_module: RunModule, tmp_path: Path) -> None:
    path = tmp_path / "docker" / "daemon.json"
    registries = [f"registry{number}.lab:5000" for number in range(6)]
    at_once(
        run_module,
        "daemon_config",
        [{"path": str(path), "config": {"insecure-registries": [registry]}} for registry in registries],
    )
    assert sorted(json.loads(path.read_text())["insecure-registries"]) == registries


def test_runs_at_the_same_time_make_one_certificate(run_module: RunModule, tmp_path: Path) -> None:
    params = {"path": str(tmp_path / "a.crt"), "privatekey_path": str(tmp_path / "a.key"), "names": ["a.lab"]}
    results = at_once(run_module, "certificate", [params] * 6)
    assert len({result["fingerprint"] for result in results}) == 1
    assert [result["changed"] for result in results].count(True) == 1
