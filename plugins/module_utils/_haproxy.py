# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A balancer that runs (HAProxy), asked and told through its socket (management.txt of HAProxy, 9.3)."""

from __future__ import annotations

import csv
import os
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Optional

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

BACKEND = "registry"
"""The name that the role registry_balancer gives to all replicas together."""

_DRAINED = 0x08 | 0x10
"""Of srv_admin_state: by command or by configuration (SRV_ADMF_DRAIN in include/haproxy/server-t.h)."""

_ANSWER = 5.0
"""Seconds that a balancer may take to answer."""

_CONNECT = 3.0
"""Seconds that a replica may take to accept a connection."""

_PAUSE = 0.2
_NAME = re.compile(r"[A-Za-z0-9_.:-]+")


@dataclass(frozen=True)
class Server:
    """A replica as the balancer sees it: where it is, whether it gets new connections, and how many it has."""

    address: str
    port: int
    drained: bool
    up: bool
    sessions: int


def run(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """The module balancer_server: look, explain, tell, wait. Returns what the module does.

    :raises RegistryError: the balancer does not know the server, or does not answer.
    """
    path, name = params["socket"], params["server"]
    if not _NAME.fullmatch(name):
        raise RegistryError(f"server: '{name}' is no name of a server; it has letters, digits and any of - _ . : only.")
    server = _look(path, name) if os.path.exists(path) else None
    # None: no balancer runs there yet, or it does not know of this replica yet, but will by its configuration.
    wanted = params["state"] == "drain"
    changes = server is not None and server.drained is not wanted
    if server is not None and not check_mode:
        if changes:
            _tell(path, f"set server {BACKEND}/{name} state {params['state']}")
        server = _wait(path, name, wanted, params["timeout"])
    return {
        "changed": changes,
        "reasons": [f"{name}: is {'in' if wanted else 'out of'} rotation, wanted {params['state']}"] if changes else [],
        "found": server is not None,
        "up": server is not None and server.up,
        "sessions": server.sessions if server is not None else 0,
    }


def _wait(path: str, name: str, drained: bool, patience: float) -> Optional[Server]:
    """Until a drained server has nothing to do any more, or one in rotation is found to be up."""
    end = time.monotonic() + patience
    while True:
        server = _look(path, name)
        if server is None:
            return None
        if not drained and server.up and not _accepts(server):
            server = replace(server, up=False)
        if (server.sessions == 0 if drained else server.up) or time.monotonic() > end:
            return server
        time.sleep(_PAUSE)


def _accepts(server: Server) -> bool:
    """Whether the replica can be reached right now. The balancer's checks need a while to notice a new firewall."""
    try:
        socket.create_connection((server.address, server.port), _CONNECT).close()
    except OSError:
        return False
    return True


def _look(path: str, name: str) -> Optional[Server]:
    return parse_server(ask(path, "show servers state"), ask(path, "show stat"), name)


def parse_server(states: str, statistics: str, name: str) -> Optional[Server]:
    """The server of this name in what ``show servers state`` and ``show stat`` print, or None."""
    # The first line is the number of the format.
    state = csv.DictReader((line.lstrip("# ") for line in states.splitlines()[1:]), delimiter=" ")
    servers = {row["srv_name"]: row for row in state if row.get("be_name") == BACKEND}
    for row in csv.DictReader(statistics.lstrip("# ").splitlines()):
        if row.get("pxname") == BACKEND and row.get("svname") == name and name in servers:
            return Server(
                servers[name]["srv_addr"],
                int(servers[name]["srv_port"]),
                drained=bool(int(servers[name]["srv_admin_state"]) & _DRAINED),
                up=row["status"].startswith("UP"),
                sessions=int(row["scur"] or 0),
            )
    return None


def _tell(path: str, command: str) -> None:
    answer = ask(path, command).strip()
    # It is silent about what it did.
    if answer:
        raise RegistryError(f"socket: the balancer at {path} did not take '{command}': {answer}")


def ask(path: str, command: str) -> str:
    """What the balancer answers to a command.

    :raises RegistryError: nobody answers there.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER)
            connection.connect(path)
            connection.sendall(f"{command}\n".encode())
            parts = iter(lambda: connection.recv(65536), b"")
            return b"".join(parts).decode("utf-8", "replace")
    except OSError as error:
        raise RegistryError(f"socket: the balancer at {path} does not answer: {error}.") from error
