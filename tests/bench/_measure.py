# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fair measurements: contenders take turns, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scope:
    """How much of a benchmark is measured: how often, and at which sizes, where *known* has the values of others.

    Without *sizes* it is all of them. *quick* is for a look: at the smallest, and with the least that there is to do.
    """

    rounds: int
    quick: bool = False
    sizes: Sequence[int] = ()
    known: Mapping[str, list[float]] = field(default_factory=dict)

    def of(self, sizes: Sequence[int]) -> list[int]:
        if self.quick:
            return list(sizes[:1])
        unknown = sorted(set(self.sizes) - set(sizes))
        if unknown:
            raise SystemExit(f"--sizes: {', '.join(map(str, unknown))} is none of {', '.join(map(str, sizes))}.")
        return [size for size in sizes if size in self.sizes or not self.sizes]


def alternate(
    contenders: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: bool = True
) -> dict[str, list[float]]:
    """Have each contender run once uncounted, then all in turn (A B A B ...), and return what each counted run gave.

    A contender returns its figure, in whatever unit its benchmark has. Without *warm_up* every run counts.
    """
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(0 if warm_up else 1, rounds + 1):
        for name, run in contenders.items():
            figure = run()
            log.info("  %-9s %-40s %10.3f", f"round {turn}" if turn else "warm-up", name, figure)
            if turn:
                figures[name].append(figure)
    return figures


def ratio(figures: Sequence[float], reference: Sequence[float]) -> float:
    """The median of the ratios of each round, which a machine that grows slower or faster meanwhile does not skew."""
    return statistics.median(mine / theirs for mine, theirs in zip(figures, reference, strict=True))


def medians(figures: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in figures.items()}
