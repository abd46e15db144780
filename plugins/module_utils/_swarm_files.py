# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of this host as secrets and configs of its Docker swarm. The logic of the module swarm_files.

Neither can be changed once it is there (api/types/swarm/secret.go and config.go of moby), so each bears a hash of its
content in its name: a service that goes back to what it was finds what it had.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.stronghold.registry.plugins.module_utils._docker_engine import ask, order
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import read_file

LABEL = "stronghold.registry"
"""Of secrets and configs, the service that they were made for."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
"""What the engine takes (manager/controlapi/common.go of swarmkit)."""

_HASH_DIGITS = 16
_SECRETS, _CONFIGS = "secrets", "configs"
_MODES = {_SECRETS: 0o400, _CONFIGS: 0o444}


@dataclass(frozen=True)
class File:
    """A file of this host, where a service's containers see it, and as which of the two."""

    path: str
    target: str
    kind: str
    content: bytes = field(repr=False)

    def name(self, service: str) -> str:
        """What it is called in the swarm.

        :raises RegistryError: the engine would not take such a name.
        """
        digits = hashlib.sha256(self.content).hexdigest()[:_HASH_DIGITS]
        name = f"{service}-{os.path.basename(self.path)}-{digits}"
        if not _NAME.fullmatch(name):
            raise RegistryError(
                f"service: '{service}' makes '{name}' of {self.path}, which no swarm takes; take a name of letters and "
                "digits that is shorter."
            )
        return name


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module swarm_files. Returns what the module does.

    :raises RegistryError: a file that is not there, or what the engine refuses.
    """
    service, socket_path = params["service"], params["docker_socket"]
    files = [_read(given) for given in params["files"]]
    present = {kind: _present(socket_path, kind, service) for kind in _MODES}
    reasons, used = list[str](), dict[str, list[dict[str, Any]]]({kind: [] for kind in _MODES})
    for file in files:
        name = file.name(service)
        identifier = present[file.kind].get(name)
        if identifier is None:
            reasons.append(f"{file.path}: the swarm has not this content")
            identifier = "new" if check_mode else _create(socket_path, service, file)
        used[file.kind].append(_used_as(file, name, identifier, params["uid"]))
    # With nothing new the service stays as it is, and so does what it was.
    if params["purge"] and (reasons or not files):
        # Without files it is given up, and with it what it may need until it is gone.
        needed = {file.name(service) for file in files} | set(_names(_service(socket_path, service)) if files else ())
        for kind, name, identifier in _without(present, needed):
            reasons.append(f"{name}: the service needs it no more")
            if not check_mode:
                order(socket_path, "DELETE", f"/{kind}/{quote(identifier)}")
    return {"changed": bool(reasons), "reasons": reasons, **used}


def _read(given: Mapping[str, Any]) -> File:
    content = read_file(given["path"])
    if content is None:
        raise RegistryError(f"files: {given['path']} is not there; make it first.")
    return File(given["path"], given["target"], _SECRETS if given["secret"] else _CONFIGS, content)


def _present(socket_path: str, kind: str, service: str) -> dict[str, str]:
    """What the swarm has for a service, names with identifiers."""
    wanted = urlencode({"filters": json.dumps({"label": [f"{LABEL}={service}"]})})
    return {found["Spec"]["Name"]: found["ID"] for found in order(socket_path, "GET", f"/{kind}?{wanted}")}


def _create(socket_path: str, service: str, file: File) -> str:
    body = {
        "Name": file.name(service),
        "Labels": {LABEL: service},
        "Data": base64.b64encode(file.content).decode("ascii"),
    }
    return str(order(socket_path, "POST", f"/{file.kind}/create", body)["ID"])


def _used_as(file: File, name: str, identifier: str, uid: int) -> dict[str, Any]:
    """As the module community.docker.docker_swarm_service takes it."""
    singular = file.kind[:-1]
    return {
        f"{singular}_id": identifier,
        f"{singular}_name": name,
        "filename": file.target,
        "uid": str(uid),
        "gid": str(uid),
        "mode": _MODES[file.kind],
    }


def _service(socket_path: str, service: str) -> Mapping[str, Any]:
    return ask(socket_path, f"/services/{quote(service, safe='')}") or {}


def _names(service: Mapping[str, Any]) -> Iterator[str]:
    """What a service (``GET /services/NAME``) has of both, and what it had before, to which it may go back."""
    for spec in (service.get("Spec"), service.get("PreviousSpec")):
        container = ((spec or {}).get("TaskTemplate") or {}).get("ContainerSpec") or {}
        yield from (secret["SecretName"] for secret in container.get("Secrets") or ())
        yield from (config["ConfigName"] for config in container.get("Configs") or ())


def _without(present: Mapping[str, Mapping[str, str]], needed: set[str]) -> Sequence[tuple[str, str, str]]:
    return [
        (kind, name, identifier)
        for kind, found in present.items()
        for name, identifier in sorted(found.items())
        if name not in needed
    ]
