# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: read whole, written atomically, with owner, group and mode set before anybody can see them."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import pwd
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

_ALL_BITS = 0o7777

BACKUP_SUFFIX = ".bak"

LARGEST = 16 * 1024 * 1024
"""Bytes of the largest file that is read; a longer one is none of ours, and might fill the memory."""

_LOCK = "/run/stronghold.registry.lock"
_LOCK_TIMEOUT = 120.0
_TEMPORARY_SUFFIX = ".new"

ARGUMENTS: dict[str, dict[str, Any]] = {
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "raw"},
}
"""The part of an argument spec that :func:`attributes_from` reads; documented in the fragment ``files``."""


@dataclass(frozen=True)
class Attributes:
    """Who a file shall belong to (numeric ids) and its permission bits; None leaves as is."""

    uid: Optional[int] = None
    gid: Optional[int] = None
    mode: Optional[int] = None


def attributes_from(params: dict[str, Any]) -> Attributes:
    """Read the parameters ``owner``, ``group`` and ``mode``.

    :raises RegistryError: an unknown user or group, or a mode that is not octal.
    """
    mode = params.get("mode")
    return Attributes(
        uid=_identity("owner", params.get("owner")),
        gid=_identity("group", params.get("group")),
        mode=None if mode is None else _parse_mode(mode),
    )


def _identity(parameter: str, value: Optional[str]) -> Optional[int]:
    if value is None:
        return None
    if value.isdigit():
        return int(value)
    try:
        return pwd.getpwnam(value).pw_uid if parameter == "owner" else grp.getgrnam(value).gr_gid
    except KeyError as error:
        kind = "user" if parameter == "owner" else "group"
        raise RegistryError(
            f"{parameter}: there is no {kind} '{value}' on this host; create it or give a numeric id."
        ) from error


def _parse_mode(value: object) -> int:
    mode = -1
    if isinstance(value, int) and not isinstance(value, bool):
        mode = value
    elif isinstance(value, str):
        with contextlib.suppress(ValueError):
            mode = int(value, 8)
    if not 0 <= mode <= _ALL_BITS:
        raise RegistryError(f"mode: '{value}' is not an octal file mode; write it as a string such as '0600'.")
    return mode


def read_file(path: str) -> Optional[bytes]:
    """A file's content, or None where there is no file.

    :raises RegistryError: it is there and cannot be read, or is a pipe or device, which might be read without end.
    """
    try:
        # Opened before it is looked at, so that it can't be exchanged between; and without waiting for a pipe's writer.
        with open(path, "rb", opener=_open_at_once) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise RegistryError(f"{path} is no regular file; look at it and remove it.")
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > LARGEST:
        raise RegistryError(f"{path} is longer than {LARGEST >> 20} MiB; look at it and remove it.")
    return content


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_text(path: str) -> Optional[str]:
    """As :func:`read_file`, decoded from UTF-8."""
    content = read_file(path)
    try:
        return None if content is None else content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RegistryError(f"{path} is not a text in UTF-8 (byte {error.start}); mend or remove it.") from error


