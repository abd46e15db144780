# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the type of the TLS key and the cost of bcrypt leave of a registry's requests a second and core."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from ._lab import host
from ._load import Load, Transfer, load
from ._load_fleet import COSTS, KEYS, LAYERS, Fleet, Pull
from ._measure import Scope, alternate, medians
from ._report import Cell, Plot, Result, Table, Target

OPEN = 0
"""In place of a cost: no password, at a registry that asks for none."""

HOSTS = 100
LIMIT = 300
"""Requests a second and core, for machines with a password of cost 5."""

_CLIENTS = 8
# A second or more each, but no more than needed of the slow ones.
_KEPT = {OPEN: 1600, 4: 800, 5: 480, 10: 32, 12: 16}
_NEW = {OPEN: 320, 4: 320, 5: 320, 10: 32, 12: 16}
_ACCEPT = "Accept: application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Row:
    """A row of the table: requests for *what*, over connections that are *kept*, or over a new one each."""

    key: str
    kept: bool
    what: str = "manifest"

    @property
    def costs(self) -> tuple[int, ...]:
        """Once a connection is there its key has no part in what passwords cost."""
        return (OPEN, *COSTS) if not self.kept or self.key == "P-256" else (OPEN,)


ROWS = [
    *(Row(key, kept=False) for key in KEYS),
    *(Row(key, kept=True) for key in KEYS),
    Row("P-256", kept=True, what="/v2/"),
]
Kind = tuple[Row, int]


def _name(kind: Kind) -> str:
    row, cost = kind
    return f"{row.key}, {'kept' if row.kept else 'new'}, {row.what}, {_password(cost)}"


def _password(cost: int) -> str:
    return "no password" if cost == OPEN else f"cost {cost}"


@dataclass(frozen=True)
class Requests:
    """What clients ask the registries for."""

    fleet: Fleet
    manifest: str
    part: int
    loads: dict[Kind, list[Load]] = field(default_factory=dict)

    def run(self, kind: Kind) -> float:
        """Requests for each second of processor time that the registry used."""
        row, cost = kind
        registry = self.fleet.registries[row.key, cost != OPEN]
        count = max(2 * _CLIENTS, (_KEPT if row.kept else _NEW)[cost] // self.part)
        # Without tickets, as a docker client has none: each new connection takes a signature with the key.
        options = [f'header = "{_ACCEPT}"', *([] if row.kept else ['header = "Connection: close"', "no-sessionid"])]
        options += [] if cost == OPEN else [f'user = "{self.fleet.account(cost)}"']
        transfers = [Transfer(self.manifest if row.what == "manifest" else "")] * count
        taken = load(registry, partial(registry.curl, _CLIENTS, 200, transfers, *options))[1]
        self.loads.setdefault(kind, []).append(taken)
        return count / taken.registry_seconds


def measure(scope: Scope) -> Result:
    kinds = [(row, cost) for row in ROWS for cost in row.costs]
    with host("reg") as server:
        server.build_registry_image()
        fleet = Fleet(server)
        requests = Requests(fleet, fleet.push(), part=10 if scope.quick else 1)
        pull = fleet.pull()
        values = alternate({_name(kind): partial(requests.run, kind) for kind in kinds}, scope.rounds)
    figures = medians(values)
    rates = {kind: figures[_name(kind)] for kind in kinds}
    return Result(
        name="requests",
        title="Keys, passwords and requests",
        question="How many requests a second does a core answer, and for how long do many pulls keep it busy?",
        how=HOW.format(clients=_CLIENTS, layers=LAYERS, hosts=HOSTS, pull=pull),
        tables=[_rates_table(rates, requests.loads), _pulls_table(rates, pull)],
        plots=[_rates_plot(rates), _pulls_plot(rates, pull)],
        targets=[
            Target(
                f"requests a second and core at cost 5, {word} connections", rates[Row("P-256", kept), 5], LIMIT, False
            )
            for word, kept in (("kept", True), ("new", False))
        ],
        values=values,
    )


def _rates_table(rates: Mapping[Kind, float], loads: Mapping[Kind, list[Load]]) -> Table:
    rows: list[list[Cell]] = []
    for row in ROWS:
        busy = [statistics.median(each.registry_busy for each in loads[row, cost]) for cost in row.costs]
        clients = [statistics.median(each.clients_busy for each in loads[row, cost]) for cost in row.costs]
        found = [rates.get((row, cost), "") for cost in (OPEN, *COSTS)]
        rows.append([row.key, "kept" if row.kept else "new", row.what, *found, min(busy), max(clients)])
    columns = [
        "key",
        "connections",
        "GET",
        *map(_password, (OPEN, *COSTS)),
        "registry's core busy",
        "clients' core busy",
    ]
    return Table("Requests a second and core", columns, rows)


def seconds_of_pulls(rates: Mapping[Kind, float], pull: Pull, key: str, cost: int) -> float:
    """Seconds of one core that the pulls of all hosts take, each of its requests over a new connection."""
    row = Row(key, kept=False)
    return HOSTS * (pull.anonymous / rates[row, OPEN] + pull.authenticated / rates[row, cost])


def _pulls_table(rates: Mapping[Kind, float], pull: Pull) -> Table:
    rows: list[list[Cell]] = [[cost, *(seconds_of_pulls(rates, pull, key, cost) for key in KEYS)] for cost in COSTS]
    return Table(f"Seconds of one core for {HOSTS} pulls of {LAYERS} layers", ["cost", *KEYS], rows)


def _rates_plot(rates: Mapping[Kind, float]) -> Plot:
    lines = [Row("P-256", kept=True), *(Row(key, kept=False) for key in KEYS)]
    return Plot(
        name="requests-cost",
        title="GET of a manifest with a password",
        x_label="bcrypt cost",
        y_label="requests a second and core",
        log_x=False,
        log_y=True,
        series={
            f"{row.key}, {'kept' if row.kept else 'new'} connections": [(cost, rates[row, cost]) for cost in COSTS]
            for row in lines
        },
    )


def _pulls_plot(rates: Mapping[Kind, float], pull: Pull) -> Plot:
    return Plot(
        name="requests-pulls",
        title=f"{HOSTS} hosts pull an image of {LAYERS} layers",
        x_label="bcrypt cost",
        y_label="seconds of one core",
        log_x=False,
        log_y=True,
        series={key: [(cost, seconds_of_pulls(rates, pull, key, cost)) for cost in COSTS] for key in KEYS},
    )


HOW = (
    "Registries with the configuration of the role registry_server run on a lab host, pinned to one core; {clients} "
    "clients of one curl ask from the other. Requests are counted against the processor time of the registry itself, "
    "so that neither the clients nor the rest of the machine bounds them; times the part of the clock that its core "
    "was busy, they are what clients saw. For one image of {layers} layers an engine was seen to ask {pull.anonymous} "
    "time without its password and {pull.authenticated} times with it, over {pull.connections} connections. From that "
    "and the rates over new connections follow the seconds for {hosts} pulls, without those to send the layers."
)
