# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the benchmarks, all or the named ones, and write docs/benchmarks.md with its plots and values."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

from ._lab import BUILD, ROOT, machine
from ._measure import Scope
from ._report import Measured, Result, draw, measured_from, page

ROUNDS = 5
BENCHMARKS = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if path.stem != "run")

log = logging.getLogger(__name__)


def measure(name: str, scope: Scope) -> Measured:
    log.info("%s", name)
    result: Result = importlib.import_module(f".{name}", __package__).measure(scope)
    for target in result.targets:
        log.info("  %-6s %s: %.3f of %g", "met" if target.met else "MISSED", target.claim, target.value, target.limit)
    return Measured(result, scope.rounds, machine())


def load(values: Path) -> dict[str, Measured]:
    if not values.exists():
        return {}
    return {name: measured_from(data) for name, data in json.loads(values.read_text()).items()}


def keep(measured: dict[str, Measured], values: Path) -> None:
    values.write_text(json.dumps({name: asdict(measured[name]) for name in sorted(measured)}, indent=1) + "\n")


def render(measured: dict[str, Measured], directory: Path) -> None:
    (directory / "benchmarks.md").write_text(page(list(measured.values())))
    for each in measured.values():
        for plot in each.result.plots:
            draw(plot, directory / "benchmarks")


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="one round, smallest sizes, written to build/bench/quick")
    parser.add_argument("--render", action="store_true", help="write the page again from its values, measure nothing")
    parser.add_argument(
        "--sizes", type=_sizes, default=(), metavar="N,N", help="these sizes only, and keep what is known of others"
    )
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

    directory = BUILD / "quick" if options.quick else ROOT / "docs"
    values = directory / "benchmarks" / "results.json"
    values.parent.mkdir(parents=True, exist_ok=True)
    for name in [] if options.render else options.names or BENCHMARKS:
        former = load(values).get(name) if options.sizes else None
        known = former.result.values if former else {}
        done = measure(name, Scope(1 if options.quick else ROUNDS, options.quick, options.sizes, known))
        # Kept at once, since the next one may fail after an hour.
        keep(load(values) | {name: done}, values)
    render(load(values), directory)


if __name__ == "__main__":
    main()