def explain_attributes(path: str, wanted: Attributes) -> list[str]:
    """Why a file's owner, group or mode has to change; nothing where there is no file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return []
    reasons = []
    if wanted.uid is not None and found.st_uid != wanted.uid:
        reasons.append(f"{path}: owner is {found.st_uid}, wanted {wanted.uid}")
    if wanted.gid is not None and found.st_gid != wanted.gid:
        reasons.append(f"{path}: group is {found.st_gid}, wanted {wanted.gid}")
    mode = stat.S_IMODE(found.st_mode)
    if wanted.mode is not None and mode != wanted.mode:
        reasons.append(f"{path}: mode is {mode:04o}, wanted {wanted.mode:04o}")
    return reasons


def set_attributes(path: str, wanted: Attributes) -> None:
    """Give an existing file its owner, group and mode."""
    with _explained(path):
        # Ownership first: chown clears the set-id bits, and a mode must never be open to the former owner's group.
        os.chown(path, _id_or_keep(wanted.uid), _id_or_keep(wanted.gid))
        if wanted.mode is not None:
            os.chmod(path, wanted.mode)


@contextlib.contextmanager
def exclusively(*, check_mode: bool) -> Iterator[None]:
    """Read, decide and write while no other run's module does on this host, so that none undoes what another wrote.

    The lock ends with its process, however that ends. Only root takes it: others could hold a lock that is open to
    them for as long as they like.

    :raises RegistryError: another module holds the lock for two minutes.
    """
    if check_mode or os.geteuid() != 0:
        yield
        return
    with _explained(_LOCK):
        descriptor = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _wait_for_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int) -> None:
    end = time.monotonic() + _LOCK_TIMEOUT
    while not _is_locked(descriptor):
        if time.monotonic() > end:
            raise RegistryError(
                f"Another run of this collection has worked on this host for {_LOCK_TIMEOUT:.0f} seconds and holds "
                f"{_LOCK}; wait until it has ended, then run this again."
            )
        time.sleep(0.1)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_file(path: str, content: bytes, wanted: Attributes) -> None:
    """Put a whole file in place: at any moment a reader finds the old content or the new one, never a part.

    A missing directory is made, 0700 and with the file's owner. A symbolic link is followed. Where there is a file
    already, what *wanted* leaves open stays as it was. The modification time always differs from the former file's,
    since the registry re-reads its users only then (registry/auth/htpasswd/access.go in distribution).

    :raises RegistryError: it cannot be written; the former file is still there, whole.
    """
    target = os.path.realpath(path)
    with _explained(path):
        make_directory(os.path.dirname(target), wanted)
        _remove_leftovers(target)
        before = os.stat(target) if os.path.exists(target) else None
        descriptor, temporary = tempfile.mkstemp(*_temporary_name(target))
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                _take_over(stream.fileno(), before, wanted)
                os.fsync(stream.fileno())
            if before is not None and os.stat(temporary).st_mtime_ns == before.st_mtime_ns:
                os.utime(temporary, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        _sync_directory(os.path.dirname(target))


def _temporary_name(target: str) -> tuple[str, str, str]:
    """Suffix, prefix and directory of what tempfile makes beside *target*: the name tells which process writes it."""
    directory, name = os.path.split(target)
    return _TEMPORARY_SUFFIX, f".{name}.{os.getpid()}.", directory


def _remove_leftovers(target: str) -> None:
    """Remove what processes that were killed left beside *target* when they were about to put it in place."""
    directory, name = os.path.split(target)
    temporary = re.compile(rf"\.{re.escape(name)}\.(?P<process>\d+)\.\w+{re.escape(_TEMPORARY_SUFFIX)}")
    for entry in os.scandir(directory):
        match = temporary.fullmatch(entry.name)
        if match is None or os.path.exists(f"/proc/{match['process']}"):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def _take_over(descriptor: int, before: Optional[os.stat_result], wanted: Attributes) -> None:
    """Owner, group and mode for the new file: what is wanted, else what the former file had."""
    uid, gid, mode = wanted.uid, wanted.gid, wanted.mode
    if before is not None:
        uid = before.st_uid if uid is None else uid
        gid = before.st_gid if gid is None else gid
        mode = stat.S_IMODE(before.st_mode) if mode is None else mode
    os.fchown(descriptor, _id_or_keep(uid), _id_or_keep(gid))
    if mode is not None:
        os.fchmod(descriptor, mode)


def make_directory(path: str, wanted: Attributes) -> None:
    """Make a directory, 0700 and with the owner of *wanted*; its missing parents are 0755; one that is there stays.

    It appears with its owner: one that a killed run left without it would be closed to the registry for good.
    """
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        os.makedirs(parent, mode=0o755)
    _remove_leftovers(path)
    temporary = tempfile.mkdtemp(*_temporary_name(path))
    try:
        os.chown(temporary, _id_or_keep(wanted.uid), _id_or_keep(wanted.gid))
        os.rename(temporary, path)
    except BaseException:
        os.rmdir(temporary)
        raise


def back_up(path: str) -> None:
    """Copy a file beside itself, with ``.bak`` appended to its name and with its owner, group and mode."""
    with _explained(path):
        found = os.stat(path)
        with open(path, "rb") as stream:
            content = stream.read()
    attributes = Attributes(uid=found.st_uid, gid=found.st_gid, mode=stat.S_IMODE(found.st_mode))
    write_file(path + BACKUP_SUFFIX, content, attributes)


def remove_file(path: str) -> None:
    """Remove a file, durably; one that is not there is no error."""
    with _explained(path), contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        _sync_directory(os.path.dirname(path) or ".")


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _id_or_keep(value: Optional[int]) -> int:
    return -1 if value is None else value


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RegistryError(f"{path} cannot be written: {error.strerror} ({error.filename}).") from error
