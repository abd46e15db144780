# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that tell an engine of a registry: which ones, why they have to change, and the doing.

A file of ours is known by what it holds: certificates, a private key, or a text that begins with our mark. What
somebody else wrote is neither changed nor removed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import (
    Attributes,
    explain_attributes,
    read_file,
    remove_file,
    set_attributes,
    write_file,
)
from ansible_collections.stronghold.registry.plugins.module_utils._trust_anchor import fingerprints, read_anchor

_DIRECTORY_MODE = 0o755
_READABLE = 0o555


@dataclass(frozen=True)
class Step:
    """One change: why, what it changes (for a diff, before and after), and the doing."""

    reason: str
    perform: Callable[[], object] = field(repr=False)
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of file: its meaning (empty where it is no such file), what a diff shows of it, and words for reasons."""

    mistaken: str
    differs: str
    meaning: Callable[[bytes], object]
    show: Callable[[bytes], list[str]]


@dataclass(frozen=True)
class File:
    """A file as it shall be. A content of None stands for a file that shall not be there."""

    path: str
    kind: Kind
    content: bytes | None = field(default=None, repr=False)
    mode: int = 0o644


def _key_text(content: bytes) -> bytes:
    return content.strip() if b"PRIVATE KEY-----" in content else b""


CERTIFICATES = Kind("is no certificate", "has another certificate", read_anchor, fingerprints)
PRIVATE_KEY = Kind("is no private key", "has another private key", _key_text, lambda _content: ["a private key"])


def marked_text(mark: str, maker: str = "this collection") -> Kind:
    """Texts of ours, which begin with a line of their own; one with a login is not shown."""

    def meaning(content: bytes) -> bytes:
        return content if content.startswith(mark.encode()) else b""

    def show(content: bytes) -> list[str]:
        if not meaning(content):
            return ["(a text of others)"]
        lines = content.decode("utf-8", "replace").splitlines()
        return ["(a login)" if "Authorization" in line else line.strip() for line in lines if line.strip()]

    return Kind(f"was not made by {maker}", "says something else", meaning, show)


def plan_files(files: Iterable[File], *, force: bool) -> list[Step]:
    """What has to be done for the files to be as they shall be.

    :raises RegistryError: somebody else's file is in the place of one of ours, and *force* is not set.
    """
    return [step for file in files for step in _plan_file(file, force=force)]


def _plan_file(file: File, *, force: bool) -> list[Step]:
    current = read_file(file.path)
    if file.content is None:
        return [] if current is None or not file.kind.meaning(current) else [_removal(file, current)]
    attributes = Attributes(uid=os.geteuid(), gid=os.getegid(), mode=file.mode)
    reason = _explain(file, current, force=force)
    if not reason:
        mended = explain_attributes(file.path, attributes)
        return [Step(why, lambda: set_attributes(file.path, attributes)) for why in mended]
    before = "" if current is None else _shown(file, current)
    return [Step(f"{file.path}: {reason}", _putting(file, attributes), before=before, after=_shown(file, file.content))]


def _explain(file: File, current: bytes | None, *, force: bool) -> str:
    if current is None:
        return "is not there"
    found = file.kind.meaning(current)
    if not found and not force:
        raise RegistryError(
            f"{file.path} {file.kind.mistaken}; look at it, then remove it or set force to have it replaced."
        )
    if not found:
        return file.kind.mistaken
    if os.path.islink(file.path) and not force:
        raise RegistryError(
            f"{file.path} is a symbolic link; look at where it leads, then remove it or set force to have it replaced."
        )
    return "" if found == file.kind.meaning(file.content or b"") else file.kind.differs


def _putting(file: File, attributes: Attributes) -> Callable[[], None]:
    def put() -> None:
        make_directories(os.path.dirname(file.path))
        if os.path.islink(file.path):
            # What it leads to is somebody else's.
            os.unlink(file.path)
        write_file(file.path, file.content or b"", attributes)

    return put


def _removal(file: File, current: bytes) -> Step:
    return Step(f"{file.path}: is there, wanted absent", lambda: remove_file(file.path), before=_shown(file, current))


def _shown(file: File, content: bytes) -> str:
    return "".join(f"{file.path}: {line}\n" for line in file.kind.show(content))


def foreign_files(directory: str, ours: Iterable[File]) -> tuple[str, ...]:
    """The files in a directory that are not ours, and do not become so."""
    kinds = {file.path: file for file in ours}
    return tuple(path for path in _listed(directory) if _is_foreign(path, kinds.get(path)))


def _is_foreign(path: str, file: File | None) -> bool:
    if file is None:
        return True
    return file.content is None and not file.kind.meaning(read_file(path) or b"")


def _listed(directory: str) -> list[str]:
    try:
        return [os.path.join(directory, name) for name in sorted(os.listdir(directory))]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RegistryError(f"{directory} cannot be read: {error.strerror}.") from error


def plan_opening(*directories: str) -> list[Step]:
    """Directories that are there already have to be readable to all, as a trust anchor is."""
    closed = [
        directory
        for directory in directories
        if os.path.isdir(directory) and stat.S_IMODE(os.stat(directory).st_mode) & _READABLE != _READABLE
    ]
    return [Step(f"{directory}: is closed to other users", _opener(directory)) for directory in closed]


def _opener(directory: str) -> Callable[[], None]:
    return lambda: os.chmod(directory, _DIRECTORY_MODE)


def plan_emptied(directory: str, files: Iterable[File], *parents: str) -> list[Step]:
    """A directory that holds nothing any more goes, and with it those of its parents that then are empty."""
    ours = list(files)
    stays = any(file.content is not None for file in ours) or foreign_files(directory, ours)
    if stays or not os.path.isdir(directory):
        return []
    return [Step(f"{directory}: is empty, wanted absent", lambda: _remove_directories(directory, *parents))]


def make_directories(path: str) -> None:
    """Make a directory and its missing parents, all 0755 whatever the umask.

    :raises RegistryError: it cannot be made.
    """
    if os.path.isdir(path):
        return
    make_directories(os.path.dirname(path))
    try:
        os.mkdir(path)
        os.chmod(path, _DIRECTORY_MODE)
    except OSError as error:
        raise RegistryError(f"{path} cannot be made: {error.strerror}.") from error


def _remove_directories(*paths: str) -> None:
    """Remove directories that are empty, in this order; one that is not stays."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.rmdir(path)
