# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules registry_backup and registry_restore, judged by tar, sha256sum and GnuPG.

The registry does not run here; the scenario operate does the same with one that does.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils import _archive
from ansible_collections.stronghold.registry.plugins.module_utils._registry_lock import alone, lock_path

from ..unit.storage import Warehouse
from .conftest import RunModule

NAME = "no-such-container"
PASSPHRASE = "a whale of a passphrase"
OWNER = 65534


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A registry's directory."""
    directory = tmp_path / "registry"
    for name in ("ca", "certs", "auth", "config", "data"):
        (directory / name).mkdir(parents=True, mode=0o700)
    for name in ("certs", "auth", "config", "data"):
        os.chown(directory / name, OWNER, OWNER)
    for name, mode in (("ca/ca.key", 0o600), ("certs/registry.crt", 0o444), ("auth/htpasswd", 0o400)):
        (directory / name).write_text(f"this is {name}\n")
        (directory / name).chmod(mode)
        os.utime(directory / name, (1000, 1000))
    (directory / "config" / "config.yml").write_text("storage: {filesystem: {}}\nhttp: {secret: hush}\n")
    warehouse = Warehouse(directory / "data")
    warehouse.index("team/app", [warehouse.image("team/app", platform) for platform in ("amd64", "arm64")], "1")
    (warehouse.top / "repositories" / "team" / "app" / "_uploads" / "half").mkdir(parents=True)
    return directory


@pytest.fixture
def target(tmp_path: Path) -> Path:
    directory = tmp_path / "backups"
    directory.mkdir()
    return directory


def back_up(run_module: RunModule, registry: Path, target: Path, **params: Any) -> dict[str, Any]:
    given = {"container": NAME, "directory": str(registry), "backup_directory": str(target), **params}
    return run_module("registry_backup", **given)


def restore(run_module: RunModule, archive: str | Path, directory: Path, **params: Any) -> dict[str, Any]:
    given = {"archive": str(archive), "directory": str(directory), "container": NAME, **params}
    return run_module("registry_restore", **given)


def contents(directory: Path) -> dict[str, Any]:
    """All that is below a directory: type, owner, mode, time and bytes by path."""
    found = {}
    for path in sorted(directory.rglob("*")):
        stat = path.stat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(directory))] = (stat.st_mode, stat.st_uid, stat.st_gid, int(stat.st_mtime), data)
    return found


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    """Directories get the time at which their last file was restored."""
    return {path: facts if facts[4] else (*facts[:3], facts[4]) for path, facts in found.items()}


def kept(registry: Path) -> dict[str, Any]:
    """What of a registry's directory belongs into a backup."""
    found = contents(registry)
    return {path: facts for path, facts in found.items() if "_uploads" not in path and path != "history.jsonl"}


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_all_comes_back(run_module: RunModule, registry: Path, target: Path, tmp_path: Path, passphrase: str) -> None:
    before = kept(registry)
    made = back_up(run_module, registry, target, passphrase=passphrase)
    assert made["changed"] is True
    assert made["size"] == Path(made["path"]).stat().st_size
    assert Path(made["path"]).stat().st_mode & 0o777 == 0o600
    assert list(target.iterdir()) == [Path(made["path"])]
    assert kept(registry) == before
    (told,) = [json.loads(line) for line in (registry / "history.jsonl").read_text().splitlines()]
    assert (told["event"], told["archive"]) == ("backup", made["path"])
    assert (registry / "history.jsonl").stat().st_mode & 0o777 == 0o600

    elsewhere = tmp_path / "deep" / "elsewhere"
    restored = restore(run_module, made["path"], elsewhere, passphrase=passphrase)
    assert (restored["changed"], restored["former"]) == (True, None)
    assert without_times(contents(elsewhere)) == without_times(before)


def test_others_can_read_and_check_it(
    run_module: RunModule, command: Any, registry: Path, target: Path, tmp_path: Path
) -> None:
    made = back_up(run_module, registry, target, passphrase=PASSPHRASE)["path"]
    assert b"ca.key" not in Path(made).read_bytes()
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    gpg = ["gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase-file", secret]
    command(*gpg, "--output", tmp_path / "backup.tar", "--decrypt", made)
    command("tar", "--extract", "--file", tmp_path / "backup.tar", "--directory", home)
    assert (home / "ca" / "ca.key").read_text() == "this is ca/ca.key\n"
    listed = json.loads((home / "stronghold-backup.json").read_text())
    assert listed["name"] == NAME
    sums = "".join(f"{digest}  {home / path}\n" for path, digest in listed["files"].items())
    command("sha256sum", "--check", "--strict", "--quiet", "-", stdin=sums)
    files = command("tar", "--list", "--file", tmp_path / "backup.tar").split()
    assert set(listed["files"]) | {"stronghold-backup.json"} == {name for name in files if not name.endswith("/")}


