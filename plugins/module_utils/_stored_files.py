# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a registry's storage driver writes: in a directory of this host, or as the objects of a bucket.

Both have the same paths (registry/storage/driver of distribution). They are only read here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import LARGEST, read_file

_PART = 1024 * 1024


@dataclass(frozen=True)
class Status:
    """Size in bytes, and when it was written, in seconds since the epoch."""

    size: int
    written: float


class Files:
    """What can be asked of files, wherever they are. A path has no slash at its end."""

    def names(self, directory: str) -> list[str]:
        """What is in a directory, sorted; nothing of what is none."""
        raise NotImplementedError

    def read(self, path: str) -> Optional[bytes]:
        """The content of a file, or None where none is.

        :raises RegistryError: it is longer than any that is read whole.
        """
        raise NotImplementedError

    def read_dated(self, path: str) -> tuple[Optional[bytes], float]:
        """The same, and when it was written, wherever it was copied since, in seconds since the epoch."""
        status = self.status(path)
        return (self.read(path), status.written) if status else (None, 0.0)

    def status(self, path: str) -> Optional[Status]:
        """Size and time of a file, or None where none is."""
        raise NotImplementedError

    def parts(self, path: str) -> Iterator[bytes]:
        """The content of a file of any size, in parts."""
        raise NotImplementedError

    def refresh(self, directory: str) -> None:
        """See anew what is in a directory, where that is remembered."""


class LocalFiles(Files):
    """Of a directory on this host."""

    def names(self, directory: str) -> list[str]:
        try:
            return sorted(os.listdir(directory))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, path: str) -> Optional[bytes]:
        return read_file(path)

    def status(self, path: str) -> Optional[Status]:
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Status(found.st_size, found.st_mtime)

    def parts(self, path: str) -> Iterator[bytes]:
        with open(path, "rb") as file:
            yield from iter(lambda: file.read(_PART), b"")


class BucketFiles(Files):
    """Of a bucket, through a client of boto3's. All objects are listed once, at the first question."""

    def __init__(self, client: Any, bucket: str, root: str) -> None:
        self._client, self._bucket, self._root = client, bucket, root.strip("/")
        self._objects: Optional[dict[str, Status]] = None
        self._directories: dict[str, set[str]] = {}

    def names(self, directory: str) -> list[str]:
        self._list()
        return sorted(self._directories.get(directory.strip("/"), ()))

    def read(self, path: str) -> Optional[bytes]:
        return self.read_dated(path)[0]

    def read_dated(self, path: str) -> tuple[Optional[bytes], float]:
        status = self.status(path)
        if status is None:
            return None, 0.0
        if status.size > LARGEST:
            raise RegistryError(f"{path} is longer than {LARGEST >> 20} MiB; look at it and remove it.")
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=path.strip("/"))
            content = b"".join(answer["Body"].iter_chunks(_PART))
        # It may have been deleted since it was listed.
        except self._client.exceptions.NoSuchKey:
            return None, 0.0
        return content, _copied_time(answer.get("Metadata") or {}, status.written)

    def status(self, path: str) -> Optional[Status]:
        return self._list().get(path.strip("/"))

    def parts(self, path: str) -> Iterator[bytes]:
        answer = self._client.get_object(Bucket=self._bucket, Key=path.strip("/"))
        yield from answer["Body"].iter_chunks(_PART)

    def _list(self) -> dict[str, Status]:
        if self._objects is None:
            self._objects = {}
            self._look(self._objects, f"{self._root}/" if self._root else "")
        return self._objects

    def refresh(self, directory: str) -> None:
        objects, prefix = self._list(), f"{directory.strip('/')}/"
        for known in (objects, self._directories):
            for key in [key for key in known if f"{key}/".startswith(prefix)]:
                del known[key]
        self._look(objects, prefix)

    def _look(self, objects: dict[str, Status], prefix: str) -> None:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for entry in (entry for page in pages for entry in page.get("Contents", ())):
            objects[entry["Key"]] = Status(entry["Size"], entry["LastModified"].timestamp())
            self._add_name(entry["Key"])

    def _add_name(self, key: str) -> None:
        while key:
            directory, _slash, name = key.rpartition("/")
            names = self._directories.setdefault(directory, set())
            if name in names:
                return
            names.add(name)
            key = directory


def _copied_time(metadata: Mapping[str, str], written: float) -> float:
    """When a file was written that rclone has copied into a bucket, by what it says there (its documentation of S3)."""
    try:
        return float(metadata["mtime"])
    except (LookupError, ValueError):
        return written
