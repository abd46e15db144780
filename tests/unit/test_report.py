# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is judged fine, and what is not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._registry_info import hardening_problems
from ansible_collections.stronghold.registry.plugins.module_utils._report import report, worst

NOW = 1_800_000_000
DAY = 24 * 3600
LIMITS = {"certificate_days": 14, "disk_free_percent": 10, "cost": 5, "backup_days": 0, "collection_days": 0}
INFO: dict[str, Any] = {
    "container": {
        "name": "registry",
        "runs": True,
        "image": "registry:2",
        "version": "2.8.3",
        "problems": [],
        "interrupted": False,
    },
    "certificates": {"server": {"days_left": 300, "not_after": "2027-01-01T00:00:00Z"}, "ca": None},
    "users": [{"name": "moby", "cost": 10}],
    "disk": {"total": 100 * 2**30, "free": 50 * 2**30},
    "repositories": [{"name": "app", "size": 5, "tags": [{"name": "1"}]}],
    "damaged": [],
    "history": [],
}
SERVER = {
    "host": "server",
    "registry": "registry.lab:5000",
    "anonymous_expected": "refused",
    "error": "",
    "info": INFO,
    "probe": {"anonymous": "refused"},
}


def judged(*clients: dict[str, Any], limits: dict[str, Any] | None = None, **info: Any) -> dict[str, Any]:
    server = copy.deepcopy(SERVER)
    server["info"] = {**INFO, **info}
    return report([server], clients, {**LIMITS, **(limits or {})}, NOW)


def findings(told: dict[str, Any], about: str) -> list[tuple[str, str]]:
    (registry,) = told["registries"]
    return [(found["level"], found["text"]) for found in registry["findings"] if found["about"] == about]


def test_all_is_well() -> None:
    told = judged({"host": "client", "registry": "registry.lab:5000", "error": "", "reasons": []})
    assert told["level"] == "ok"
    assert all(found["level"] == "ok" for found in told["registries"][0]["findings"])
    assert told["clients"] == [{"host": "client", "registry": "registry.lab:5000", "level": "ok", "problems": []}]
    assert told["time"] == NOW


def test_a_store_that_is_not_looked_at() -> None:
    told = judged(repositories=None, damaged=None, stored=None, schema1=None, driver="azure")
    assert findings(told, "images") == [("ok", "They are in a store that is not looked at, of the driver azure.")]


def test_nothing_at_all() -> None:
    assert report([], [], LIMITS, NOW)["level"] == "ok"


@pytest.mark.parametrize(
    ("days", "level", "text"),
    [
        (28, "ok", "The certificate has 28 days left, until 2027-01-01."),
        (27, "warning", "The certificate has 27 days left, until 2027-01-01."),
        (14, "warning", "The certificate has 14 days left, until 2027-01-01."),
        (13, "critical", "The certificate has 13 days left, until 2027-01-01."),
        (-1, "critical", "The certificate has expired, on 2027-01-01."),
    ],
)
def test_certificates(days: int, level: str, text: str) -> None:
    server = {"days_left": days, "not_after": "2027-01-01T00:00:00Z"}
    assert findings(judged(certificates={"server": server, "ca": None}), "certificate") == [(level, text)]


def test_a_ca_is_looked_at_too() -> None:
    ca = {"days_left": 3, "not_after": "2027-01-01T00:00:00Z"}
    told = judged(certificates={"server": None, "ca": ca})
    assert findings(told, "certificate") == []
    assert findings(told, "CA")[0][0] == told["level"] == "critical"


@pytest.mark.parametrize(("percent", "level"), [(20, "ok"), (19, "warning"), (10, "warning"), (9, "critical")])
def test_disk(percent: int, level: str) -> None:
    told = judged(disk={"total": 100 * 2**30, "free": percent * 2**30})
    expected = f"{percent} % of the disk are free, {percent}.0 GiB of 100.0 GiB."
    assert findings(told, "disk") == [(level, expected)]


@pytest.mark.parametrize(
    ("users", "level", "text"),
    [
        ([], "ok", "0 users, bcrypt cost none."),
        ([{"name": "a", "cost": 5}, {"name": "b", "cost": 10}], "ok", "2 users, bcrypt cost 5, 10."),
        ([{"name": "a", "cost": 4}], "critical", "Hashes of a cost below 5, or none of bcrypt: a."),
        ([{"name": "a", "cost": None}], "critical", "Hashes of a cost below 5, or none of bcrypt: a."),
    ],
)
def test_users(users: list[dict[str, Any]], level: str, text: str) -> None:
    assert findings(judged(users=users), "users") == [(level, text)]


def test_a_registry_without_users() -> None:
    assert findings(judged(users=None), "users") == []


@pytest.mark.parametrize(
    ("expected", "seen", "level"),
    [("refused", "refused", "ok"), ("allowed", "allowed", "ok"), ("refused", "allowed", "critical")],
)
def test_access_without_a_password(expected: str, seen: str, level: str) -> None:
    server = {**SERVER, "anonymous_expected": expected, "probe": {"anonymous": seen}}
    assert findings(report([server], [], LIMITS, NOW), "access")[0][0] == level


