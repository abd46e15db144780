# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove from a registry's storage what no manifest needs, while it goes on to serve.

Nothing must be pushed meanwhile (docs/content/about/garbage-collection.md of distribution). The collection runs inside
the registry's container, so that the restart at the end of the read-only phase also ends one that was left over.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stronghold.registry.plugins.module_utils import _history
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._read_only import (
    Container,
    Registry,
    mend_cache,
    read_only,
    recover,
)
from ansible_collections.stronghold.registry.plugins.module_utils._registry_lock import alone, is_left_over
from ansible_collections.stronghold.registry.plugins.module_utils._registry_storage import (
    is_read_only,
    open_storage,
    read_config,
)
from ansible_collections.stronghold.registry.plugins.module_utils._stale_cache import Cache
from ansible_collections.stronghold.registry.plugins.module_utils._storage import DamageError, Storage, damage, needed

_BLOB = re.compile(r"^blob eligible for deletion: (?P<digest>\S+)$", re.MULTILINE)
# Version 3 prints the whole of what it calls a manifest to delete: {repository digest [tags]}.
_MANIFEST = re.compile(r"^manifest eligible for deletion: (?:\{\S* )?(?P<digest>\w+:\w+)", re.MULTILINE)
_KNOWS_INDEXES = 3
"""The major version since which a collection of untagged manifests spares those that a tagged index needs."""


@dataclass
class Garbage:
    """What a collection would remove: blobs, manifests among them, and their size in bytes."""

    blobs: list[str] = field(default_factory=list)
    manifests: int = 0
    size: int = 0


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module registry_garbage_collect: look, explain, collect, verify. Returns what the module does.

    :raises RegistryError: what stands against it, or what went wrong; the registry serves as before in any case.
    """
    registry = Registry(params["container"], params["directory"])
    container = Container(registry.container)
    if params.get("only_recover"):
        with alone(registry.directory):
            return _recover(registry, check_mode)
    _check(registry, container, params["delete_untagged"])
    with alone(registry.directory, patience=params.get("patience", 0.0)):
        return _collect(registry, container, params, check_mode)


def _recover(registry: Registry, check_mode: bool) -> dict[str, Any]:
    stale = Cache(registry.directory, {}).is_stale
    if stale and not check_mode:
        mend_cache(registry)
    reasons = ["the cache may remember what a collection removed that was interrupted"] if stale else []
    return {"changed": stale, "reasons": reasons, "blobs": 0, "manifests": 0, "size": 0, "damaged": []}


def _collect(registry: Registry, container: Container, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    options = _options(params)
    left_over = is_left_over(registry.config_path)
    if left_over and not check_mode:
        recover(registry)
    config = read_config(registry.config_path)
    cache = Cache(registry.directory, config)
    if not check_mode:
        _refuse_writable_replicas(registry, config, params)
        cache.check()
        mend_cache(registry)
    with open_storage(config, registry.directory) as storage:
        damaged_before = damage(storage)
        garbage = _report(container, storage, options)
    if garbage.blobs and not check_mode:
        # One that is read-only by its configuration is so together with the other replicas, if it has any.
        with contextlib.nullcontext() if is_read_only(config) else read_only(registry, container):
            # Again, now that nobody pushes.
            with open_storage(config, registry.directory) as storage:
                garbage, damaged_before = _report(container, storage, options), damage(storage)
                _refuse_needed(storage, garbage)
            with cache.stale():
                container.collect(*options)
            with open_storage(config, registry.directory) as storage:
                _verify(storage, damaged_before)
    found = {"blobs": len(garbage.blobs), "manifests": garbage.manifests, "size": garbage.size}
    if not check_mode:
        _history.add(registry.history_path, "garbage_collect", **found, damaged=len(damaged_before))
    reasons = ["an earlier garbage collection or backup was interrupted"] if left_over else []
    reasons += explain(garbage)
    return {"changed": bool(reasons), "reasons": reasons, **found, "damaged": damaged_before}


def _refuse_writable_replicas(registry: Registry, config: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    if params.get("shared") and not is_read_only(config):
        raise RegistryError(
            f"{registry.config_path}: the registry is not read-only, so its other replicas may be pushed to as well. "
            "Nothing was collected."
        )


def _report(container: Container, storage: Storage, options: list[str]) -> Garbage:
    # The registry takes a storage that nobody has pushed to for an error.
    if not storage.repositories():
        return Garbage()
    return parse_report(container.collect("--dry-run", *options), storage)


def _refuse_needed(storage: Storage, garbage: Garbage) -> None:
    """The registry goes by other links than tags do. Where some were lost, it takes for garbage what a tag needs."""
    wanted = needed(storage)
    lost = sorted({wanted[digest] for digest in garbage.blobs if digest in wanted})
    if lost:
        raise RegistryError(
            f"The registry would remove what {len(lost)} tags need: {', '.join(lost[:5])}. Its storage lacks links, "
            "perhaps since it was copied or cleaned by hand; push these images again, or delete their tags. Nothing "
            "was removed."
        )


def _verify(storage: Storage, damaged_before: list[str]) -> None:
    damaged = sorted(set(damage(storage)) - set(damaged_before))
    if damaged:
        raise RegistryError(
            f"After the collection {len(damaged)} tags can't be pulled that could be before: "
            f"{' '.join(damaged[:5])} Restore the last backup of the data."
        )


def explain(garbage: Garbage) -> list[str]:
    """Why a collection is due."""
    if not garbage.blobs:
        return []
    return [f"no image needs some blobs: {len(garbage.blobs)}, of {garbage.size} bytes"]


def parse_report(output: str, storage: Storage) -> Garbage:
    """Read what ``registry garbage-collect`` prints (registry/storage/garbagecollect.go of distribution)."""
    blobs = _BLOB.findall(output)
    try:
        size = sum(storage.blob_size(digest) or 0 for digest in blobs)
    except DamageError as error:
        raise RegistryError(f"The registry reports as garbage what is none: {error}.") from error
    return Garbage(blobs, len(_MANIFEST.findall(output)), size)


def _options(params: Mapping[str, Any]) -> list[str]:
    return ["--delete-untagged"] if params["delete_untagged"] else []


def _check(registry: Registry, container: Container, delete_untagged: bool) -> None:
    config = read_config(registry.config_path)
    if "proxy" in config:
        raise RegistryError(
            f"{registry.config_path}: this is a pull-through cache (proxy), which removes by itself what is older than "
            "its ttl; do not collect it."
        )
    if not container.runs():
        raise RegistryError(f"container: {container.name} does not run; start it, best with site.yml.")
    if delete_untagged and container.major() < _KNOWS_INDEXES:
        raise RegistryError(
            "delete_untagged: a registry before version 3 would delete the images that an index is made of (its issue "
            "3178); leave it out, and remove untagged manifests with registry_prune."
        )
