# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust and login on many hosts, against files put there by hand, and against the floor."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ._lab import BUILD, Host, host, light_host, play, write_inventory
from ._measure import Scope, alternate, medians, ratio
from ._report import Cell, Plot, Result, Table, Target

_WORK = BUILD / "fleet"
_ADDRESS = "fleet.bench"
_SIZES = (1, 5, 20, 50, 100)
_FORKS = 20
_FLOOR, _BY_HAND, _OURS = "floor", "by hand", "ours"
_PLAYS = {
    _FLOOR: "tests/bench/by_hand/ping.yml",
    _BY_HAND: "tests/bench/by_hand/client.yml",
    _OURS: "tests/bench/client.yml",
}
_RUNS = ("first", "settled")
_RESET = "rm -rf /etc/docker /root/.docker"
_HOW = f"""\
The hosts are containers from the lab's image with a Docker engine, which does not run; the registry does, on a host of
its own, with TLS and a user of bcrypt cost 5. Each play runs over the connection `community.docker.docker` with
pipelining and {_FORKS} forks, and is timed from start to end of the process. The *floor* gathers facts and pings. *By
hand* is [tests/bench/by_hand/client.yml](../tests/bench/by_hand/client.yml): file, copy and template tasks, and a
handler that tries the login when it was changed; like ours, it gathers no facts. Ours is the play of `site.yml` that
is about clients: it checks its variables, finds the engines, and tries the login in every run. Before each *first*
run all that a run makes is removed; the *settled* run follows it, and must change nothing."""


def measure(scope: Scope) -> Result:
    sizes = scope.of(_SIZES)
    values = dict(scope.known)
    with ExitStack() as stack:
        server = stack.enter_context(host("fleet", _ADDRESS))
        server.build_registry_image()
        clients = [stack.enter_context(light_host(f"fleet-{number}")) for number in range(1, sizes[-1] + 1)]
        play("stronghold.registry.site", _inventory(server, []))
        for size in sizes:
            values |= alternate(_contenders(server, clients[:size]), scope.rounds)
    measured = [size for size in _SIZES if _key(_FLOOR, size, "") in values]
    return Result(
        name="fleet",
        title="Trust and login on many hosts",
        question="How long does it take until many hosts trust the registry and are logged in?",
        how=_HOW,
        tables=[_table(values, measured)],
        plots=[_plot(values, measured)],
        targets=_targets(values, measured),
        values=values,
    )


def _inventory(server: Host, clients: list[Host]) -> Path:
    return write_inventory(
        _WORK / f"{len(clients)}-clients.yml",
        {"registry_servers": [server], "registry_clients": clients},
        {
            "registry_endpoint_host": _ADDRESS,
            "registry_endpoint_controller_directory": str(_WORK / "controller"),
            "registry_endpoint_username": "moby",
            "registry_endpoint_password": "gordon",
            "registry_endpoint_trust_anchor": str(_WORK / "controller" / "ca.crt"),
            "registry_auth_users": [{"name": "moby", "password": "gordon", "cost": 5}],
            "registry_server_image_source": "package",
        },
    )


def _contenders(server: Host, clients: list[Host]) -> dict[str, Callable[[], float]]:
    inventory = _inventory(server, clients)
    contenders = {_key(_FLOOR, len(clients), ""): _timed(_FLOOR, clients, inventory, "")}
    for way in (_BY_HAND, _OURS):
        for run in _RUNS:
            contenders[_key(way, len(clients), run)] = _timed(way, clients, inventory, run)
    return contenders


def _timed(way: str, clients: list[Host], inventory: Path, run: str) -> Callable[[], float]:
    def time_it() -> float:
        if run == "first":
            for client in clients:
                client.run(_RESET)
        done = play(_PLAYS[way], inventory, f"--forks={_FORKS}")
        if (done.changed > 0) is not (run == "first"):
            raise RuntimeError(f"{way}: {done.changed} changes in the {run} run: {done.output[-4000:]}")
        return done.seconds

    return time_it


def _key(way: str, size: int, run: str) -> str:
    return f"{way}, {size} host{'s' if size > 1 else ''}" + (f", {run}" if run else "")


def _table(values: dict[str, list[float]], sizes: list[int]) -> Table:
    seconds = medians(values)
    rows: list[list[Cell]] = []
    for size in sizes:
        for run in _RUNS:
            ours, floor, by_hand = (values[key] for key in _keys(size, run))
            row: list[Cell] = [size, run, *(seconds[key] for key in _keys(size, run))]
            rows.append([*row, ratio(ours, floor), ratio(ours, by_hand), seconds[_key(_OURS, size, run)] / size])
    columns = ["hosts", "run", "ours, s", "floor, s", "by hand, s", "ours / floor", "ours / by hand", "ours, s a host"]
    return Table("Seconds from start to end", columns, rows)


def _keys(size: int, run: str) -> tuple[str, str, str]:
    return _key(_OURS, size, run), _key(_FLOOR, size, ""), _key(_BY_HAND, size, run)


def _plot(values: dict[str, list[float]], sizes: list[int]) -> Plot:
    seconds = medians(values)
    lines = [(_FLOOR, ""), *((way, run) for way in (_BY_HAND, _OURS) for run in _RUNS)]
    series = {
        f"{way}, {run} run" if run else way: [(float(size), seconds[_key(way, size, run)]) for size in sizes]
        for way, run in lines
    }
    return Plot("fleet", "Trust and login, from start to end of the play", "hosts", "seconds", True, True, series)


def _targets(values: dict[str, list[float]], sizes: list[int]) -> list[Target]:
    targets = []
    for size in sizes:
        for run in _RUNS:
            ours, floor, by_hand = (values[key] for key in _keys(size, run))
            targets.append(Target(f"{size} hosts, {run} run: ours / floor", ratio(ours, floor), 3.0))
            targets.append(Target(f"{size} hosts, {run} run: ours / by hand", ratio(ours, by_hand), 0.5))
    return targets
