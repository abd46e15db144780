# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a Docker swarm runs a service as it was last asked to. The logic of the module swarm_rollout.

States of updates and of tasks are in api/types/swarm/service.go and task.go of moby.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.stronghold.registry.plugins.module_utils._docker_engine import order
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

DONE, GOING_ON, GONE_BACK, STUCK = "done", "going on", "gone back", "stuck"

_UPDATES = {
    "updating": GOING_ON,
    "rollback_started": GOING_ON,
    "rollback_completed": GONE_BACK,
    "paused": STUCK,
    "rollback_paused": STUCK,
}
_RUNNING = "running"
_INTERVAL = 0.5
"""Seconds between two looks."""

_PATIENCE = 10.0
"""Seconds for which the swarm may give no answer."""

_TOLD = 3
"""How many different complaints are told."""


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The module swarm_rollout. Returns what the module does.

    :raises RegistryError: the swarm gave up, or is not done in time; *gone_back* tells that it runs what it did before.
        Or there is no such service, or nobody who knows.
    """
    socket_path, name = params["docker_socket"], params["service"]
    deadline = time.monotonic() + params["timeout"]
    answered = time.monotonic()
    while True:
        try:
            service = order(socket_path, "GET", f"/services/{quote(name, safe='')}")
            nodes = {node["ID"]: _hostname(node) for node in order(socket_path, "GET", "/nodes")}
            # Of those that are as the service is now; it is the filter by which the docker client itself knows them.
            tasks = _tasks(socket_path, {"service": [name], "_up-to-date": ["true"]})
            answered = time.monotonic()
        except RegistryError:
            # While managers choose another leader none can answer.
            if check_mode or time.monotonic() > answered + _PATIENCE:
                raise
            time.sleep(_INTERVAL)
            continue
        found = state(service, tasks, params["nodes"])
        if found == DONE or check_mode:
            return {"changed": False, "nodes": sorted(nodes.get(node, node) for node in running(tasks))}
        if found != GOING_ON or time.monotonic() > deadline:
            said = complaints(_tasks(socket_path, {"service": [name]}), nodes)
            raise RegistryError(_message(name, found, said), gone_back=found == GONE_BACK)
        time.sleep(_INTERVAL)


def _hostname(node: Mapping[str, Any]) -> str:
    """A node that is just joining has none yet."""
    return str(node.get("Description", {}).get("Hostname") or node["ID"])


def _message(name: str, found: str, said: Iterable[str]) -> str:
    messages = {
        GONE_BACK: "The swarm could not run it so, and went back to what it ran before.",
        STUCK: "The swarm could neither run it so nor go back.",
        GOING_ON: "The swarm is not done in time.",
    }
    return " ".join([f"service: {name}:", messages[found], *said])


def _tasks(socket_path: str, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = order(socket_path, "GET", f"/tasks?{urlencode({'filters': json.dumps(filters)})}")
    return found


def state(service: Mapping[str, Any], tasks: Iterable[Mapping[str, Any]], nodes: int) -> str:
    """How far a service (``GET /services/NAME``) is, of which *tasks* are as it is now, on so many *nodes*."""
    update = _UPDATES.get((service.get("UpdateStatus") or {}).get("State", ""))
    if update is not None:
        return update
    return DONE if len(running(tasks)) >= nodes else GOING_ON


def running(tasks: Iterable[Mapping[str, Any]]) -> set[str]:
    """The nodes on which these tasks run, and are to."""
    return {
        task["NodeID"] for task in tasks if task["DesiredState"] == _RUNNING and task["Status"]["State"] == _RUNNING
    }


def complaints(tasks: Iterable[Mapping[str, Any]], nodes: Mapping[str, str]) -> list[str]:
    """Why tasks failed, a sentence each, the latest first, with the node's name."""
    failed = [task for task in tasks if task["Status"].get("Err")]
    failed.sort(key=lambda task: str(task["Status"].get("Timestamp")), reverse=True)
    node_of = [(nodes.get(task.get("NodeID", ""), "no node"), task["Status"]["Err"].rstrip(".")) for task in failed]
    return [f"On {node}: {error}." for node, error in list(dict.fromkeys(node_of))[:_TOLD]]
