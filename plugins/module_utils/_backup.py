# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a whole registry in one archive, and bring it back. The logic of registry_backup and registry_restore."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from ansible_collections.stronghold.registry.plugins.module_utils import _archive, _history
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import read_text
from ansible_collections.stronghold.registry.plugins.module_utils._read_only import (
    HISTORY,
    Container,
    Registry,
    read_only,
    recover,
)
from ansible_collections.stronghold.registry.plugins.module_utils._registry_lock import (
    WRITABLE_SUFFIX,
    alone,
    is_left_over,
)
from ansible_collections.stronghold.registry.plugins.module_utils._registry_storage import (
    driver,
    is_readable,
    open_storage,
    read_config,
)
from ansible_collections.stronghold.registry.plugins.module_utils._stale_cache import Cache
from ansible_collections.stronghold.registry.plugins.module_utils._storage import damage

_CONFIG = "config/config.yml"
_UPLOADS = "_uploads"
"""What is just being pushed, which no client would go on with."""

_STAGING = ".restoring"
_FORMER = ".before-restore"
_NOT_KEPT = (_UPLOADS, _STAGING, _FORMER)
_MODE = 0o755
_FSTAB_FIELDS = 2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def back_up(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module registry_backup. Returns what the module does.

    :raises RegistryError: what stands against it, or what went wrong; then there is no new archive.
    """
    directory, target, name = params["directory"], params["backup_directory"], params["container"]
    _check_backup(params)
    registry = Registry(name, directory)
    # Whoever else backs up has to be waited for first: the name tells when, and what is too old is counted then.
    with contextlib.nullcontext() if check_mode else alone(directory, patience=params.get("patience", 0.0)):
        damaged = _damaged(registry)
        size = _size(directory)
        # Registries of several hosts, mostly of the same name, may share a directory.
        prefix = f"{platform.node()}-{name}"
        if not check_mode:
            _remove_parts(target, prefix)
        _check_space("backup_directory", target, size)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        suffix = ".tar" + (_archive.ENCRYPTED_SUFFIX if params["passphrase"] else "")
        path = os.path.join(target, f"{prefix}-{stamp}{suffix}")
        expired = _expired(target, prefix, params["keep"], path)
        if not check_mode:
            if is_left_over(registry.config_path):
                recover(registry)
            with _part_of(path) as part:
                with _consistent(registry):
                    _write(directory, part, name, params["passphrase"])
                    damaged = _damaged(registry)
                os.replace(part, path)
            for old in expired:
                os.unlink(old)
            size = os.path.getsize(path)
            _history.add(registry.history_path, "backup", archive=path, size=size, damaged=len(damaged))
    return {
        "changed": True,
        "reasons": [f"{path}: is made anew", *(f"{old}: {params['keep']} newer ones are kept" for old in expired)],
        "path": path,
        "size": size,
        "damaged": damaged,
    }


def _check_backup(params: Mapping[str, Any]) -> None:
    directory, target = params["directory"], params["backup_directory"]
    if not os.path.isdir(os.path.join(directory, "config")):
        raise RegistryError(f"directory: there is no registry in {directory}.")
    if not os.path.isdir(target):
        raise RegistryError(
            f"backup_directory: {target} is not there. It is not made, since it may be a file system that is not "
            "mounted; mount or make it."
        )
    _check_mounted("backup_directory", target)
    # An archive of the empty place would take that of a good one.
    _check_mounted("directory", Registry(params["container"], directory).data_directory)
    if (os.path.realpath(target) + os.sep).startswith(os.path.realpath(directory) + os.sep):
        raise RegistryError(f"backup_directory: {target} lies in {directory}, with which it would be lost.")
    if params["keep"] < 0:
        raise RegistryError(f"keep: is {params['keep']}, wanted 0 or more.")
    _check_name(params["container"])


def _check_mounted(parameter: str, target: str) -> None:
    """:raises RegistryError: by /etc/fstab (fstab(5)) a file system belongs there that is not mounted."""
    for line in (read_text("/etc/fstab") or "").splitlines():
        fields = line.split()
        if (
            len(fields) < _FSTAB_FIELDS
            or fields[0].startswith("#")
            or not fields[1].startswith("/")
            or fields[1] == "/"
        ):
            continue
        place = fields[1].replace("\\040", " ")
        if (os.path.realpath(target) + os.sep).startswith(place.rstrip("/") + os.sep) and not os.path.ismount(place):
            raise RegistryError(f"{parameter}: {place} is not mounted, which /etc/fstab has; mount it.")


def _damaged(registry: Registry) -> list[str]:
    """The tags that can't be pulled, where the images can be looked at; a cache has some that were pulled in part."""
    config = read_config(registry.config_path)
    if not is_readable(config):
        return []
    with open_storage(config, registry.directory) as storage:
        return [] if "proxy" in config else damage(storage)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise RegistryError(f"container: '{name}' is no name of a container.")


def _check_space(parameter: str, directory: str, size: int) -> None:
    free = shutil.disk_usage(directory).free
    if size > free:
        raise RegistryError(
            f"{parameter}: {directory} has {free} bytes left, and {size} are needed; make room or name another."
        )


def _size(directory: str) -> int:
    """How many bytes an archive of it may have, at least where its files are many."""
    size = 0
    for top, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if name not in _NOT_KEPT]
        for name in files:
            # The registry takes away what it has put together.
            with contextlib.suppress(FileNotFoundError):
                size += os.lstat(os.path.join(top, name)).st_size
    return size