def test_a_registry_that_does_not_answer() -> None:
    server = {**SERVER, "probe": {"failed": True}, "probe_error": "Nothing listens."}
    assert findings(report([server], [], LIMITS, NOW), "access") == [("critical", "Nothing listens.")]


def test_a_host_that_cannot_be_reached() -> None:
    server = {**SERVER, "info": None, "error": "The host cannot be reached."}
    told = report([server], [], LIMITS, NOW)
    assert told["registries"][0]["findings"] == [
        {"level": "critical", "about": "host", "text": "The host cannot be reached."}
    ]


@pytest.mark.parametrize(
    ("container", "level", "words"),
    [
        ({"runs": False}, "critical", "The container registry does not run."),
        ({"interrupted": True}, "warning", "pushes are refused"),
        ({"problems": ["runs as root", "is privileged"]}, "warning", "The container runs as root, is privileged."),
    ],
)
def test_containers(container: dict[str, Any], level: str, words: str) -> None:
    told = judged(container={**INFO["container"], **container})
    assert told["level"] == level
    assert words in findings(told, "container")[0][1]


@pytest.mark.parametrize(
    ("days", "age", "level"),
    [(0, None, None), (7, None, "critical"), (0, 100, "ok"), (7, 7, "ok"), (7, 7.1, "critical")],
)
def test_backups(days: int, age: float | None, level: str | None) -> None:
    history = [] if age is None else [{"event": "backup", "time": NOW - age * DAY}]
    history.append({"event": "garbage_collect", "time": NOW})
    found = findings(judged(limits={"backup_days": days}, history=history), "backup")
    assert [level for level, _text in found] == ([] if level is None else [level])


def test_the_last_one_counts() -> None:
    history = [{"event": "garbage_collect", "time": NOW - age * DAY} for age in (90, 2)]
    assert findings(judged(limits={"collection_days": 7}, history=history), "collection") == [
        ("ok", "The last collection was 2 days ago.")
    ]


def test_clients() -> None:
    clients = [
        {"host": "a", "registry": "r", "error": "The host cannot be reached.", "reasons": []},
        {"host": "b", "registry": "r", "error": "", "reasons": ["/etc/docker/certs.d/r/ca.crt: is not there"]},
    ]
    told = judged(*clients)
    assert [client["level"] for client in told["clients"]] == ["critical", "critical"]
    assert told["clients"][1]["problems"] == ["/etc/docker/certs.d/r/ca.crt: is not there"]


def test_damage_is_critical() -> None:
    assert findings(judged(damaged=["app:1 can't be pulled: x."]), "images") == [
        ("critical", "app:1 can't be pulled: x.")
    ]


def test_hosts_of_which_nothing_was_seen() -> None:
    client = {"host": "client", "registry": "registry.lab:5000", "error": "", "reasons": []}
    told = report([SERVER], [client], LIMITS, NOW, ["server", "client", "gone"])
    assert [(each["host"], each["level"]) for each in told["registries"]] == [("server", "ok"), ("gone", "critical")]
    assert "cannot be reached" in told["registries"][1]["findings"][0]["text"]


def test_the_worst_level() -> None:
    assert worst([]) == "ok"
    assert worst(["ok", "critical", "warning"]) == "critical"


HARDENED: dict[str, Any] = {
    "Config": {"User": "65532:65532"},
    "HostConfig": {
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "CapAdd": None,
        "SecurityOpt": ["no-new-privileges:true"],
        "Privileged": False,
        "Memory": 2**30,
        "RestartPolicy": {"Name": "unless-stopped"},
    },
}


def test_a_hardened_container() -> None:
    assert hardening_problems(HARDENED) == []


@pytest.mark.parametrize(
    ("part", "change", "problem"),
    [
        ("Config", {"User": ""}, "runs as root"),
        ("Config", {"User": "0:65532"}, "runs as root"),
        ("Config", {"User": "root"}, "runs as root"),
        ("HostConfig", {"ReadonlyRootfs": False}, "has a root file system that it can write to"),
        ("HostConfig", {"CapDrop": None}, "keeps capabilities"),
        ("HostConfig", {"CapAdd": ["NET_ADMIN"]}, "keeps capabilities"),
        ("HostConfig", {"SecurityOpt": None}, "may gain privileges"),
        ("HostConfig", {"SecurityOpt": ["no-new-privileges:false"]}, "may gain privileges"),
        ("HostConfig", {"Privileged": True}, "is privileged"),
        ("HostConfig", {"Memory": 0}, "may use all memory"),
        ("HostConfig", {"RestartPolicy": {"Name": "no"}}, "is not restarted with its engine"),
        ("HostConfig", {"RestartPolicy": {}}, "is not restarted with its engine"),
    ],
)
def test_a_container_that_may_more(part: str, change: dict[str, Any], problem: str) -> None:
    assert hardening_problems({**HARDENED, part: {**HARDENED[part], **change}}) == [problem]
