"""Runs the peers in turn, several rounds, and shows the medians: `python -m benchmarks.peers --help`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.peers.harness import COUNTS, PEERS, Unavailable, default_count, measure, prepare

_SERVER_SETTINGS = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "autovacuum")
_Results = dict[tuple[str, str], list[dict[str, Any]]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="peer", help=f"of {', '.join(PEERS)} (default: all)")
    parser.add_argument("--measures", nargs="+", choices=COUNTS, default=list(COUNTS), metavar="MEASURE")
    parser.add_argument("--dsn", help="URI of a server (default: one of our own, durable, with 1 GB of shared_buffers)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the default number of jobs")
    parser.add_argument("--json", help="file for every single result")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(PEERS):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    console = Console(stderr=True, markup=False, highlight=False)
    names = asked.names or list(PEERS)
    problems = prepare(names, console.print)
    names = [name for name in names if name not in problems]
    results: _Results = defaultdict(list)
    with _server(asked.dsn) as dsn:
        server = _describe(dsn)
        for round_ in range(1, asked.rounds + 1):
            for kind in asked.measures:
                for name in names:
                    if kind not in PEERS[name].measures:
                        continue
                    count = max(20, round(default_count(name, kind) * asked.scale))
                    try:
                        result = measure(name, kind, dsn, count)
                    except Unavailable as error:
                        problems[f"{name} {kind}, round {round_}"] = str(error)
                        console.print(f"{name} {kind}: {error}", style="red")
                        continue
                    results[name, kind].append(result)
                    console.print(f"{round_}/{asked.rounds} {name} {kind}: {_shown([result])} {result['unit']}")
    Console(width=None if sys.stdout.isatty() else 200).print(_table(names, asked.measures, results))
    if asked.json:
        runs = [result for repeated in results.values() for result in repeated]
        with open(asked.json, "w") as file:
            json.dump({"server": server, "results": runs, "problems": problems}, file, indent=1)
    return 1 if problems else 0


@contextmanager
def _server(dsn: str | None) -> Iterator[str]:
    if dsn is not None:
        yield dsn
        return
    from promin_postgres.testing import postgres_server

    with postgres_server(server="own", durable=True, settings={"shared_buffers": "1GB"}) as server:
        yield server.dsn


def _describe(dsn: str) -> dict[str, object]:
    with psycopg.connect(dsn) as connection:
        settings = {name: connection.execute("SELECT current_setting(%s)", [name]) for name in _SERVER_SETTINGS}
        described = {name: cursor.fetchall()[0][0] for name, cursor in settings.items()}
    return described | {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def _table(names: list[str], measures: list[str], results: _Results) -> Table:
    shown = [kind for kind in measures if any((name, kind) in results for name in names)]
    table = Table("peer", title="medians, per second; latency p50 / p99 in ms")
    for kind in shown:
        table.add_column(kind.replace("_", " "), justify="right", overflow="fold")
    for name in names:
        versions = {result["version"] for kind in shown for result in results.get((name, kind), [])}
        row = [_shown(results[name, kind]) if (name, kind) in results else "" for kind in shown]
        table.add_row(f"{name} {'/'.join(versions)}", *row)
    return table


def _shown(repeated: list[dict[str, Any]]) -> str:
    value = statistics.median(result["value"] for result in repeated)
    if repeated[0]["unit"] != "ms":
        return f"{value:,.0f}"
    return f"{value:,.1f} / {statistics.median(result['p99'] for result in repeated):,.1f}"


if __name__ == "__main__":
    sys.exit(main())
