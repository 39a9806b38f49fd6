"""A worker drains a backlog of no-op tasks, beside the workers of its peers.

    python -m benchmarks.drain [--rounds 3] [--short] [--peers promin promin-async ...]

Each is measured as benchmarks/peers does (see its `drain` and `drain4`). The slower ones are given fewer tasks, which
does not change how many a second they do.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping

from benchmarks._common import bars, report
from benchmarks._peers import OURS, Runs, beside_peers

COUNTS = {
    "promin": 50_000, "promin-async": 50_000, "pgqueuer-asyncpg": 50_000, "graphile-worker": 50_000,
    "pgqueuer": 5_000, "chancy": 10_000, "oban": 10_000,
}  # fmt: skip
GOALS = {"pgqueuer-asyncpg": "2.5", "graphile-worker": "1", "pgqueuer": "8", "chancy": "8", "oban": "8"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="a tenth of the work, to see that it runs")
    parser.add_argument("--peers", nargs="+", choices=COUNTS, default=list(COUNTS))
    options = parser.parse_args()
    counts = {name: COUNTS[name] // (10 if options.short else 1) for name in dict.fromkeys((*OURS, *options.peers))}
    version, one = beside_peers("drain", counts, rounds=options.rounds)
    _, four = beside_peers("drain4", {name: counts[name] for name in OURS}, rounds=options.rounds)
    alone, together = _medians(one), _medians(four)
    rows = [
        (f"{ours}, one process", f"{alone[ours]:,.0f}/s", f"{name} {one[name][0]['version']} {found:,.0f}/s",
         f"{alone[ours] / found:.2f} ({GOALS[name]})")
        for ours in OURS for name, found in alone.items() if name not in OURS
    ] + [
        (f"{ours}, four processes", f"{together[ours]:,.0f}/s", f"one {alone[ours]:,.0f}/s",
         f"{together[ours] / alone[ours]:.2f} (above 1)")
        for ours in OURS
    ]  # fmt: skip
    report("drain", version, rows, {"one process": one, "four processes": four})
    bars("drain", "tasks per second", {"one process": alone, "four processes": together})


def _medians(runs: Runs) -> Mapping[str, float]:
    return {name: statistics.median(run["value"] for run in repeated) for name, repeated in runs.items()}


if __name__ == "__main__":
    main()
