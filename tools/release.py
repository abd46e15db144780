# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the tarball of a release in build/release, and prove it: make release.

It is built twice from the commit, and has to be the same bytes, whoever builds it and when. Galaxy's own importer may
have nothing to say about it. It is installed without a network, and a registry with clients is made from that.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "release"
NAME = "stronghold-registry"
IMPORTER = ROOT / "build" / "importer" / "bin" / "python"
"""In an environment of its own, since it has linters of other versions than ours."""


def main() -> None:
    version = str(yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"])
    if output("git", "status", "--porcelain"):
        raise SystemExit("There are changes that no commit has; commit or remove them first.")
    if f"## v{version}" not in (ROOT / "CHANGELOG.md").read_text().replace("\\", ""):
        raise SystemExit(f"CHANGELOG.md has nothing of {version}; run: antsibull-changelog release")
    if WORK.exists():
        shutil.rmtree(WORK)
    tarball = WORK / f"{NAME}-{version}.tar.gz"
    first, second = (build(WORK / name, version) for name in ("first", "second"))
    if first != second:
        raise SystemExit("Two builds of one commit are not the same bytes.")
    tarball.write_bytes(first)
    judge(tarball)
    use(tarball)
    say(f"{tarball}\nsha256 {hashlib.sha256(first).hexdigest()}")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def output(*command: str, where: Path = ROOT, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=where,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stdout[-4000:]}")
    return done.stdout.strip()


def build(directory: Path, version: str) -> bytes:
    """Build the commit's collection, and put what depends on the machine, order and times, in order."""
    source = directory / "source"
    source.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(source, filter="data")
    output("ansible-galaxy", "collection", "build", str(source), "--output-path", str(directory))
    with tarfile.open(directory / f"{NAME}-{version}.tar.gz") as built:
        contents = {
            member.name: (member, file.read() if (file := built.extractfile(member)) else b"") for member in built
        }
    return packed(in_order(contents), int(output("git", "log", "-1", "--format=%ct")))


def in_order(contents: dict[str, tuple[tarfile.TarInfo, bytes]]) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """The lists of the collection sorted, with the checksum that the one has of the other."""
    listed = json.loads(contents["FILES.json"][1])
    listed["files"].sort(key=lambda entry: entry["name"])
    files = json.dumps(listed, indent=1, sort_keys=True).encode("utf-8")
    manifest = json.loads(contents["MANIFEST.json"][1])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(files).hexdigest()
    changed = {
        "MANIFEST.json": json.dumps(manifest, indent=1, sort_keys=True).encode("utf-8"),
        "FILES.json": files,
    }
    order = [*changed, *sorted(set(contents) - set(changed))]
    return {name: (contents[name][0], changed.get(name, contents[name][1])) for name in order}


def packed(contents: dict[str, tuple[tarfile.TarInfo, bytes]], time: int) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (member, content) in contents.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.mtime = member.type, len(content), time
            entry.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), 9, mtime=0)


def judge(tarball: Path) -> None:
    """Have Galaxy's importer judge it."""
    # Where it leaves its result.
    said = output(str(IMPORTER), "-m", "galaxy_importer.main", str(tarball), where=WORK)
    complaints = [line for line in said.splitlines() if re.match(r"(WARNING|ERROR)", line)]
    if complaints:
        raise SystemExit("Galaxy's importer complains:\n" + "\n".join(complaints))


def use(tarball: Path) -> None:
    """Install it without a network, and make a registry and a client from what was installed."""
    installed = WORK / "installed"
    paths = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    options = ("--offline", "--no-deps", "--collections-path", str(installed))
    output("ansible-galaxy", "collection", "install", *options, str(tarball), environment=paths)
    there = ROOT / "build" / "collections" / "ansible_collections" / "community"
    shutil.copytree(there, installed / "ansible_collections" / "community")
    output("molecule", "create", "--scenario-name=default")
    try:
        for _run in ("first", "second"):
            said = output(
                *("ansible-playbook", "-i", "molecule/inventory", "--limit=default", "stronghold.registry.site"),
                environment={**paths, "ANSIBLE_NOCOLOR": "1", "MOLECULE_PROJECT_DIRECTORY": str(ROOT)},
            )
    finally:
        output("molecule", "destroy", "--scenario-name=default")
    if re.search(r"changed=[1-9]", said[said.index("PLAY RECAP") :]):
        raise SystemExit(f"The second run changed something:\n{said[-2000:]}")


if __name__ == "__main__":
    main()
