# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark found, as data that JSON can keep, as a page of Markdown, and as plots."""

# mypy: disable-error-code="import-not-found"
# Plots need matplotlib, which only `make bench` installs.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

Cell = Union[str, float]


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers; a number is written with three significant digits."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Plot:
    """Lines through (x, median), one for each label of *series*. *name* is that of its files, unique on the page."""

    name: str
    title: str
    x_label: str
    y_label: str
    log_x: bool
    log_y: bool
    series: dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Target:
    """What was claimed before it was measured: *value* is at most, or at least, *limit*."""

    claim: str
    value: float
    limit: float
    at_most: bool = True

    @property
    def met(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass(frozen=True)
class Result:
    """One benchmark: *question* in a sentence, *how* it was measured in Markdown, *values* of each counted round."""

    name: str
    title: str
    question: str
    how: str
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A result, with the number of rounds and the machine it comes from, since not all are measured in one run."""

    result: Result
    rounds: int
    machine: str


def measured_from(data: Mapping[str, Any]) -> Measured:
    """The reverse of :func:`dataclasses.asdict`, by way of JSON."""
    result = data["result"]
    parts = {
        "tables": [Table(**table) for table in result["tables"]],
        "plots": [Plot(**plot) for plot in result["plots"]],
        "targets": [Target(**target) for target in result["targets"]],
    }
    return Measured(**{**data, "result": Result(**{**result, **parts})})


def page(measured: Sequence[Measured]) -> str:
    """All results as one page of Markdown; it expects the plots in ``benchmarks/`` beside it."""
    targets = [target for each in measured for target in each.result.targets]
    machines = {each.machine: "" for each in measured}
    for each in measured:
        machines[each.machine] += f"{', ' if machines[each.machine] else ''}{each.result.name}"
    lines = [
        "<!-- Made by `make bench` from benchmarks/results.json. -->",
        "",
        "# Benchmarks",
        "",
        f"{sum(target.met for target in targets)} of {len(targets)} targets are met. Contenders take turns after a run "
        "that does not count. Figures are medians, a ratio is the median of the rounds' ratios. "
        "`make bench` measures all anew.",
        "",
        *(f"- {machine} ({names})" for machine, names in machines.items()),
    ]
    for each in measured:
        lines += ["", *_section(each)]
    return "\n".join(lines) + "\n"


def _section(measured: Measured) -> list[str]:
    result = measured.result
    lines = [f"## {result.title}", "", result.question]
    if result.targets:
        lines += ["", *_grid(["target", "measured", "limit", ""], [_target_row(target) for target in result.targets])]
    lines += ["", f"{result.how} Rounds: {measured.rounds}."]
    for table in result.tables:
        lines += ["", f"**{table.title}**", "", *_grid(table.columns, table.rows)]
    for plot in result.plots:
        lines += ["", f"[![{plot.title}](benchmarks/{plot.name}.png)](benchmarks/{plot.name}.svg)"]
    return lines


def _target_row(target: Target) -> list[Cell]:
    bound = "at most" if target.at_most else "at least"
    verdict = "met" if target.met else "**missed**"
    return [target.claim, target.value, f"{bound} {_text(target.limit)}", verdict]


def _grid(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    numeric = [all(cell == "" or not isinstance(cell, str) for cell in column) for column in zip(*rows, strict=True)]
    return [
        f"| {' | '.join(columns)} |",
        f"| {' | '.join('---:' if right else '---' for right in numeric)} |",
        *(f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows),
    ]


def _text(cell: Cell) -> str:
    """Text as it is, an integer whole, any other number with three significant digits and without an exponent."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:.0f}"
    return f"{cell:.3g}"


def draw(plot: Plot, directory: Path) -> None:
    """Write NAME.png and NAME.svg; a series is told apart by its marker as well as by its colour."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    # The same data give the same bytes.
    mpl.rcParams["svg.hashsalt"] = plot.name
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for (label, points), marker in zip(plot.series.items(), "osD^vPX*<>ph", strict=False):
        axes.plot(*zip(*points, strict=True), label=label, marker=marker, linewidth=1.6, markersize=7)
    axes.set(title=plot.title, xlabel=plot.x_label, ylabel=plot.y_label)
    for axis, logarithmic in (("x", plot.log_x), ("y", plot.log_y)):
        if logarithmic:
            getattr(axes, f"set_{axis}scale")("log")
            scale = getattr(axes, f"{axis}axis")
            scale.set_major_locator(LogLocator(subs=(1, 2, 5)))
            scale.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))
            scale.set_minor_formatter(NullFormatter())
        else:
            getattr(axes, f"set_{axis}lim")(0 if axis == "y" else None)
    axes.grid(visible=True, which="major", alpha=0.35)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(directory / f"{plot.name}.png", dpi=150)
    figure.savefig(directory / f"{plot.name}.svg", metadata={"Date": None})
    pyplot.close(figure)
