# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in the storage of a registry, read from its files: no password, no request to it, any number of images.

The places are those of registry/storage/paths.go of distribution, the same in versions 2 and 3.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._stored_files import Files, LocalFiles

_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{32,}")
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.artifact.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
_IMAGES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    _ARTIFACT,
)
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
"""Manifests that only a registry before version 3 serves."""


class DamageError(RegistryError):
    """Something that an image needs is not in the storage, or is not what it should be."""


@dataclass(frozen=True)
class Descriptor:
    """What a manifest needs, by its digest, and its size in bytes where the manifest tells (OCI image-spec)."""

    digest: str
    size: Optional[int] = None
    media_type: str = ""

    @property
    def is_manifest(self) -> bool:
        """Whether an index means a manifest by it: some have layers, of a build's cache for instance."""
        return not self.media_type or self.media_type in _MANIFESTS


@dataclass(frozen=True)
class Manifest:
    """A manifest: of an image, whose configuration and layers are *blobs*, or an index of *children*.

    *size* is its own in bytes. One that says something of another manifest, a signature, has that as its *subject*.
    """

    digest: str
    media_type: str = ""
    size: int = 0
    children: tuple[Descriptor, ...] = ()
    blobs: tuple[Descriptor, ...] = ()
    subject: str = ""


@dataclass(frozen=True)
class Tag:
    """A tag, what it stands for, and when it was last pushed, in seconds since the epoch."""

    name: str
    digest: str
    pushed: float = 0.0


def parse_manifest(digest: str, content: bytes) -> Manifest:
    """Read a manifest of any kind that registries hold.

    :raises DamageError: it is none.
    """
    try:
        data = json.loads(content)
        if data.get("schemaVersion") == 1:
            layers = tuple({layer["blobSum"]: Descriptor(layer["blobSum"]) for layer in data["fsLayers"]}.values())
            return Manifest(digest, SCHEMA_1, len(content), blobs=layers)
        # Other keys than those of its kind mean nothing to registries and clients, whatever is in them.
        kind = str(data.get("mediaType", ""))
        listed = [_descriptor(item) for item in (data.get("manifests") if kind not in _IMAGES else ()) or ()]
        held = [data["config"]] if data.get("config") else []
        layers = data.get("blobs" if kind == _ARTIFACT else "layers") or ()
        # Layers with URLs are to be had elsewhere, and seldom here.
        held += [layer for layer in layers if not layer.get("urls")]
        blobs = [_descriptor(item) for item in held] + [item for item in listed if not item.is_manifest]
        subject = (data.get("subject") or {}).get("digest", "")
        return Manifest(
            digest,
            kind,
            len(content),
            _unique(item for item in listed if item.is_manifest),
            _unique(blobs),
            subject if isinstance(subject, str) and _DIGEST.fullmatch(subject) else "",
        )
    # Whoever may push decides what stands there, and how deep it is nested.
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DamageError(f"manifest {digest} is none") from error


def _descriptor(item: Mapping[str, Any]) -> Descriptor:
    size = item.get("size")
    return Descriptor(str(item["digest"]), None if size is None else int(size), str(item.get("mediaType") or ""))