@contextmanager
def _consistent(registry: Registry) -> Iterator[None]:
    """Nothing is pushed meanwhile; where the registry does not run, nothing is, and to a store it does not matter."""
    container = Container(registry.container)
    if driver(read_config(registry.config_path)) != "filesystem" or not container.runs():
        yield
        return
    with read_only(registry, container):
        yield


@contextmanager
def _part_of(path: str) -> Iterator[str]:
    """Where an archive is written to, until it is whole."""
    part = f"{path}.part"
    try:
        yield part
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def _remove_parts(target: str, prefix: str) -> None:
    """Remove what backups have left that were killed."""
    part = re.compile(rf"{re.escape(prefix)}-[0-9]{{8}}T[0-9]{{6}}Z\.tar(\.gpg)?\.part")
    for entry in os.listdir(target):
        if part.fullmatch(entry):
            os.unlink(os.path.join(target, entry))


def _write(directory: str, part: str, name: str, passphrase: str) -> None:
    contents = _archive.Contents(name)
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            with contextlib.ExitStack() as stack:
                stream: IO[bytes] = target
                if passphrase:
                    stream = stack.enter_context(_archive.encrypting(target, passphrase))
                _archive.write(stream, contents, _entries(directory))
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        where = error.filename or part
        raise RegistryError(f"{part} cannot be written: {error.strerror or error} ({where}).") from error


def _entries(directory: str) -> Iterator[tuple[str, str]]:
    """All that belongs to a registry, with its place in the archive."""
    # While it is read-only, its own configuration lies beside the one for that time.
    writable = _CONFIG + WRITABLE_SUFFIX
    places = {writable: _CONFIG}
    left_out = {HISTORY, _archive.LIST, *([_CONFIG] if os.path.exists(os.path.join(directory, writable)) else [])}
    for top, directories, files in os.walk(directory):
        directories[:] = sorted(name for name in directories if name not in _NOT_KEPT)
        for name in directories + sorted(files):
            path = os.path.join(top, name)
            place = os.path.relpath(path, directory)
            if os.path.islink(path):
                raise RegistryError(
                    f"{path} is a symbolic link, and what it leads to would not be in the archive; mount that there "
                    "instead."
                )
            if place not in left_out:
                yield path, places.get(place, place)


def _expired(target: str, prefix: str, keep: int, coming: str) -> list[str]:
    """The archives of this registry that are older than the newest *keep*, the coming one among them."""
    if not keep:
        return []
    pattern = re.compile(rf"{re.escape(prefix)}-[0-9]{{8}}T[0-9]{{6}}Z\.tar(\.gpg)?")
    there = [os.path.join(target, entry) for entry in os.listdir(target) if pattern.fullmatch(entry)]
    return sorted({*there, coming})[:-keep]


