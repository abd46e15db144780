# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a registry that the roles made keeps its images, by its configuration: on this host, or in a bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.stronghold.registry.plugins.module_utils import _object_store
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import read_text
from ansible_collections.stronghold.registry.plugins.module_utils._registry_config import parse_file
from ansible_collections.stronghold.registry.plugins.module_utils._storage import Storage
from ansible_collections.stronghold.registry.plugins.module_utils._stored_files import BucketFiles

_ROOT = "/var/lib/registry"
"""Where the container sees the data directory, which is also the registry's default."""

_S3 = ("s3", "s3aws")


def read_config(path: str) -> dict[str, Any]:
    """A registry's configuration.

    :raises RegistryError: it is not there, or cannot be parsed.
    """
    text = read_text(path)
    if text is None:
        raise RegistryError(f"{path} is not there; is the registry on this host?")
    current = parse_file(text)
    if current.fault:
        raise RegistryError(f"{path} cannot be parsed: {current.fault}. Run site.yml first.")
    return dict(current.config)


def driver(config: Mapping[str, Any]) -> str:
    """The storage driver, by its name in the configuration; empty where there is none."""
    others = ("cache", "delete", "maintenance", "redirect", "tag")
    return next((name for name in config.get("storage") or {} if name not in others), "")


def is_in_bucket(config: Mapping[str, Any]) -> bool:
    """Whether the images are in an S3 store."""
    return driver(config) in _S3


def is_readable(config: Mapping[str, Any]) -> bool:
    """Whether the images can be looked at beside the registry: in a directory or an S3 store."""
    return driver(config) in ("filesystem", *_S3)


def bucket_settings(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the S3 store that the images are in."""
    storage = config["storage"]
    return storage.get(_S3[0]) or storage.get(_S3[1]) or {}


def is_read_only(config: Mapping[str, Any]) -> bool:
    """Whether the registry takes nothing, by its own configuration."""
    maintenance = (config.get("storage") or {}).get("maintenance") or {}
    return bool((maintenance.get("readonly") or {}).get("enabled"))


@contextmanager
def open_storage(config: Mapping[str, Any], directory: str) -> Iterator[Storage]:
    """The storage as it is now. That of a bucket is listed once: open it again to see what has changed since.

    :raises RegistryError: the data are in neither, or cannot be reached.
    """
    if is_in_bucket(config):
        settings = bucket_settings(config)
        authorities = read_text(os.path.join(directory, "config", "trusted.crt")) or ""
        with _object_store.connect(settings, authorities) as client:
            root = (settings.get("rootdirectory") or "").strip("/")
            yield Storage(root, BucketFiles(client, settings["bucket"], root))
        return
    _check_directory(config, directory)
    yield Storage(os.path.join(directory, "data"))


def _check_directory(config: Mapping[str, Any], directory: str) -> None:
    path, data = os.path.join(directory, "config", "config.yml"), os.path.join(directory, "data")
    if not is_readable(config):
        raise RegistryError(
            f"{path}: the registry's data are neither on this host nor in an S3 store; this works with the storage "
            "drivers filesystem and s3 only."
        )
    root = (config["storage"]["filesystem"] or {}).get("rootdirectory", _ROOT)
    if os.path.normpath(root) != _ROOT:
        raise RegistryError(
            f"{path}: storage.filesystem.rootdirectory is {root}, which is not where the data directory is mounted; "
            f"set it to {_ROOT}."
        )
    if not os.path.isdir(data):
        raise RegistryError(f"directory: {data} is no directory.")
