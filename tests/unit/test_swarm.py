# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a swarm's engine says of services and tasks; a real one is in tests/modules/test_swarm.py."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._host_info import swarm
from ansible_collections.stronghold.registry.plugins.module_utils._swarm_files import File
from ansible_collections.stronghold.registry.plugins.module_utils._swarm_rollout import (
    DONE,
    GOING_ON,
    GONE_BACK,
    STUCK,
    complaints,
    running,
    state,
)


def task(node: str, found: str, desired: str = "running", **status: str) -> dict[str, Any]:
    return {"NodeID": node, "DesiredState": desired, "Status": {"State": found, **status}}


THREE = [task("a", "running"), task("b", "running"), task("c", "running")]


@pytest.mark.parametrize(
    ("update", "tasks", "expected"),
    [
        # Just made, or just changed: the swarm has not begun.
        (None, [], GOING_ON),
        (None, THREE, DONE),
        (None, [*THREE[:2], task("c", "preparing")], GOING_ON),
        (None, [*THREE[:2], task("b", "running")], GOING_ON),
        (None, [*THREE[:2], task("c", "running", "shutdown")], GOING_ON),
        ("updating", THREE, GOING_ON),
        ("completed", THREE, DONE),
        # A change that came after the last one ended.
        ("completed", THREE[:1], GOING_ON),
        ("rollback_started", THREE, GOING_ON),
        ("rollback_completed", THREE, GONE_BACK),
        ("paused", THREE, STUCK),
        ("rollback_paused", THREE, STUCK),
    ],
)
def test_how_far_a_service_is(update: str | None, tasks: list[dict[str, Any]], expected: str) -> None:
    service = {"UpdateStatus": {"State": update}} if update else {}
    assert state(service, tasks, 3) == expected


def test_a_task_that_has_no_node_yet_does_not_run() -> None:
    pending = {"DesiredState": "running", "Status": {"State": "pending"}}
    assert running([pending, *THREE[:1]]) == {"a"}


def test_why_tasks_failed() -> None:
    tasks = [
        task("a", "failed", Err="task: non-zero exit (1)", Timestamp="2026-11-26T10:00:01Z"),
        task("b", "rejected", Err="No such image: a:1.", Timestamp="2026-11-26T10:00:02Z"),
        task("a", "failed", Err="task: non-zero exit (1)", Timestamp="2026-11-26T10:00:00Z"),
        *THREE,
    ]
    nodes = {"a": "first", "b": "second"}
    assert complaints(tasks, nodes) == ["On second: No such image: a:1.", "On first: task: non-zero exit (1)."]


def test_names_follow_the_content() -> None:
    names = {
        File("/srv/registry/certs/registry.key", "/certs/registry.key", "secrets", content).name("registry")
        for content in (b"one", b"other")
    }
    assert names == {"registry-registry.key-7692c3ad3540bb80", "registry-registry.key-d9298a10d1b07358"}


@pytest.mark.parametrize("service", ["", "a b", "r" * 40])
def test_names_that_no_swarm_takes(service: str) -> None:
    with pytest.raises(RegistryError, match=r"^service: "):
        File("/srv/registry/certs/registry.key", "/certs/registry.key", "secrets", b"").name(service)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (None, {"active": False, "manager": False, "node": "", "labels": {}, "managers": []}),
        (
            {"Swarm": {"NodeID": "", "LocalNodeState": "inactive", "ControlAvailable": False, "RemoteManagers": None}},
            {"active": False, "manager": False, "node": "", "labels": {}, "managers": []},
        ),
        (
            {
                "Swarm": {
                    "NodeID": "b",
                    "LocalNodeState": "active",
                    "ControlAvailable": True,
                    "Cluster": {"ID": "c", "Spec": {"Name": "default", "Labels": {"stronghold.registry": "registry"}}},
                    "RemoteManagers": [{"NodeID": "b", "Addr": "x:2377"}, {"NodeID": "a", "Addr": "y:2377"}],
                }
            },
            {
                "active": True,
                "manager": True,
                "node": "b",
                "labels": {"stronghold.registry": "registry"},
                "managers": ["a", "b"],
            },
        ),
        (
            {"Swarm": {"NodeID": "b", "LocalNodeState": "locked", "ControlAvailable": False}},
            {"active": False, "manager": False, "node": "b", "labels": {}, "managers": []},
        ),
    ],
)
def test_the_swarm_that_an_engine_is_in(info: Any, expected: dict[str, Any]) -> None:
    assert swarm(info) == expected