def restore(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module registry_restore. Returns what the module does.

    The archive is written to a directory of its own, and takes its place only when all of it was found whole.

    :raises RegistryError: what stands against it; then all is as before.
    """
    directory, archive = os.path.normpath(params["directory"]), params["archive"]
    _check_name(params["container"])
    if not os.path.isfile(archive):
        raise RegistryError(f"archive: {archive} is not there.")
    runs, there = Container(params["container"]).runs(), _there(directory)
    _check_place(directory, params, runs=runs, there=there)
    former = os.path.join(directory, _FORMER) if there else None
    reasons = [f"{directory}: is restored from {archive}"]
    reasons += [f"{former}: holds what was in its place"] if there else []
    result = {"changed": True, "reasons": reasons, "former": former}
    if check_mode:
        return {**result, "created": None, "damaged": []}
    os.makedirs(directory, mode=_MODE, exist_ok=True)
    with alone(directory):
        created, damaged = _stage(archive, os.path.join(directory, _STAGING), params["passphrase"])
        try:
            if runs:
                Container(params["container"]).stop()
            _swap(directory, there)
        except RegistryError:
            shutil.rmtree(os.path.join(directory, _STAGING))
            raise
    return {**result, "created": created, "damaged": damaged}


def _there(directory: str) -> list[str]:
    """What is in a registry's directory; none of what a file system or another restore has there for itself."""
    entries = os.listdir(directory) if os.path.lexists(directory) else []
    return sorted(set(entries) - {"lost+found", HISTORY, _STAGING, _FORMER})


def _check_place(directory: str, params: Mapping[str, Any], *, runs: bool, there: list[str]) -> None:
    former = os.path.join(directory, _FORMER)
    if runs and not params["force"]:
        raise RegistryError(
            f"container: {params['container']} runs; with force it is stopped, and what it holds is kept in {former}."
        )
    if there and not params["force"]:
        raise RegistryError(f"directory: {directory} is not empty; with force, what is in it is kept in {former}.")
    if os.path.lexists(former) and os.path.lexists(os.path.join(directory, _STAGING)):
        raise RegistryError(
            f"directory: a restore to {directory} was interrupted; move back what is in {former}, and remove it."
        )
    if os.path.lexists(former):
        raise RegistryError(f"directory: {former} is there from an earlier restore; look at it and remove it.")
    for name in there:
        if os.path.ismount(os.path.join(directory, name)):
            raise RegistryError(
                f"directory: {directory}/{name} is a file system of its own, so it can't be exchanged at once; unmount "
                "it, restore, and move its part there."
            )
    place = directory
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    _check_space("directory", place, os.path.getsize(params["archive"]))


def _swap(directory: str, there: list[str]) -> None:
    """Exchange what is in the directory for what is staged, or leave all as it is."""
    staging, former = os.path.join(directory, _STAGING), os.path.join(directory, _FORMER)
    if there:
        os.mkdir(former, 0o700)
    moves = [(os.path.join(directory, name), os.path.join(former, name)) for name in there]
    moves += [(os.path.join(staging, name), os.path.join(directory, name)) for name in sorted(os.listdir(staging))]
    done: list[tuple[str, str]] = []
    try:
        for source, target in moves:
            os.rename(source, target)
            done.append((source, target))
    except OSError as error:
        for source, target in reversed(done):
            os.rename(target, source)
        if there:
            os.rmdir(former)
        raise RegistryError(
            f"directory: {error.filename} cannot be moved: {error.strerror}. All is as before, but the container is "
            "stopped; run site.yml to start it."
        ) from error
    os.rmdir(staging)


def _stage(archive: str, staging: str, passphrase: str) -> tuple[int, list[str]]:
    """Write the archive's content, and find it whole. Returns when it was made, and which tags can't be pulled."""
    if os.path.lexists(staging):
        # Only ever left by a restore that was interrupted.
        shutil.rmtree(staging)
    os.mkdir(staging, 0o700)
    try:
        contents = _extract(archive, staging, passphrase)
        registry = Registry(contents.name, staging)
        damaged = _damaged(registry)
        # What was pushed after the archive was made is remembered, and not there.
        Cache(staging, read_config(registry.config_path)).make_stale()
    except (RegistryError, OSError) as error:
        shutil.rmtree(staging)
        what = f"{error.strerror} ({error.filename})" if isinstance(error, OSError) else str(error).rstrip(".")
        raise RegistryError(f"archive: {archive} cannot be restored: {what}. Nothing was changed.") from error
    return contents.created, damaged


def _extract(archive: str, staging: str, passphrase: str) -> _archive.Contents:
    with contextlib.ExitStack() as stack:
        stream: IO[bytes] = stack.enter_context(open(archive, "rb"))
        encrypted = archive.endswith(_archive.ENCRYPTED_SUFFIX)
        if encrypted and not passphrase:
            raise RegistryError("it is encrypted; give passphrase")
        if encrypted:
            stream = stack.enter_context(_archive.decrypting(stream, passphrase))
        return _archive.extract(stream, staging)
