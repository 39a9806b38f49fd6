"""What all benchmarks share: interleaved rounds, medians, and results as a table, JSON and a picture."""

from __future__ import annotations

import json
import platform
import statistics
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

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
