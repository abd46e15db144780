# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Push and pull images of random content with skopeo, until the file ``stop`` is there; print an operation a line.

Usage: load.py REGISTRY DIRECTORY WORKERS. Runs on a client, with its Python alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

LAYER = 50_000
"""Bytes of each image's only layer."""

_writing = threading.Lock()


def main() -> None:
    registry, directory, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    threads = [threading.Thread(target=work, args=(registry, directory, number)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def work(registry: str, directory: Path, number: int) -> None:
    image, back = directory / f"image{number}", directory / f"back{number}"
    count = 0
    while not (directory / "stop").exists():
        digest = make_image(image)
        name = f"docker://{registry}/load/worker{number}:{count}"
        pushed = operate("push", ["skopeo", "copy", "--quiet", "--preserve-digests", f"oci:{image}", name])
        if pushed:
            operate("pull", ["skopeo", "copy", "--quiet", "--preserve-digests", name, f"oci:{back}"], back, digest)
        count += 1


def operate(what: str, command: list[str], back: Path | None = None, digest: str = "") -> bool:
    """Run a client; what it pulled has to be what was pushed. skopeo compares each blob with its digest."""
    if back is not None:
        remove(back)
    begun = time.time()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    said = done.stdout.strip() if done.returncode else ""
    if back is not None and not done.returncode:
        found = json.loads((back / "index.json").read_text())["manifests"][0]["digest"]
        said = "" if found == digest else f"DAMAGED: {found} instead of {digest}"
    with _writing:
        sys.stdout.write(json.dumps({"what": what, "begun": begun, "ended": time.time(), "said": said}) + "\n")
        sys.stdout.flush()
    return not said


def remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)


def make_image(directory: Path) -> str:
    """An image (OCI image-layout) of one random layer; returns the digest of its manifest."""
    remove(directory)
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digits = hashlib.sha256(content).hexdigest()
        (blobs / digits).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digits}", "size": len(content)}

    layer = blob(os.urandom(LAYER), "layer.v1.tar")
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "config.v1+json"),
        "layers": [layer],
    }
    described = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    (directory / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return str(described["digest"])


if __name__ == "__main__":
    main()
