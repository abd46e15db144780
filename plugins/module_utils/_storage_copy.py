# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy a registry's images from this host into a bucket, by rclone, and find there all that was here, by digest."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.stronghold.registry.plugins.module_utils import _object_store
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import read_text
from ansible_collections.stronghold.registry.plugins.module_utils._programs import find_program
from ansible_collections.stronghold.registry.plugins.module_utils._registry_lock import alone
from ansible_collections.stronghold.registry.plugins.module_utils._registry_storage import is_in_bucket, read_config
from ansible_collections.stronghold.registry.plugins.module_utils._storage import Storage, damage
from ansible_collections.stronghold.registry.plugins.module_utils._stored_files import BucketFiles

_UPLOADS = "_uploads/**"
"""What is just being pushed, which no client would go on with."""

_TRANSFERS = 8


def run(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """The module registry_storage_copy: compare, copy, compare again. Returns what the module does.

    :raises RegistryError: what stands against it, or what differs in the end; what was here is as before in any case.
    """
    directory, settings = params["data_directory"], params["settings"]
    if params["config_path"] and read_text(params["config_path"]) and is_in_bucket(read_config(params["config_path"])):
        # What is in the bucket is newer than what is here.
        return {"changed": False, "reasons": [], "moved": True, "repositories": 0, "size": 0}
    if not os.path.isdir(directory):
        raise RegistryError(f"data_directory: {directory} is no directory.")
    if not settings.get("bucket"):
        raise RegistryError("settings: bucket is missing; name the bucket that the images shall go to.")
    here = Storage(directory)
    connection = _object_store.connect(settings, params["ca_certificate"])
    # Nobody is to run the registry on a bucket that does not have all yet.
    with alone(os.path.dirname(directory)), connection as client:
        missing = _missing(here, _there(client, settings))
        if missing and not check_mode:
            with _authorities(params["ca_certificate"]) as authorities:
                _copy(directory, settings, authorities)
        if not check_mode:
            _verify(here, _there(client, settings), content=params["verify"] == "content")
    return {
        "changed": bool(missing),
        "reasons": missing,
        "moved": False,
        "repositories": len(here.repositories()),
        "size": sum(size for _digest, size in here.blobs()),
    }


def _there(client: Any, settings: Mapping[str, Any]) -> Storage:
    root = (settings.get("rootdirectory") or "").strip("/")
    return Storage(root, BucketFiles(client, settings["bucket"], root))


def _missing(here: Storage, there: Storage) -> list[str]:
    """What the bucket lacks, a sentence for each repository, and one for all blobs."""
    reasons = []
    for repository in here.repositories():
        tags = {tag.name: tag.digest for tag in there.tags(repository)}
        lacking = [tag.name for tag in here.tags(repository) if tags.get(tag.name) != tag.digest]
        manifests = here.revisions(repository).keys() - there.revisions(repository).keys()
        if lacking or manifests:
            reasons.append(f"{repository}: the bucket lacks {len(lacking)} tags and {len(manifests)} manifests")
    known = dict(there.blobs())
    blobs = [digest for digest, size in here.blobs() if known.get(digest) != size]
    return reasons + ([f"blobs: the bucket lacks {len(blobs)}"] if blobs else [])


def _verify(here: Storage, there: Storage, *, content: bool) -> None:
    missing = _missing(here, there)
    if missing:
        raise RegistryError(
            f"After the copy the bucket is not what this host has: {'; '.join(missing[:5])}. Was something pushed "
            "meanwhile? Run this again while the registry is read-only."
        )
    damaged = sorted(set(damage(there, content=content)) - set(damage(here)))
    if damaged:
        raise RegistryError(
            f"In the bucket {len(damaged)} tags can't be pulled that can be here: {' '.join(damaged[:5])} Look at the "
            "store, remove its damaged objects, and run this again."
        )


@contextlib.contextmanager
def _authorities(ca_certificate: str) -> Iterator[str]:
    """A file with the CAs of the store, or nothing for those of the system."""
    if not ca_certificate:
        yield ""
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(ca_certificate)
        file.flush()
        yield file.name


def _copy(directory: str, settings: Mapping[str, Any], authorities: str) -> None:
    program = find_program("rclone")
    if program is None:
        raise RegistryError("The program rclone is missing on this host; install the package rclone.")
    root = (settings.get("rootdirectory") or "").strip("/")
    target = "/".join(part for part in (f"store:{settings['bucket']}", root, "docker") if part)
    options = ["--config=", "--use-json-log", "--log-level=ERROR", f"--transfers={_TRANSFERS}", f"--exclude={_UPLOADS}"]
    options += ["--checksum", "--s3-no-check-bucket"]
    options += [f"--ca-cert={authorities}"] if authorities else []
    options += ["--no-check-certificate"] if settings.get("skipverify") else []
    done = subprocess.run(
        [program, "copy", *options, os.path.join(directory, "docker"), target],
        env={"PATH": os.environ.get("PATH", ""), **environment(settings)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise RegistryError(f"rclone could not copy all of {directory}: {last_words(done.stderr)}.")


def environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """How rclone learns of the store (its documentation of S3): not by its command line, which others can see."""
    keys = settings.get("accesskey")
    values = {
        "TYPE": "s3",
        "PROVIDER": "Other" if settings.get("regionendpoint") else "AWS",
        "ENV_AUTH": "false" if keys else "true",
        "ACCESS_KEY_ID": keys,
        "SECRET_ACCESS_KEY": settings.get("secretkey"),
        "REGION": settings.get("region"),
        "ENDPOINT": _object_store.endpoint(settings),
        "SERVER_SIDE_ENCRYPTION": ("aws:kms" if settings.get("keyid") else "AES256")
        if settings.get("encrypt")
        else None,
        "SSE_KMS_KEY_ID": settings.get("keyid"),
        "STORAGE_CLASS": settings.get("storageclass"),
        "ACL": settings.get("objectacl"),
        "FORCE_PATH_STYLE": "true" if settings.get("regionendpoint") else "false",
    }
    return {f"RCLONE_CONFIG_STORE_{name}": str(value) for name, value in values.items() if value}


def last_words(log: str) -> str:
    """The last message of rclone's log, a JSON object in each line."""
    for line in reversed(log.splitlines()):
        with contextlib.suppress(ValueError, LookupError, TypeError):
            return str(json.loads(line)["msg"]).strip().rstrip(".")
    return log.strip()[-200:] or "it does not say why"
