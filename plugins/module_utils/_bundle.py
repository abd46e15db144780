# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a controller without a network needs for a registry, in one archive. The logic of the module registry_bundle."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._skopeo import said, skopeo

_PART = 1024 * 1024
_LEFT_OUT = frozenset(
    {".git", ".stronghold", ".ansible", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__"}
)
_ONLY_IN_SOURCES = frozenset({"build", "molecule", "tests", "tools"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ARCHITECTURE = re.compile(r"[a-z0-9]+")

_README = """\
What a registry needs, without a network. On the controller:

    sha256sum --check --quiet checksums
    python3 -m venv venv
    venv/bin/pip install --no-index --find-links wheels {requirements}
    export ANSIBLE_COLLECTIONS_PATH=$PWD/collections
    options="-i INVENTORY -e @variables.yml -e registry_maintenance_bundle=$PWD"
    venv/bin/ansible-playbook $options stronghold.registry.site
    venv/bin/ansible-playbook $options stronghold.registry.seed

The hosts have to have the packages in packages.json, or a mirror of their distribution. seed needs skopeo here.
"""


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module registry_bundle. Returns what the module does.

    :raises RegistryError: what cannot be had; then there is no new archive.
    """
    if not _ARCHITECTURE.fullmatch(params["architecture"]):
        raise RegistryError(f"architecture: '{params['architecture']}' is none; write such as amd64 or arm64.")
    if not _NAME.fullmatch(params["name"]):
        raise RegistryError(f"name: '{params['name']}' is none; write such as registry.")
    name = f"stronghold-{params['name']}-{params['architecture']}"
    path = os.path.join(params["directory"], f"{name}.tar")
    result = {"changed": True, "reasons": [f"{path}: is made anew"], "path": path, "checksum": None}
    if check_mode:
        return result
    staging = os.path.join(params["directory"], f".{name}")
    try:
        if os.path.lexists(staging):
            # Left by a run that was killed.
            shutil.rmtree(staging)
        os.makedirs(os.path.join(staging, "images"))
        _fill(staging, params)
        _write(os.path.join(staging, "checksums"), "".join(_checksums(staging)))
        _pack(staging, name, path)
    except OSError as error:
        raise RegistryError(f"{path} cannot be made: {error.strerror or error} ({error.filename}).") from error
    finally:
        if os.path.lexists(staging):
            shutil.rmtree(staging)
    return {**result, "checksum": _sha256(path)}


def _fill(staging: str, params: Mapping[str, Any]) -> None:
    image = f"docker-archive:{staging}/image.tar:{params['image']}"
    source = params["image_source"]
    _copy(source, f"--override-arch={params['architecture']}", "copy", source, image)
    seeds = []
    for number, seed in enumerate(params["images"], start=1):
        archive = f"images/{number}.tar"
        target = f"oci-archive:{staging}/{archive}"
        _copy(seed["source"], "copy", "--all", "--preserve-digests", seed["source"], target)
        seeds.append({"name": seed["name"], "source": f"oci-archive:{{{{ registry_maintenance_bundle }}}}/{archive}"})
    for collection in params["collections"]:
        _copy_collection(collection, os.path.join(staging, "collections", "ansible_collections"))
    requirements = params["requirements"]
    if requirements:
        _download(requirements, os.path.join(staging, "wheels"))
    _write(os.path.join(staging, "packages.json"), json.dumps(params["packages"], indent=1) + "\n")
    _write(os.path.join(staging, "README"), _README.format(requirements=" ".join(requirements)))
    variables = {
        "registry_server_image": params["image"],
        "registry_server_image_source": "archive",
        "registry_server_image_archive": "{{ registry_maintenance_bundle }}/image.tar",
        "registry_maintenance_images": seeds,
    }
    # JSON is YAML, too.
    _write(os.path.join(staging, "variables.yml"), json.dumps(variables, indent=1) + "\n")


def _copy(source: str, *arguments: str) -> None:
    done = skopeo(*arguments)
    if done.returncode:
        raise RegistryError(f"{source} cannot be had: {said(done)}.")


def _download(requirements: list[str], target: str) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", target]
    done = subprocess.run([*pip, *requirements], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["pip does not say why"]
        raise RegistryError(f"requirements: the wheels cannot be had: {lines[-1].rstrip('.')}.")


def _copy_collection(source: str, target: str) -> None:
    """Copy an installed collection, or a checkout of one without what only its developers need."""
    # Not the real path: a checkout is linked to from where its name is right, and beside the others.
    source = os.path.normpath(source)
    namespace, name = source.split(os.sep)[-2:]
    if not os.path.exists(os.path.join(source, "meta", "runtime.yml")):
        raise RegistryError(f"collections: there is no collection in {source}.")
    installed = os.path.exists(os.path.join(source, "MANIFEST.json"))
    left_out = _LEFT_OUT if installed else _LEFT_OUT | _ONLY_IN_SOURCES

    def ignore(directory: str, names: list[str]) -> Iterable[str]:
        return left_out & set(names) if os.path.samefile(directory, source) else _LEFT_OUT & set(names)

    shutil.copytree(source, os.path.join(target, namespace, name), ignore=ignore)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _checksums(directory: str) -> Iterator[str]:
    """Lines for ``sha256sum --check`` of all files below a directory."""
    for top, directories, files in os.walk(directory):
        directories.sort()
        for name in sorted(files):
            path = os.path.join(top, name)
            yield f"{_sha256(path)}  {os.path.relpath(path, directory)}\n"


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(_PART), b""):
            digest.update(part)
    return digest.hexdigest()


def _pack(staging: str, name: str, path: str) -> None:
    def anonymous(member: tarfile.TarInfo) -> Optional[tarfile.TarInfo]:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    part = f"{path}.part"
    with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(staging, name, filter=anonymous)
    os.replace(part, path)
