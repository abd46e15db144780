# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of a registry: a tar file whose last member lists the checksums of all others, perhaps encrypted by GnuPG.

Written and read as a stream, so that no copy in the clear is made, and no more memory taken than for the list.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._programs import find_program

FORMAT = 1
LIST = "stronghold-backup.json"
ENCRYPTED_SUFFIX = ".gpg"

_PART = 1024 * 1024
_LONGEST_LIST = 1024 * 1024 * 1024
_GPG = ("--batch", "--quiet", "--no-options", "--pinentry-mode", "loopback", "--passphrase-fd")


@dataclass
class Contents:
    """What an archive says of itself: when it was made, of which registry, and the SHA-256 of each file by its path."""

    name: str
    created: int = field(default_factory=lambda: int(time.time()))
    format: int = FORMAT
    files: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        return json.dumps(self.__dict__).encode("utf-8")


def write(stream: IO[bytes], contents: Contents, entries: Iterable[tuple[str, str]]) -> None:
    """Write files and directories, given as pairs of a path on this host and one in the archive, a directory first.

    Owners, modes and times are kept.

    :raises OSError: a file cannot be read, or the stream not be written.
    """
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path, name in entries:
            if os.path.isdir(path):
                archive.add(path, name, recursive=False)
            else:
                contents.files[name] = _add(archive, path, name)
        listed = contents.to_json()
        member = tarfile.TarInfo(LIST)
        member.size, member.mtime, member.mode = len(listed), contents.created, 0o600
        archive.addfile(member, io.BytesIO(listed))


def _add(archive: tarfile.TarFile, path: str, name: str) -> str:
    # Whoever breaks into the container can put a pipe there, whose writer would be waited for.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise RegistryError(f"{path} is no regular file; look at it and remove it.")
        member = archive.gettarinfo(arcname=name, fileobj=file)
        # Two names of one file are two files here.
        member.type, member.linkname = tarfile.REGTYPE, ""
        member.size = os.fstat(file.fileno()).st_size
        reader = _Hashing(file)
        archive.addfile(member, reader)
        return reader.digest.hexdigest()


class _Hashing(io.RawIOBase):
    """Hashes what is read through it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        part = self._source.read(size)
        self.digest.update(part)
        return part


def extract(stream: IO[bytes], directory: str) -> Contents:
    """Write what is in an archive below an empty directory, and check all of it against the list at its end.

    :raises RegistryError: the archive is none, is cut off or is damaged.
    """
    found: dict[str, str] = {}
    listed: Optional[bytes] = None
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if listed is not None:
                    # That of an archive that was once extracted by hand, and of no use.
                    found[LIST], listed = hashlib.sha256(listed).hexdigest(), None
                if member.name == LIST:
                    listed = _listed(archive, member)
                    continue
                path = _below(directory, member)
                if member.isdir():
                    os.mkdir(path, 0o700)
                    _own(path, member)
                else:
                    found[member.name] = _extract_file(archive, member, path)
        if listed is None:
            raise RegistryError("it is cut off: the list at its end is missing")
        return _checked(_parsed(listed), found)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise RegistryError(f"it is damaged or cut off ({error})") from error


def _listed(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    if stream is None or member.size > _LONGEST_LIST:
        raise RegistryError("the list at its end is damaged")
    return stream.read()


def _parsed(listed: bytes) -> Contents:
    data: dict[str, Any] = json.loads(listed)
    if data.get("format") != FORMAT:
        raise RegistryError(f"it has the format {data.get('format')}, this collection reads {FORMAT}")
    return Contents(**data)


def _checked(contents: Contents, found: dict[str, str]) -> Contents:
    for path in [*contents.files, *found]:
        if found.get(path) != contents.files.get(path):
            raise RegistryError(f"{path} in it is damaged")
    return contents


def _below(directory: str, member: tarfile.TarInfo) -> str:
    """Where a member goes; never out of the directory, and nothing but files and directories."""
    parts = member.name.split("/")
    if not (member.isreg() or member.isdir()) or any(part in ("", ".", "..") for part in parts):
        raise RegistryError(f"it holds what is neither a file nor a directory of a registry: {member.name}")
    return os.path.join(directory, *parts)


def _extract_file(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> str:
    source = archive.extractfile(member)
    if source is None:
        raise RegistryError(f"{member.name} in it is damaged")
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        for part in iter(lambda: source.read(_PART), b""):
            digest.update(part)
            target.write(part)
    _own(path, member)
    return digest.hexdigest()


def _own(path: str, member: tarfile.TarInfo) -> None:
    os.chown(path, member.uid, member.gid)
    os.chmod(path, member.mode & 0o777)
    os.utime(path, (member.mtime, member.mtime))


@contextmanager
def encrypting(target: IO[bytes], passphrase: str) -> Iterator[IO[bytes]]:
    """A stream whose content gets to *target* encrypted.

    :raises RegistryError: GnuPG is not there, or fails.
    """
    with _gpg(passphrase, "--symmetric", "--cipher-algo", "AES256", "--compress-algo", "none", stdout=target) as gpg:
        if gpg.stdin is None:
            raise RegistryError("GnuPG takes nothing in.")
        yield gpg.stdin
        gpg.stdin.close()
        _ended(gpg, "GnuPG cannot encrypt")


@contextmanager
def decrypting(source: IO[bytes], passphrase: str) -> Iterator[IO[bytes]]:
    """A stream of what *source* says in the clear, which is to be read to its end.

    :raises RegistryError: GnuPG is not there, the passphrase is another, or the content is damaged.
    """
    with _gpg(passphrase, "--decrypt", stdin=source, stdout=subprocess.PIPE) as gpg:
        if gpg.stdout is None:
            raise RegistryError("GnuPG gives nothing out.")
        try:
            yield gpg.stdout
        finally:
            # Only the end of what is encrypted tells whether it was changed. And where nothing could be read, GnuPG
            # knows why.
            while gpg.stdout.read(_PART):
                pass
            _ended(gpg, "it cannot be decrypted")


@contextmanager
def _gpg(
    passphrase: str, *options: str, stdin: Any = subprocess.PIPE, stdout: Any = None
) -> Iterator[subprocess.Popen[bytes]]:
    """GnuPG with a home directory of its own, so that nobody's keys and agents have a part in it."""
    program = find_program("gpg")
    if program is None:
        raise RegistryError("passphrase: the program gpg is missing on this host; install the package gnupg.")
    with tempfile.TemporaryDirectory(prefix="stronghold-") as home:
        read_end, write_end = os.pipe()
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(passphrase.encode("utf-8"))
        command = [program, "--homedir", home, *_GPG, str(read_end), *options]
        process = subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, pass_fds=(read_end,), cwd="/"
        )
        os.close(read_end)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            for stream in (process.stdin, process.stdout, process.stderr):
                _close(stream)
            process.wait()
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True, check=False)


def _ended(process: subprocess.Popen[bytes], what: str) -> None:
    said = process.stderr.read().decode("utf-8", "replace").strip().splitlines() if process.stderr else []
    if process.wait():
        raise RegistryError(f"{what}: {said[-1].removeprefix('gpg: ') if said else 'GnuPG does not say why'}")


def _close(stream: Optional[IO[bytes]]) -> None:
    try:
        if stream is not None:
            stream.close()
    except BrokenPipeError:
        # What was still to be written has no reader any more.
        return