def _unique(descriptors: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    return tuple({descriptor.digest: descriptor for descriptor in descriptors}.values())


class Storage:
    """What is below the ``rootdirectory`` of the registry's storage driver, by default in a directory of this host."""

    def __init__(self, root: str, files: Optional[Files] = None) -> None:
        self.root = root
        self._files = files or LocalFiles()
        self._top = f"{root.rstrip('/')}/docker/registry/v2"

    def repositories(self) -> list[str]:
        """The names of all repositories with a manifest or a tag, sorted; none of a registry that is still empty."""
        top = f"{self._top}/repositories"
        found = []
        pending = self._files.names(top)
        while pending:
            repository = pending.pop()
            names = self._files.names(f"{top}/{repository}")
            if "_manifests" in names:
                found.append(repository)
            # What begins so belongs to the repository itself; others may be repositories below its name.
            pending += [f"{repository}/{name}" for name in names if not name.startswith("_")]
        return sorted(found)

    def tags(self, repository: str) -> list[Tag]:
        """The tags of a repository, sorted by name."""
        top = self._of(repository, "tags")
        tags = []
        for name in self._files.names(top):
            digest, pushed = self._linked(f"{top}/{name}/current/link")
            if digest:
                tags.append(Tag(name, digest, pushed))
        return tags

    def revisions(self, repository: str) -> dict[str, float]:
        """The manifests of a repository by digest, tagged or not, with the time at which they were last pushed."""
        top = self._of(repository, "revisions")
        found = {}
        for algorithm in self._files.names(top):
            for name in self._files.names(f"{top}/{algorithm}"):
                # A deleted manifest leaves its directory without the link.
                digest, pushed = self._linked(f"{top}/{algorithm}/{name}/link")
                if digest:
                    found[digest] = pushed
        return found

    def has_revision(self, repository: str, digest: str) -> bool:
        """Whether a manifest is one of this repository, which may hold its tag and not itself."""
        algorithm, _colon, digits = digest.partition(":")
        return self._files.status(f"{self._of(repository, 'revisions')}/{algorithm}/{digits}/link") is not None

    def refresh(self, repository: str) -> None:
        """See anew what a repository has: of a bucket, only what was there at first is seen otherwise."""
        self._files.refresh(f"{self._top}/repositories/{repository}")

    def manifest(self, digest: str) -> Manifest:
        """Read a manifest, and check that its bytes have the digest.

        :raises DamageError: it is not there, or not what it should be.
        """
        try:
            content = self._files.read(self.blob_path(digest))
        except DamageError:
            raise
        except RegistryError as error:
            raise DamageError(f"manifest {digest} is none") from error
        if content is None:
            raise DamageError(f"manifest {digest} is not there")
        manifest = parse_manifest(digest, content)
        # The digest of the first schema leaves out the signatures that are in the file.
        if manifest.media_type != SCHEMA_1 and f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise DamageError(f"manifest {digest} has another content")
        return manifest

    def blob_path(self, digest: str) -> str:
        """Where the content of a digest lies.

        :raises DamageError: what was read as a digest is none.
        """
        if not _DIGEST.fullmatch(digest):
            raise DamageError(f"'{digest[:80]}' is no digest")
        algorithm, _colon, digits = digest.partition(":")
        return f"{self._top}/blobs/{algorithm}/{digits[:2]}/{digits}/data"

    def blob_size(self, digest: str) -> Optional[int]:
        """The size in bytes of what has this digest, None where nothing has."""
        status = self._files.status(self.blob_path(digest))
        return status.size if status else None

    def blobs(self) -> Iterator[tuple[str, int]]:
        """All that is stored, used or not: digests with sizes in bytes."""
        top = f"{self._top}/blobs"
        for algorithm in self._files.names(top):
            for prefix in self._files.names(f"{top}/{algorithm}"):
                for digits in self._files.names(f"{top}/{algorithm}/{prefix}"):
                    digest = f"{algorithm}:{digits}"
                    size = self.blob_size(digest)
                    if size is not None:
                        yield digest, size

    def check_blob(self, blob: Descriptor, *, content: bool = False) -> None:
        """Check that what a manifest needs is there with the size that it says; with *content*, that it is the same.

        :raises DamageError: it is not.
        """
        size = self.blob_size(blob.digest)
        if size is None:
            raise DamageError(f"blob {blob.digest} is not there")
        if blob.size is not None and size != blob.size:
            raise DamageError(f"blob {blob.digest} has {size} bytes instead of {blob.size}")
        if content and blob.digest.startswith("sha256:") and self._sha256(blob.digest) != blob.digest:
            raise DamageError(f"blob {blob.digest} has another content")

    def _of(self, repository: str, what: str) -> str:
        return f"{self._top}/repositories/{repository}/_manifests/{what}"

    def _linked(self, path: str) -> tuple[str, float]:
        """The digest that a link holds, and when it was written; none where it was just taken away."""
        content, written = self._files.read_dated(path)
        with contextlib.suppress(UnicodeDecodeError):
            digest = (content or b"").decode("ascii").strip()
            if _DIGEST.fullmatch(digest):
                return digest, written
        return "", 0.0

    def _sha256(self, digest: str) -> str:
        content = hashlib.sha256()
        for part in self._files.parts(self.blob_path(digest)):
            content.update(part)
        return f"sha256:{content.hexdigest()}"


def damage(storage: Storage, *, content: bool = False) -> list[str]:
    """What can't be pulled of all that is tagged, a sentence for each tag: of indexes, each platform's image too.

    With *content* every byte is read and hashed, about a gigabyte in three seconds.
    """
    inspection = _Inspection(storage, content)
    found = []
    for repository in storage.repositories():
        for tag in storage.tags(repository):
            fault = inspection.fault(tag.digest)
            if not fault and not storage.has_revision(repository, tag.digest):
                fault = f"manifest {tag.digest} was deleted"
            if fault:
                found.append(f"{repository}:{tag.name} can't be pulled: {fault}.")
    return found


def needed(storage: Storage) -> dict[str, str]:
    """All that tags lead to: manifests, configurations and layers, by digest, each with one tag that needs it."""
    found: dict[str, str] = {}
    for repository in storage.repositories():
        for tag in storage.tags(repository):
            pending = [tag.digest]
            while pending:
                digest = pending.pop()
                if digest in found:
                    continue
                found[digest] = f"{repository}:{tag.name}"
                with contextlib.suppress(DamageError):
                    manifest = storage.manifest(digest)
                    pending += [child.digest for child in manifest.children]
                    found.update({blob.digest: f"{repository}:{tag.name}" for blob in manifest.blobs})
    return found


class _Inspection:
    """Looks at each manifest and blob once, however many images share it."""

    def __init__(self, storage: Storage, content: bool) -> None:
        self._storage = storage
        self._content = content
        self._manifests: dict[str, Optional[Manifest]] = {}
        self._faults: dict[str, str] = {}

    def fault(self, digest: str) -> str:
        """The first thing that is wrong with what a manifest stands for."""
        # No recursion: whoever may push decides how deep indexes are nested.
        seen, pending = {digest}, [digest]
        while pending:
            manifest = self._manifest(pending.pop())
            if isinstance(manifest, str):
                return manifest
            for blob in manifest.blobs:
                if self._blob(blob):
                    return self._blob(blob)
            fresh = [child.digest for child in manifest.children if child.digest not in seen]
            seen.update(fresh)
            pending += fresh
        return ""

    def _manifest(self, digest: str) -> Manifest | str:
        if digest not in self._manifests:
            self._manifests[digest] = None
            try:
                self._manifests[digest] = self._storage.manifest(digest)
            except DamageError as error:
                self._faults[digest] = str(error)
        return self._manifests[digest] or self._faults[digest]

    def _blob(self, blob: Descriptor) -> str:
        if blob.digest not in self._faults:
            self._faults[blob.digest] = ""
            try:
                self._storage.check_blob(blob, content=self._content)
            except DamageError as error:
                self._faults[blob.digest] = str(error)
        return self._faults[blob.digest]
