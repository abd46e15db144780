# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the storage of a registry as the registry itself lays it out (registry/storage/paths.go of distribution)."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE = "application/vnd.oci.image.manifest.v1+json"


class Warehouse:
    """A storage below a directory, and how to put images into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = root / "docker" / "registry" / "v2"

    def blob(self, content: bytes) -> dict[str, Any]:
        """Store a blob; returns its descriptor."""
        digits = hashlib.sha256(content).hexdigest()
        self._write(self.blob_path(f"sha256:{digits}"), content)
        return {"digest": f"sha256:{digits}", "size": len(content)}

    def blob_path(self, digest: str) -> Path:
        digits = digest.removeprefix("sha256:")
        return self.top / "blobs" / "sha256" / digits[:2] / digits / "data"

    def image(self, repository: str, seed: str, *tags: str, pushed: float = 0, subject: str = "") -> str:
        """Store an image of one layer; returns its digest."""
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": self.blob(f"config of {seed}".encode()),
            "layers": [self.blob(f"layer of {seed}".encode())],
        }
        if subject:
            manifest["subject"] = {"digest": subject, "size": 1}
        return self.manifest(repository, manifest, *tags, pushed=pushed)

    def index(self, repository: str, children: list[str], *tags: str, pushed: float = 0) -> str:
        """Store an index of manifests; returns its digest."""
        manifests = [{"digest": child, "size": self.blob_path(child).stat().st_size} for child in children]
        manifest = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        return self.manifest(repository, manifest, *tags, pushed=pushed)

    def manifest(self, repository: str, manifest: dict[str, Any], *tags: str, pushed: float = 0) -> str:
        digest: str = self.blob(json.dumps(manifest).encode())["digest"]
        manifests = self.top / "repositories" / repository / "_manifests"
        self._link(manifests / "revisions" / "sha256" / digest.removeprefix("sha256:") / "link", digest, pushed)
        for tag in tags:
            self._link(manifests / "tags" / tag / "current" / "link", digest, pushed)
        return digest

    def _link(self, path: Path, digest: str, pushed: float) -> None:
        self._write(path, digest.encode())
        os.utime(path, (pushed, pushed))

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
