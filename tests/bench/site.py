# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook site against one that does the same with the community's modules: by_hand/site.yml."""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ._lab import BUILD, Host, host, play, write_inventory
from ._measure import Scope, alternate, medians, ratio
from ._report import Cell, Plot, Result, Table, Target

_WORK = BUILD / "site"
_ADDRESS = "site.bench"
_RUNS = ("first", "settled")
_MANY, _MOST = 200, 1000
"""Users from which a round is too long for one that does not count, and with which it is too long to be repeated."""
_SIZES = (1, 20, _MANY, _MOST)

_SAME_COST = {1: 0.8, 20: 0.5, _MANY: 0.3}
_DEFAULT_COST = {20: 0.4, _MANY: 0.13}
"""Limits of the ratio of our seconds to those of the playbook by hand, by number of users."""

_MITOGEN = {
    "ANSIBLE_STRATEGY": "mitogen_linear",
    "ANSIBLE_STRATEGY_PLUGINS": str(Path(sysconfig.get_path("purelib")) / "ansible_mitogen" / "plugins" / "strategy"),
}
_RESET = """
docker rm --force registry >/dev/null 2>&1
rm -rf /srv/registry /etc/docker/certs.d /etc/docker/daemon.json /root/.docker
# Some keys are only forgotten in a restart, and systemd lets an engine have three in a minute.
systemctl reset-failed docker
systemctl restart docker
"""
_HOW = """\
Each way of working runs `ansible-playbook` on the same host, a Debian 12 with systemd and an engine of its own, over
the connection `community.docker.docker` with pipelining, and is timed from start to end of the process. Before each
*first* run all that a run makes is removed (container, `/srv/registry`, `certs.d`, `daemon.json`, login) and the
engine restarted; packages, engine and the registry's image stay. The *settled* run follows it, and must change
nothing. *By hand* is [tests/bench/by_hand/site.yml](../tests/bench/by_hand/site.yml): community.crypto for CA and
certificate, community.general.htpasswd in a loop, community.docker.docker_container with the options that we set, a
template for `config.yml`, trust and login. Like ours it gathers no facts. It checks no variable and does not prove
that the registry serves, while ours pushes, pulls and is refused. Its bcrypt cost is 12, which the module fixes; ours
runs with cost 12 as well, and with our default, 10. *Mitogen* is the strategy `mitogen_linear`. From 200 users on
there is no warm-up, and with 1000 users only one round, since the loop takes many minutes."""


@dataclass(frozen=True)
class Way:
    """How somebody gets a registry: a playbook with its options."""

    label: str
    playbook: str
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def with_mitogen(self) -> Way:
        # The connection's short name is what mitogen has one of its own for.
        options = (*self.options, "--extra-vars=ansible_connection=docker")
        return Way(f"{self.label}, mitogen", self.playbook, options, _MITOGEN)


_BY_HAND = Way("by hand", "tests/bench/by_hand/site.yml")
_SAME = Way("ours, cost 12", "stronghold.registry.site", ("--extra-vars=registry_auth_cost=12",))
_DEFAULT = Way("ours, cost 10", "stronghold.registry.site")
_WAYS = (_BY_HAND, _SAME, _DEFAULT)
_MITOGEN_WAYS = (_BY_HAND.with_mitogen(), _SAME.with_mitogen())


def measure(scope: Scope) -> Result:
    values = dict(scope.known)
    with host("site", _ADDRESS) as server:
        server.build_registry_image()
        for users in scope.of(_SIZES):
            ways = _WAYS + (_MITOGEN_WAYS if users == 1 else ())
            contenders = _contenders(server, users, ways)
            values |= alternate(contenders, 1 if users == _MOST else scope.rounds, warm_up=users < _MANY)
    sizes = [users for users in _SIZES if _key(_BY_HAND, users, "first") in values]
    return Result(
        name="site",
        title="A registry in one playbook",
        question="How long does the playbook site take, against one made of the community's modules?",
        how=_HOW,
        tables=[_table(values, sizes)],
        plots=[_plot(values, sizes)],
        targets=_targets(values, sizes),
        values=values,
    )


def _contenders(server: Host, users: int, ways: tuple[Way, ...]) -> dict[str, Callable[[], float]]:
    """Each way's first and settled run, in this order, since the one prepares the other."""
    inventory = write_inventory(
        _WORK / f"{users}-users.yml",
        {"registry_servers": [server], "registry_clients": [server]},
        {
            "registry_endpoint_host": _ADDRESS,
            "registry_endpoint_controller_directory": str(_WORK / "controller"),
            "registry_server_image_source": "package",
            "registry_auth_users": [
                {"name": f"user{number}", "password": f"the secret of {number}"} for number in range(1, users + 1)
            ],
        },
    )
    contenders: dict[str, Callable[[], float]] = {}
    for way in ways:
        for run in _RUNS:
            contenders[_key(way, users, run)] = _timed(server, way, inventory, run)
    return contenders


def _timed(server: Host, way: Way, inventory: Path, run: str) -> Callable[[], float]:
    def time_it() -> float:
        if run == "first":
            server.run(_RESET)
            if (_WORK / "controller").exists():
                shutil.rmtree(_WORK / "controller")
        done = play(way.playbook, inventory, *way.options, environment=way.environment)
        if (done.changed > 0) is not (run == "first"):
            raise RuntimeError(f"{way.label}: {done.changed} changes in the {run} run: {done.output[-4000:]}")
        return done.seconds

    return time_it


def _key(way: Way, users: int, run: str) -> str:
    return f"{way.label}, {_users(users)}, {run}"


def _users(number: int) -> str:
    return f"{number} user{'s' if number > 1 else ''}"


def _table(values: dict[str, list[float]], sizes: list[int]) -> Table:
    rows: list[list[Cell]] = []
    for users in sizes:
        for run in _RUNS:
            seconds = medians(values)
            row: list[Cell] = [users, run, seconds[_key(_BY_HAND, users, run)]]
            for way in (_SAME, _DEFAULT):
                row += [seconds[_key(way, users, run)], _ratio(values, way, users, run)]
            row += [seconds.get(_key(way, users, run), "") for way in _MITOGEN_WAYS]
            rows.append(row)
    columns = ["users", "run", *(f"{way.label}, s" for way in (_BY_HAND,))]
    for way in (_SAME, _DEFAULT):
        columns += [f"{way.label}, s", "ratio"]
    return Table("Seconds from start to end", columns + [f"{way.label}, s" for way in _MITOGEN_WAYS], rows)


def _plot(values: dict[str, list[float]], sizes: list[int]) -> Plot:
    seconds = medians(values)
    series = {
        f"{way.label}, {run} run": [(float(users), seconds[_key(way, users, run)]) for users in sizes]
        for way in _WAYS
        for run in _RUNS
    }
    return Plot("site", "One host, from start to end of the playbook", "users", "seconds", True, True, series)


def _targets(values: dict[str, list[float]], sizes: list[int]) -> list[Target]:
    return [
        Target(
            f"{_users(users)}, {run} run: {way.label} / by hand",
            _ratio(values, way, users, run),
            limits[users],
        )
        for way, limits in ((_SAME, _SAME_COST), (_DEFAULT, _DEFAULT_COST))
        for users in sizes
        if users in limits
        for run in _RUNS
    ]


def _ratio(values: dict[str, list[float]], way: Way, users: int, run: str) -> float:
    return ratio(values[_key(way, users, run)], values[_key(_BY_HAND, users, run)])
