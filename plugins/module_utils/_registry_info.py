# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a registry on this host is, and what it holds. The logic of the module registry_info."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils import _history
from ansible_collections.stronghold.registry.plugins.module_utils._certificate import (
    certificate_facts,
    load_certificates,
)
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import read_text
from ansible_collections.stronghold.registry.plugins.module_utils._htpasswd import parse_file
from ansible_collections.stronghold.registry.plugins.module_utils._read_only import SWARM_SERVICE, Container, Registry
from ansible_collections.stronghold.registry.plugins.module_utils._registry_lock import is_left_over
from ansible_collections.stronghold.registry.plugins.module_utils._registry_storage import (
    driver,
    is_readable,
    open_storage,
    read_config,
)
from ansible_collections.stronghold.registry.plugins.module_utils._storage import (
    SCHEMA_1,
    DamageError,
    Descriptor,
    Storage,
    damage,
)

_RESTART_POLICIES = ("always", "unless-stopped")
_CERTIFICATES = {"server": "certs/registry.crt", "ca": "ca/ca.crt"}


def run(params: Mapping[str, Any]) -> dict[str, Any]:
    """The module registry_info: look, change nothing. Returns what the module does.

    :raises RegistryError: there is no registry in the directory, or a file of it that cannot be read.
    """
    directory = params["directory"]
    registry = Registry(params["container"], directory)
    if not os.path.isdir(registry.data_directory):
        raise RegistryError(f"directory: there is no registry in {directory}.")
    config = read_config(registry.config_path)
    return {
        "changed": False,
        "container": _container(registry),
        "certificates": _certificates(directory),
        "users": _users(os.path.join(directory, "auth", "htpasswd")),
        "disk": _history.disk(registry.data_directory),
        "driver": driver(config),
        **_stored(config, directory),
        "history": _history.read(registry.history_path),
    }


def _stored(config: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """What the registry holds; None of each where that can't be looked at."""
    if not is_readable(config):
        return dict.fromkeys(("stored", "repositories", "damaged", "schema1"))
    with open_storage(config, directory) as storage:
        return {
            "stored": sum(size for _digest, size in storage.blobs()),
            "repositories": [_repository(storage, name) for name in storage.repositories()],
            # A cache has images that were pulled in part.
            "damaged": [] if "proxy" in config else damage(storage),
            "schema1": _of_schema_1(storage),
        }


def _container(registry: Registry) -> dict[str, Any]:
    container = Container(registry.container)
    runs = container.runs()
    found: dict[str, Any] = {
        "name": registry.container,
        "runs": runs,
        "image": None,
        "version": None,
        "started": None,
        "problems": [],
        "interrupted": is_left_over(registry.config_path),
    }
    if runs:
        described = container.inspect()
        found["image"] = described["Config"]["Image"]
        found["version"] = container.version()
        found["started"] = described["State"]["StartedAt"]
        found["problems"] = hardening_problems(described)
    return found


def hardening_problems(described: Mapping[str, Any]) -> list[str]:
    """What a container is allowed that a registry does not need, a clause each (``GET /containers/NAME/json``)."""
    host = described["HostConfig"]
    options = host.get("SecurityOpt") or []
    user = str(described["Config"].get("User") or "").partition(":")[0]
    # A swarm starts its containers itself, and can't be told of privileges.
    in_swarm = SWARM_SERVICE in (described["Config"].get("Labels") or {})
    checks = {
        "runs as root": user in ("", "0", "root"),
        "has a root file system that it can write to": not host.get("ReadonlyRootfs"),
        "keeps capabilities": "ALL" not in (host.get("CapDrop") or []) or bool(host.get("CapAdd")),
        "may gain privileges": not in_swarm
        and (
            not any(option.startswith("no-new-privileges") for option in options)
            or "no-new-privileges:false" in options
        ),
        "is privileged": bool(host.get("Privileged")),
        "may use all memory": not host.get("Memory"),
        "is not restarted with its engine": not in_swarm
        and host.get("RestartPolicy", {}).get("Name") not in _RESTART_POLICIES,
    }
    return [problem for problem, found in checks.items() if found]


def _certificates(directory: str) -> dict[str, Optional[dict[str, Any]]]:
    """The facts of the server's certificate and of the CA's; None for one that there is not."""
    now = datetime.now(timezone.utc)
    found: dict[str, Optional[dict[str, Any]]] = {}
    for what, place in _CERTIFICATES.items():
        path = os.path.join(directory, place)
        text = read_text(path)
        found[what] = certificate_facts(load_certificates(text, path)[0], now) if text else None
    return found


def _users(path: str) -> Optional[list[dict[str, Any]]]:
    """Names with the cost of their hashes; None where no user file is."""
    text = read_text(path)
    if text is None:
        return None
    return [{"name": line.name, "cost": line.cost} for line in parse_file(text, path) if line.name is not None]


def _repository(storage: Storage, name: str) -> dict[str, Any]:
    blobs: dict[str, int] = {}
    tags = []
    for tag in storage.tags(name):
        needed = _needed(storage, tag.digest)
        blobs.update(needed)
        tags.append(
            {
                "name": tag.name,
                "digest": tag.digest,
                "pushed": int(tag.pushed),
                "size": sum(needed.values()),
            }
        )
    return {"name": name, "size": sum(blobs.values()), "tags": tags}


def _of_schema_1(storage: Storage) -> list[str]:
    """All manifests of the first schema, by tag where they have one."""
    found = []
    for repository in storage.repositories():
        tags = {tag.digest: f":{tag.name}" for tag in storage.tags(repository)}
        for digest in storage.revisions(repository):
            with contextlib.suppress(DamageError):
                if storage.manifest(digest).media_type == SCHEMA_1:
                    found.append(repository + tags.get(digest, f"@{digest}"))
    return sorted(found)


def _needed(storage: Storage, digest: str) -> dict[str, int]:
    """All that a tag needs, with sizes in bytes; of what is damaged, what can be told."""
    found: dict[str, int] = {}
    pending = [Descriptor(digest)]
    while pending:
        descriptor = pending.pop()
        if descriptor.digest in found:
            continue
        try:
            manifest = storage.manifest(descriptor.digest)
        except DamageError:
            continue
        found[manifest.digest] = manifest.size
        found.update({blob.digest: storage.blob_size(blob.digest) or 0 for blob in manifest.blobs})
        pending += manifest.children
    return found
