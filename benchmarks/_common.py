"""What all benchmarks share: interleaved rounds, medians, and results as a table, JSON and a picture."""

from __future__ import annotations

import json
import platform
import statistics
import sys
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

FOLDER = Path(__file__).parent
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
"""Of the server under test, whose durability is PostgreSQL's own."""


def interleave(cases: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every case once per round, so that a noisy moment of the machine hits all of them."""
    figures: dict[str, list[float]] = {name: [] for name in cases}
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("measuring", total=rounds * len(cases))
        for number in range(1, rounds + 1):
            for name, case in cases.items():
                figures[name].append(case())
                progress.advance(task)
            if not sys.stderr.isatty():
                print(f"round {number} of {rounds}", file=sys.stderr)
    return figures


def medians(figures: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in figures.items()}


def ratio(ours: list[float], beside: list[float]) -> float:
    """The median of the ratios of the rounds: what slows one round down slows both."""
    return statistics.median(one / other for one, other in zip(ours, beside, strict=True))


def report(name: str, server: str, rows: list[tuple[str, str, str, str]], data: object) -> None:
    """Print rows of (what, figure, compared with, ratio and goal) and keep everything in `<name>.json`."""
    table = Table("what", "figure", "beside it", "ratio (goal)", title=f"benchmarks/{name}.py, PostgreSQL {server}")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    versions = {package: version(package) for package in ("promin-postgres", "psycopg")}
    meta = {"python": platform.python_version(), "postgresql": server, **versions}
    text = json.dumps({"meta": meta, "rows": rows, "figures": data}, indent=1)
    (FOLDER / f"{name}.json").write_text(text + "\n")


def earlier(name: str, *, without: Collection[str]) -> dict[str, Any]:
    """The figures in `<name>.json`, but for those that are measured anew."""
    path = FOLDER / f"{name}.json"
    figures = json.loads(path.read_text())["figures"] if path.exists() else {}
    return {part: kept for part, kept in figures.items() if part not in without}


def bars(name: str, unit: str, groups: Mapping[str, Mapping[str, float]]) -> None:
    """A picture of figures side by side, in groups: `<name>.png`."""
    pyplot = _pyplot()
    fig, axes = pyplot.subplots(1, len(groups), figsize=(5 * len(groups), 4), squeeze=False)
    for axis, (title, figures) in zip(axes[0], groups.items(), strict=True):
        axis.bar(list(figures), list(figures.values()), color=["#2a6f97"] + ["#bbbbbb"] * (len(figures) - 1))
        axis.set_title(title)
        axis.set_ylabel(unit)
    fig.tight_layout()
    fig.savefig(FOLDER / f"{name}.png", dpi=110)


def lines(name: str, along: str, unit: str, step: int, series: Mapping[str, list[float]]) -> None:
    """A picture of figures taken every `step`: `<name>.png`."""
    fig, axis = _pyplot().subplots(figsize=(7, 4))
    for label, figures in series.items():
        axis.plot([step * (n + 1) for n in range(len(figures))], figures, marker="o", label=label)
    axis.set_ylim(bottom=0)
    axis.set_xlabel(along)
    axis.set_ylabel(unit)
    axis.legend()
    fig.tight_layout()
    fig.savefig(FOLDER / f"{name}.png", dpi=110)


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot
