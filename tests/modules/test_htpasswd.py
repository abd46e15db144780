# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module htpasswd, judged by Apache's htpasswd."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunModule

USERS: list[dict[str, Any]] = [
    {"name": "moby", "password": "gordon"},
    {"name": "robot", "password": "ünïcode pass", "cost": 5},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "auth" / "htpasswd"


def verify(command: Any, path: Path, name: str, password: str) -> None:
    assert "correct" in command("htpasswd", "-vi", path, name, stdin=password)


def test_check_run_check_run(run_module: RunModule, command: Any, path: Path) -> None:
    predicted = run_module("htpasswd", path=str(path), users=USERS, check=True)
    assert not path.parent.exists()
    done = run_module("htpasswd", path=str(path), users=USERS)
    assert predicted["changed"]
    assert done["changed"]
    assert predicted["reasons"] == done["reasons"] == [f"{path}: is not there", "user moby: added", "user robot: added"]
    assert predicted["diff"] == done["diff"]
    for user in USERS:
        verify(command, path, str(user["name"]), str(user["password"]))
    content = path.read_bytes()
    for check in (True, False):
        settled = run_module("htpasswd", path=str(path), users=USERS, check=check)
        assert not settled["changed"]
        assert settled["reasons"] == []
    assert path.read_bytes() == content


def test_modes_of_file_and_directory(run_module: RunModule, path: Path) -> None:
    run_module("htpasswd", path=str(path), users=USERS, owner="65532", group="65532", mode="0400")
    for item, mode in ((path, 0o400), (path.parent, 0o700)):
        found = item.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65532, 65532, mode)
    mended = run_module("htpasswd", path=str(path), users=USERS, mode="0600")
    assert mended["reasons"] == [f"{path}: mode is 0400, wanted 0600"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_password_cost_and_membership_change(run_module: RunModule, command: Any, path: Path) -> None:
    run_module("htpasswd", path=str(path), users=USERS)
    changed = [{"name": "moby", "password": "flash"}, {"name": "eve", "password": "apple", "cost": 4}]
    before = path.stat().st_mtime_ns
    result = run_module("htpasswd", path=str(path), users=changed, purge=True, cost=6)
    assert set(result["reasons"]) == {
        "user moby: cost 10, wanted 6",
        "user eve: added",
        "user robot: removed, not among the users",
    }
    assert result["users"] == ["eve", "moby"]
    verify(command, path, "moby", "flash")
    verify(command, path, "eve", "apple")
    assert "robot" not in path.read_text()
    assert path.stat().st_mtime_ns != before


def test_a_file_of_apaches_is_taken_as_it_is(run_module: RunModule, command: Any, path: Path) -> None:
    path.parent.mkdir()
    command("htpasswd", "-cbB", "-C", "10", path, "moby", "gordon")
    path.chmod(0o600)
    result = run_module("htpasswd", path=str(path), users=[{"name": "moby", "password": "gordon"}])
    assert not result["changed"]


def test_a_ready_hash_is_put_in_place(run_module: RunModule, command: Any, path: Path) -> None:
    line = command("htpasswd", "-nbB", "moby", "gordon").split()[0]
    run_module("htpasswd", path=str(path), users=[{"name": "moby", "hash": line.split(":")[1]}])
    assert path.read_text() == f"{line}\n"
    verify(command, path, "moby", "gordon")


def test_other_schemes_are_told_and_replaced_when_listed(run_module: RunModule, command: Any, path: Path) -> None:
    path.parent.mkdir()
    command("htpasswd", "-cbm", path, "moby", "gordon")
    path.chmod(0o600)
    result = run_module("htpasswd", path=str(path))
    assert not result["changed"]
    assert "moby is not bcrypt" in result["foreign"][0]
    result = run_module("htpasswd", path=str(path), users=[{"name": "moby", "password": "gordon"}])
    assert result["reasons"] == ["user moby: not bcrypt"]
    assert result["foreign"] == []
    verify(command, path, "moby", "gordon")


def test_absent_removes_the_file(run_module: RunModule, path: Path) -> None:
    run_module("htpasswd", path=str(path), users=USERS)
    assert run_module("htpasswd", path=str(path), state="absent", check=True)["changed"]
    assert path.exists()
    assert run_module("htpasswd", path=str(path), state="absent")["changed"]
    assert not path.exists()
    assert not run_module("htpasswd", path=str(path), state="absent")["changed"]


def test_a_symbolic_link_is_followed(run_module: RunModule, path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("")
    path.parent.mkdir()
    path.symlink_to(target)
    run_module("htpasswd", path=str(path), users=USERS)
    assert path.is_symlink()
    assert "moby:" in target.read_text()


@pytest.mark.parametrize("content", [b"moby\n", b"moby:x\n:y\n", b"\xff\xfe\n"])
def test_a_file_that_is_no_user_file_stays_untouched(run_module: RunModule, path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    result = run_module("htpasswd", path=str(path), users=USERS, fails=True)
    assert str(path) in result["msg"]
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"users": [{"password": "s3cret-x"}]}, "name found in users"),
        ({"users": [{"name": "moby"}]}, "'moby' has no password"),
        ({"users": [{"name": "moby", "password": "s3cret-" + "x" * 66}]}, "73 bytes"),
        ({"users": ["moby:s3cret-x"]}, "dict"),
        ({"users": [{"name": "a", "password": "s3cret-x"}] * 2}, "more than once"),
        ({"users": [{"name": "a", "password": "s3cret-x"}], "cost": 40}, "cost is 40"),
        (
            {"users": [{"name": "a", "password": "s3cret-x"}], "owner": "nobody-of-this-name"},
            "there is no user",
        ),
        ({"users": [{"name": "a", "password": "s3cret-x"}], "mode": "rw"}, "not an octal file mode"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    run_module: RunModule, path: Path, parameters: dict[str, Any], message: str
) -> None:
    result = run_module("htpasswd", path=str(path), fails=True, **parameters)
    assert message in result["msg"]
    assert "s3cret" not in json.dumps(result)
    assert not path.parent.exists()


def test_neither_passwords_nor_hashes_are_shown(run_module: RunModule, path: Path) -> None:
    shown = json.dumps(run_module("htpasswd", path=str(path), users=[{"name": "moby", "password": "s3cret-pw"}]))
    shown += json.dumps(run_module("htpasswd", path=str(path), users=[{"name": "moby", "password": "s3cret-other"}]))
    assert "s3cret" not in shown
    assert "$2y$" not in shown
    assert path.read_text().split(":")[1].strip() not in shown
