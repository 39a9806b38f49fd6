"""What the benchmarks of workers share: our worker and its peers, measured by one clock, in turn."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from benchmarks._common import SETTINGS
from benchmarks.peers.harness import Unavailable, measure, prepare
from promin_postgres.testing import postgres_server

OURS = ("promin", "promin-async")
Runs = dict[str, list[dict[str, Any]]]


def beside_peers(kind: str, counts: Mapping[str, int], *, rounds: int) -> tuple[str, Runs]:
    """One measure of each of these, `rounds` times in turn; the version of the server, and what each run gave."""
    problems = prepare(counts)
    found: Runs = defaultdict(list)
    with postgres_server(server="own", durable=True, settings=SETTINGS) as server:
        for number in range(1, rounds + 1):
            for name, count in counts.items():
                if name in problems:
                    continue
                try:
                    found[name].append(measure(name, kind, server.dsn, count))
                except Unavailable as error:
                    problems[name] = str(error)
                    continue
                print(f"{number} of {rounds}: {name} {kind} {found[name][-1]['value']:,}", file=sys.stderr)
        version = str(server.version)
    for name, problem in problems.items():
        print(f"{name} is left out: {problem}", file=sys.stderr)
    return version, dict(found)
