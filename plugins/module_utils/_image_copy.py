# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have an image in a registry that is elsewhere, copied by skopeo. The logic of the module registry_image."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._address import registry_problems
from ansible_collections.stronghold.registry.plugins.module_utils._client_certificate import check_client_pair
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._skopeo import said, skopeo

_NAME = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_TRANSPORTS = ("docker", "oci", "oci-archive", "docker-archive", "docker-daemon", "dir", "containers-storage")
_OF_ENGINES = ("docker-archive", "docker-daemon")
"""What holds no manifest, so that a copy gets a new one each time."""

_ABSENT = re.compile(r"manifest unknown|name unknown|NAME_UNKNOWN|MANIFEST_UNKNOWN|not found", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """An image for skopeo: its reference, and the options by which it is reached."""

    reference: str
    options: tuple[str, ...] = field(default=(), repr=False)

    @property
    def transport(self) -> str:
        return self.reference.partition(":")[0]


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module registry_image: compare, explain, copy. Returns what the module does.

    :raises RegistryError: a wrong parameter, no skopeo, or an image that can't be read or copied.
    """
    _check(params)
    with _places(params) as (source, target):
        wanted = _raw(source)
        if wanted is None:
            raise RegistryError(f"source: {source.reference} is not there.")
        present = _raw(target)
        reason = explain(present, wanted, exact=source.transport not in _OF_ENGINES)
        if reason and not check_mode:
            _copy(source, target)
            present = _raw(target)
            if explain(present, wanted, exact=source.transport not in _OF_ENGINES):
                raise RegistryError(
                    f"{target.reference} is still another image than {source.reference} after the copy."
                )
    return {
        "changed": bool(reason),
        "reasons": [f"{params['name']}: {reason}"] if reason else [],
        "digest": None if present is None or (reason and check_mode) else digest_of(present),
    }


def _check(params: Mapping[str, Any]) -> None:
    problems = registry_problems(params["registry"])
    if problems:
        raise RegistryError(f"registry: {' '.join(problems)}")
    if not _NAME.fullmatch(params["name"]):
        raise RegistryError(f"name: '{params['name']}' is no name with a tag; write such as team/app:1.")
    if params["source"].partition(":")[0] not in _TRANSPORTS:
        raise RegistryError(
            f"source: '{params['source']}' is no reference of skopeo; begin with one of "
            f"{', '.join(f'{transport}:' for transport in _TRANSPORTS)}, such as docker://quay.io/team/app:1."
        )
    if params["client_certificate"] or params["client_key"]:
        check_client_pair(params["client_certificate"], params["client_key"])
    for user, password in (("username", "password"), ("source_username", "source_password")):
        if bool(params[user]) != bool(params[password]):
            raise RegistryError(f"{user} and {password}: give both or none.")


def explain(present: Optional[bytes], wanted: bytes, *, exact: bool) -> str:
    """Why an image has to be copied; empty where it is there.

    Both are manifests. Where they can't be the same, *exact* is not set, and images of one configuration are.
    """
    if present is None:
        return "is not there"
    if present == wanted or (not exact and _config(present) and _config(present) == _config(wanted)):
        return ""
    return f"is {digest_of(present)[:19]}, wanted {digest_of(wanted)[:19]}"


def digest_of(manifest: bytes) -> str:
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _config(manifest: bytes) -> str:
    try:
        return str(json.loads(manifest)["config"]["digest"])
    except (ValueError, LookupError, TypeError):
        return ""


@contextmanager
def _places(params: Mapping[str, Any]) -> Iterator[tuple[Place, Place]]:
    """Source and target, with logins and certificates in files that only this process's user can read."""
    with tempfile.TemporaryDirectory(prefix="stronghold-") as directory:
        verify = ["--tls-verify=false"] if params["security"] == "insecure" else []
        # By these names (containers-certs.d(5)).
        certificates = {
            "ca.crt": params["ca_certificate"],
            "client.cert": params["client_certificate"],
            "client.key": params["client_key"],
        }
        for name, text in certificates.items():
            if text:
                _write(f"{directory}/certs/{name}", text)
        if any(certificates.values()):
            verify += [f"--cert-dir={directory}/certs"]
        auth = _login(directory, "target", params["registry"], params["username"], params["password"])
        target = Place(f"docker://{params['registry']}/{params['name']}", (*verify, *auth))
        host = params["source"].removeprefix("docker://").partition("/")[0]
        # Without a login given, that of the module's user.
        auth = []
        if params["source_username"] and params["source"].startswith("docker:"):
            auth = _login(directory, "source", host, params["source_username"], params["source_password"])
        yield Place(params["source"], tuple(auth)), target


def _login(directory: str, name: str, registry: str, username: str, password: str) -> list[str]:
    path = f"{directory}/{name}/auth.json"
    token = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    _write(path, json.dumps({"auths": {registry: {"auth": token}} if username else {}}))
    return [f"--authfile={path}"]


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _raw(place: Place) -> Optional[bytes]:
    """The manifest of an image or index; None where there is none."""
    done = skopeo("inspect", "--raw", *place.options, place.reference)
    if done.returncode == 0:
        return done.stdout
    why = said(done)
    if place.transport == "docker" and _ABSENT.search(why):
        return None
    raise RegistryError(f"{place.reference} cannot be read: {why}.")


def _copy(source: Place, target: Place) -> None:
    prefixed = [
        f"--{side}-{option[2:]}" for side, place in (("src", source), ("dest", target)) for option in place.options
    ]
    kept = [] if source.transport in _OF_ENGINES else ["--all", "--preserve-digests"]
    done = skopeo("copy", "--quiet", *kept, *prefixed, source.reference, target.reference)
    if done.returncode:
        raise RegistryError(
            f"{source.reference} cannot be copied to {target.reference}: {said(done)}. What was copied is kept, so "
            "run this again."
        )