def test_check_mode_writes_nothing(run_module: RunModule, registry: Path, target: Path, tmp_path: Path) -> None:
    announced = back_up(run_module, registry, target, check=True)
    assert (announced["changed"], list(target.iterdir())) == (True, [])
    assert not (registry / "history.jsonl").exists()
    made = back_up(run_module, registry, target)
    assert restore(run_module, made["path"], tmp_path / "elsewhere", check=True)["changed"] is True
    assert not (tmp_path / "elsewhere").exists()


def test_only_the_newest_are_kept(run_module: RunModule, registry: Path, target: Path) -> None:
    prefix = f"{platform.node()}-{NAME}"
    others = [f"other-{NAME}-20200101T000000Z.tar", f"{prefix}-notes.tar", f"{prefix}-2-20200101T000000Z.tar"]
    old = [f"{prefix}-2020010{day}T000000Z.tar{suffix}" for day, suffix in ((1, ""), (2, ".gpg"), (3, ""))]
    for name in others + old:
        (target / name).touch()
    made = back_up(run_module, registry, target, keep=2)
    assert len(made["reasons"]) == 3
    assert {path.name for path in target.iterdir()} == {*others, old[2], Path(made["path"]).name}


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_a_damaged_archive_changes_nothing(
    run_module: RunModule, registry: Path, target: Path, tmp_path: Path, passphrase: str
) -> None:
    archive = Path(back_up(run_module, registry, target, passphrase=passphrase)["path"])
    whole = archive.read_bytes()
    broken = [whole[: len(whole) * part // 8] for part in range(8)]
    place = whole.find(b"this is ca/ca.key") if not passphrase else len(whole) // 2
    broken += [whole[:place] + b"T" + whole[place + 1 :], b"no archive at all"]
    there = tmp_path / "there"
    (there / "data").mkdir(parents=True)
    (there / "data" / "precious").write_text("precious")
    for content in broken:
        archive.write_bytes(content)
        refused = restore(run_module, archive, there, passphrase=passphrase, force=True, fails=True)
        assert refused["msg"].startswith(f"archive: {archive} cannot be restored: ")
        assert refused["msg"].endswith("Nothing was changed.")
        assert list(contents(there)) == ["data", "data/precious"]


def test_a_wrong_or_missing_passphrase(run_module: RunModule, registry: Path, target: Path, tmp_path: Path) -> None:
    archive = back_up(run_module, registry, target, passphrase=PASSPHRASE)["path"]
    wrong = restore(run_module, archive, tmp_path / "there", passphrase="wrong", fails=True)
    assert "it cannot be decrypted: decryption failed: Bad session key" in wrong["msg"]
    missing = restore(run_module, archive, tmp_path / "there", fails=True)
    assert "it is encrypted; give passphrase" in missing["msg"]
    assert list(contents(tmp_path / "there")) == []


def test_tags_that_cannot_be_pulled_are_told_and_the_rest_comes_back(
    run_module: RunModule, registry: Path, target: Path, tmp_path: Path
) -> None:
    blob = next((registry / "data").glob("docker/registry/v2/blobs/sha256/*/*/data"))
    shutil.rmtree(blob.parent)
    made = back_up(run_module, registry, target)
    restored = restore(run_module, made["path"], tmp_path / "there")
    assert len(made["damaged"]) == 1
    assert made["damaged"] == restored["damaged"]
    assert made["damaged"][0].startswith("team/app:1 can't be pulled: ")


@pytest.mark.parametrize("name", ["data", "data/docker", "ca/ca.key"])
def test_symbolic_links_are_not_passed_over(run_module: RunModule, registry: Path, target: Path, name: str) -> None:
    (registry / name).rename(registry.parent / "elsewhere")
    (registry / name).symlink_to(registry.parent / "elsewhere")
    refused = back_up(run_module, registry, target, fails=True)
    assert f"{registry / name} is a symbolic link, and what it leads to would not be in the archive" in refused["msg"]
    assert list(target.iterdir()) == []


def test_a_pipe_does_not_block(run_module: RunModule, registry: Path, target: Path) -> None:
    os.mkfifo(registry / "data" / "pipe")
    refused = back_up(run_module, registry, target, fails=True)
    assert f"{registry}/data/pipe is no regular file" in refused["msg"]
    assert list(target.iterdir()) == []


def test_one_job_at_a_time(run_module: RunModule, registry: Path, target: Path) -> None:
    archive = back_up(run_module, registry, target)["path"]
    with alone(str(registry)):
        for refused in (
            back_up(run_module, registry, target, fails=True),
            restore(run_module, archive, registry, force=True, fails=True),
        ):
            assert "a garbage collection, backup or restore of this registry goes on" in refused["msg"]


def test_others_hold_nobody_up() -> None:
    # Whoever may look at a directory may lock it.
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        os.seteuid(OWNER)
        try:
            descriptor = os.open(directory, os.O_RDONLY)
        finally:
            os.seteuid(0)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with alone(directory):
            assert stat.S_IMODE(os.stat(lock_path(directory)).st_mode) == 0o600
        os.close(descriptor)
        os.unlink(lock_path(directory))


def test_a_backup_of_what_was_extracted_by_hand_can_be_restored(
    run_module: RunModule, command: Any, registry: Path, target: Path, tmp_path: Path
) -> None:
    by_hand = tmp_path / "by-hand"
    by_hand.mkdir()
    command("tar", "--extract", "--file", back_up(run_module, registry, target)["path"], "--directory", by_hand)
    archive = back_up(run_module, by_hand, target, container="other")["path"]
    assert command("tar", "--list", "--file", archive).count("stronghold-backup.json") == 1
    restore(run_module, archive, tmp_path / "again")
    assert (tmp_path / "again" / "ca" / "ca.key").read_text() == "this is ca/ca.key\n"
    # As it was packed before that was noticed.
    old = tmp_path / "old.tar"
    paths = [by_hand / _archive.LIST, *(path for path in sorted(by_hand.rglob("*")) if path.name != _archive.LIST)]
    entries = [(str(path), str(path.relative_to(by_hand))) for path in paths]
    with old.open("wb") as stream:
        _archive.write(stream, _archive.Contents("other"), entries)
    restore(run_module, old, tmp_path / "older")
    assert (tmp_path / "older" / "config" / "config.yml").exists()


def test_what_a_killed_backup_left_is_removed(run_module: RunModule, registry: Path, target: Path) -> None:
    part = target / f"{platform.node()}-{NAME}-20250101T000000Z.tar.gpg.part"
    others = target / "other-registry-20250101T000000Z.tar.part"
    part.touch()
    others.touch()
    archive = back_up(run_module, registry, target)["path"]
    assert sorted(target.iterdir()) == sorted([Path(archive), others])


def test_only_what_is_kept_needs_room(run_module: RunModule, registry: Path, target: Path) -> None:
    (registry / ".before-restore").mkdir()
    with (registry / ".before-restore" / "layer").open("wb") as file:
        file.truncate(1 << 43)
    back_up(run_module, registry, target)


def test_a_redis_has_to_forget_what_a_restored_storage_lacks(
    run_module: RunModule, registry: Path, target: Path, tmp_path: Path
) -> None:
    config = registry / "config" / "config.yml"
    config.write_text("storage: {filesystem: {}, cache: {blobdescriptor: redis}}\nredis: {addr: '127.9.0.3:9'}\n")
    restore(run_module, back_up(run_module, registry, target)["path"], tmp_path / "restored")
    assert (tmp_path / "restored" / "cache.stale").exists()


def test_what_cannot_be_moved_leaves_all_as_it_was(
    run_module: RunModule, command: Any, registry: Path, target: Path
) -> None:
    archive = back_up(run_module, registry, target)["path"]
    before = without_times(kept(registry))
    # Of the same file system, so that it does not look like a mount.
    command("mount", "--bind", registry / "data", registry / "data")
    refused = restore(run_module, archive, registry, force=True, fails=True)
    command("umount", registry / "data")
    assert "is a file system of its own" in refused["msg"] or "All is as before" in refused["msg"]
    assert without_times(kept(registry)) == before


def test_what_is_there_is_kept_and_only_with_force(
    run_module: RunModule, registry: Path, target: Path, tmp_path: Path
) -> None:
    archive = back_up(run_module, registry, target)["path"]
    there = tmp_path / "there"
    (there / "data").mkdir(parents=True)
    (there / "data" / "precious").write_text("precious")
    refused = restore(run_module, archive, there, fails=True)
    assert refused["msg"].startswith(f"directory: {there} is not empty; with force")
    done = restore(run_module, archive, there, force=True)
    assert done["former"] == f"{there}/.before-restore"
    assert (there / ".before-restore" / "data" / "precious").read_text() == "precious"
    assert (there / "ca" / "ca.key").exists()
    again = restore(run_module, archive, there, force=True, fails=True)
    assert "is there from an earlier restore; look at it and remove it" in again["msg"]
    # What is restored can be backed up again, without what it took the place of.
    second = back_up(run_module, there, target)["path"]
    assert b"precious" not in Path(second).read_bytes()


def test_an_archive_that_reaches_outside(run_module: RunModule, tmp_path: Path) -> None:
    (tmp_path / "evil").write_text("evil")
    for name, options in (
        ("up", ["--transform=s,evil,../evil,"]),
        ("absolute", ["--transform=s,evil,/tmp/evil,"]),
        ("link", ["link"]),
    ):
        if name == "link":
            (tmp_path / "link").symlink_to("/etc")
        archive = tmp_path / f"{name}.tar"
        members = options if name == "link" else [*options, "evil"]
        subprocess.run(["tar", "-P", "-cf", archive, "-C", tmp_path, *members], check=True)
        refused = restore(run_module, archive, tmp_path / "there", fails=True)
        assert "it holds what is neither a file nor a directory of a registry" in refused["msg"]
        assert list(contents(tmp_path / "there")) == []


@pytest.fixture
def small(tmp_path: Path, command: Any) -> Iterator[Path]:
    """A file system that is nearly full."""
    directory = tmp_path / "small"
    directory.mkdir()
    command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory)
    yield directory
    command("umount", directory)


def test_a_target_that_is_too_small(run_module: RunModule, registry: Path, small: Path) -> None:
    (registry / "data" / "large").write_bytes(os.urandom(200_000))
    refused = back_up(run_module, registry, small, fails=True)
    assert refused["msg"].startswith(f"backup_directory: {small} has ")
    # Sparse, so that it seems to fit.
    (registry / "data" / "large").write_bytes(b"")
    for number in range(60):
        (registry / "data" / f"small-{number}").write_bytes(b"x")
    refused = back_up(run_module, registry, small, fails=True)
    assert "cannot be written: No space left on device" in refused["msg"]
    assert list(small.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"directory": "/nowhere"}, "directory: there is no registry in /nowhere."),
        ({"backup_directory": "/nowhere"}, "backup_directory: /nowhere is not there. It is not made"),
        ({"keep": -1}, "keep: is -1, wanted 0 or more."),
        ({"container": "../x"}, "container: '../x' is no name of a container."),
    ],
)
def test_wrong_parameters(
    run_module: RunModule, registry: Path, target: Path, wrong: dict[str, Any], message: str
) -> None:
    given = {"container": NAME, "directory": str(registry), "backup_directory": str(target), **wrong}
    assert message in run_module("registry_backup", fails=True, **given)["msg"]
    assert list(target.iterdir()) == []


