# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs and manifests to push, new ones each time: a registry that has them already need not write them."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_FEW_BYTES = 1024


@dataclass(frozen=True)
class Blob:
    """A file with its digest. The type says how a registry's clients are to take it."""

    path: Path
    digest: str
    media_type: str = _LAYER_TYPE

    @property
    def descriptor(self) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.path.stat().st_size}


@dataclass(frozen=True)
class Images:
    """Files below a directory, used again by the next call of the same function."""

    directory: Path

    def blobs(self, count: int, size: int) -> list[Blob]:
        """Random bytes. A file of that size is made another by its first bytes."""
        return [self._blob(self.directory / f"{size}-{index}", size) for index in range(count)]

    def _blob(self, path: Path, size: int) -> Blob:
        if not path.exists():
            path.write_bytes(secrets.token_bytes(size))
        with path.open("rb+") as file:
            file.write(secrets.token_bytes(32))
            file.seek(0)
            return Blob(path, f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")

    def configuration(self) -> Blob:
        path = self.directory / "configuration"
        image = {"architecture": "amd64", "os": "linux", "config": {"Labels": {"mark": secrets.token_hex(16)}}}
        return _written(path, json.dumps(image).encode("ascii"), _CONFIG_TYPE)

    def manifests(self, count: int) -> tuple[list[Blob], list[Blob]]:
        """Manifests that differ in an annotation, and the two small blobs that all of them name."""
        configuration, (layer,) = self.configuration(), self.blobs(1, _FEW_BYTES)
        manifests = [
            _written(self.directory / f"manifest{number}", _manifest(configuration, layer, number), MANIFEST_TYPE)
            for number in range(count)
        ]
        return manifests, [configuration, layer]

    def image(self, size: int) -> Path:
        """An image of one layer, as a directory for skopeo's transport ``dir``."""
        directory = self.directory / "image"
        directory.mkdir(exist_ok=True)
        for former in directory.iterdir():
            former.unlink()
        configuration, (layer,) = self.configuration(), self.blobs(1, size)
        for blob in (configuration, layer):
            (directory / blob.digest.removeprefix("sha256:")).hardlink_to(blob.path)
        (directory / "version").write_text("Directory Transport Version: 1.1\n")
        (directory / "manifest.json").write_bytes(_manifest(configuration, layer))
        return directory


def _written(path: Path, content: bytes, media_type: str) -> Blob:
    path.write_bytes(content)
    return Blob(path, f"sha256:{hashlib.sha256(content).hexdigest()}", media_type)


def _manifest(configuration: Blob, layer: Blob, number: int = 0) -> bytes:
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": configuration.descriptor,
        "layers": [layer.descriptor],
        "annotations": {"number": str(number)},
    }
    return json.dumps(manifest).encode("ascii")
