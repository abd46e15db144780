# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of any number of platforms, made by hand as OCI layouts (OCI image-spec), for skopeo to push."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

_INDEX = "application/vnd.oci.image.index.v1+json"
_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Images:
    """Layouts below a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def make(self, name: str, *platforms: str, ballast: int = 0) -> Path:
        """Make an image that is an index of some platforms, or one of its own; returns its layout.

        An image of the same name and platform is always the same. The last one has *ballast*, so many bytes.
        """
        layout = self.directory / f"{name.replace('/', '-').replace(':', '-')}-{len(platforms)}"
        (layout / "blobs" / "sha256").mkdir(parents=True)
        (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        wanted = platforms or ("amd64",)
        images = [
            self._image(layout, f"{name} {platform}", platform, ballast if platform == wanted[-1] else 0)
            for platform in wanted
        ]
        top = images[0]
        if platforms:
            top = self._blob(layout, {"schemaVersion": 2, "mediaType": _INDEX, "manifests": images}, _INDEX)
        (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
        return layout

    @staticmethod
    def digest(layout: Path) -> str:
        """The digest of what a layout holds."""
        digest: str = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
        return digest

    def _image(self, layout: Path, seed: str, platform: str, ballast: int) -> dict[str, Any]:
        content = seed.encode() + bytes(ballast)
        # What is big is stored as it is: it is to take its time on the way.
        layer = self._blob(layout, gzip.compress(content, 0 if ballast else 9, mtime=0), _LAYER)
        unpacked = f"sha256:{hashlib.sha256(content).hexdigest()}"
        config = {"architecture": platform, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [unpacked]}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": _IMAGE,
            "config": self._blob(layout, config, _CONFIG),
            "layers": [layer],
        }
        return {**self._blob(layout, manifest, _IMAGE), "platform": {"architecture": platform, "os": "linux"}}

    def _blob(self, layout: Path, content: Any, media_type: str) -> dict[str, Any]:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        digits = hashlib.sha256(data).hexdigest()
        (layout / "blobs" / "sha256" / digits).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digits}", "size": len(data)}