def test_data_that_are_elsewhere(run_module: RunModule, registry: Path, target: Path, tmp_path: Path) -> None:
    (registry / "config" / "config.yml").write_text(
        "storage: {delete: {enabled: true}, azure: {accountname: a, container: images}}\n"
    )
    (registry / "certs" / "registry.crt").unlink()
    (registry / "auth" / "htpasswd").unlink()
    described = run_module("registry_info", container=NAME, directory=str(registry))
    assert described["driver"] == "azure"
    assert [described[name] for name in ("stored", "repositories", "damaged", "schema1")] == [None] * 4
    made = back_up(run_module, registry, target)
    assert restore(run_module, made["path"], tmp_path / "elsewhere")["changed"] is True
    assert (tmp_path / "elsewhere" / "ca" / "ca.key").read_text() == "this is ca/ca.key\n"
    rules = [{"repositories": ["*"], "keep_newest": 1}]
    pruned = run_module(
        "registry_prune", host="localhost", directory=str(registry), rules=rules, fails=True, check=True
    )
    assert "the registry's data are neither on this host nor in an S3 store" in pruned["msg"]


def test_what_a_directory_remembers_stays_there(run_module: RunModule, registry: Path, target: Path) -> None:
    archive = back_up(run_module, registry, target)["path"]
    restore(run_module, archive, registry, force=True)
    assert json.loads((registry / "history.jsonl").read_text())["event"] == "backup"


def test_a_target_within_the_registry(run_module: RunModule, registry: Path) -> None:
    refused = back_up(run_module, registry, registry / "data", fails=True)
    assert "with which it would be lost" in refused["msg"]


def test_an_archive_that_is_not_there(run_module: RunModule, tmp_path: Path) -> None:
    refused = restore(run_module, tmp_path / "none.tar", tmp_path / "there", fails=True)
    assert refused["msg"] == f"archive: {tmp_path}/none.tar is not there."


def test_no_passphrase_is_seen(run_module: RunModule, registry: Path, target: Path, tmp_path: Path) -> None:
    made = back_up(run_module, registry, target, passphrase=PASSPHRASE)
    restored = restore(run_module, made["path"], tmp_path / "there", passphrase=PASSPHRASE)
    assert PASSPHRASE not in json.dumps([made, restored])
