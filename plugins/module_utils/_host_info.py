# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has in its Docker engine, at a port and for its Python. The logic of the module host_info."""

from __future__ import annotations

import contextlib
import glob
import os
import platform
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from ansible_collections.stronghold.registry.plugins.module_utils._dependencies import is_there
from ansible_collections.stronghold.registry.plugins.module_utils._docker_engine import ask, may_be_asked
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._files import read_file

_LISTENING = "0A"
"""TCP_LISTEN in /proc/net/tcp (proc(5), include/net/tcp_states.h of Linux)."""

_ENGINES_OWN = ("docker-proxy", "dockerd")
"""Programs that hold the ports that containers publish."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""Go's names, which images bear, for what the kernel calls otherwise."""

_PORTS = range(1, 65536)


def run(params: dict[str, Any]) -> dict[str, Any]:
    """The module host_info: look, change nothing. Returns what the module does.

    :raises RegistryError: a port or a library's name that is none, or an engine that listens and does not answer.
    """
    port = params["port"]
    if port is not None and port not in _PORTS:
        raise RegistryError(f"port: is {port}, wanted {_PORTS[0]} to {_PORTS[-1]}.")
    for name in params["libraries"]:
        if not name.isidentifier():
            raise RegistryError(f"libraries: '{name}' is no name that Python imports; write such as yaml.")
    socket_path = params["docker_socket"]
    running = ask(socket_path, "/containers/json") if may_be_asked(socket_path) else None
    answers = isinstance(running, list)
    return {
        "changed": False,
        "answers": answers,
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "containers": _containers(socket_path, params["containers"]) if answers else {},
        "images": [name for name in params["images"] if answers and _image_is_there(socket_path, name)],
        "paths": [path for path in params["paths"] if os.path.lexists(path)],
        "missing_libraries": [name for name in params["libraries"] if not is_there(name)],
        "port_containers": [] if port is None else publishers(running or [], port),
        "port_programs": [] if port is None else listeners(port),
        "swarm": swarm(ask(socket_path, "/info") if answers and params["swarm"] else None),
    }


def _containers(socket_path: str, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The containers of these names that are there, running or not."""
    inspected = {name: ask(socket_path, f"/containers/{quote(name, safe='')}/json") for name in names}
    return {
        name: {"image": found["Image"], "labels": found["Config"]["Labels"] or {}}
        for name, found in inspected.items()
        # The engine takes the beginning of an identifier for a name as well.
        if found is not None and found["Name"] == f"/{name}"
    }


def _image_is_there(socket_path: str, name: str) -> bool:
    return ask(socket_path, f"/images/{quote(name, safe='/:@')}/json") is not None


def swarm(info: Any) -> dict[str, Any]:
    """What an engine says of the swarm it is in (``Swarm`` of ``GET /info``); nothing where it was not asked."""
    told = (info or {}).get("Swarm") or {}
    return {
        "active": told.get("LocalNodeState") == "active",
        "manager": bool(told.get("ControlAvailable")),
        "node": told.get("NodeID") or "",
        "labels": ((told.get("Cluster") or {}).get("Spec") or {}).get("Labels") or {},
        "managers": sorted(manager["NodeID"] for manager in told.get("RemoteManagers") or ()),
    }


def publishers(running: Iterable[dict[str, Any]], port: int) -> list[str]:
    """The names of those of the running containers (``GET /containers/json``) that publish a TCP port of the host."""
    return sorted(
        container["Names"][0].lstrip("/")
        for container in running
        if any((used.get("PublicPort"), used["Type"]) == (port, "tcp") for used in container["Ports"] or ())
    )


def listeners(port: int) -> list[str]:
    """The names of the programs that listen on a TCP port, at any address; the engine's own are left out."""
    sockets = {
        f"socket:[{inode}]"
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for inode in listening_inodes((read_file(table) or b"").decode("ascii"), port)
    }
    return sorted(set(_holders(sockets)) - set(_ENGINES_OWN)) if sockets else []


def listening_inodes(table: str, port: int) -> list[str]:
    """The inodes of the sockets that listen on a port, in the text of /proc/net/tcp or tcp6 (proc(5))."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return [row[9] for row in rows if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port]


def _holders(sockets: set[str]) -> Iterable[str]:
    for descriptor in glob.glob("/proc/[0-9]*/fd/[0-9]*"):
        # A process may end meanwhile, or be another user's.
        with contextlib.suppress(OSError):
            if os.readlink(descriptor) in sockets:
                yield (read_file(f"{descriptor.split('/fd/')[0]}/comm") or b"").decode("utf-8", "replace").strip()
