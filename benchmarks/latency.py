"""From the call that enqueues a task to the first line of its handler, in an idle worker; beside its peers.

    python -m benchmarks.latency [promin promin-async oban ...] [--count 500] [--short]

Each is measured as benchmarks/peers does (see its `latency`). All of them take a quarter of an hour: those that are
named are measured, and of the others the last figures stay.
"""

from __future__ import annotations

import argparse

from benchmarks._common import bars, earlier, report
from benchmarks._peers import beside_peers
from benchmarks.peers.harness import PEERS


def main() -> None:
    names = [name for name, peer in PEERS.items() if "latency" in peer.measures]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="peer", help=f"of {', '.join(names)}")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--short", action="store_true", help="a tenth of the jobs, to see that it runs")
    options = parser.parse_args()
    asked = options.names or names
    count = options.count // (10 if options.short else 1)
    version, runs = beside_peers("latency", dict.fromkeys(asked, count), rounds=1)
    figures = earlier("latency", without=asked) | runs
    found = {name: figures[name][0] for name in names if name in figures}
    ours = found["promin"]
    rows = [
        (f"{name} {run['version']}, {run['count']} jobs", f"p50 {run['value']:.1f} ms, p99 {run['p99']:.1f} ms",
         f"promin p50 {ours['value']:.1f} ms, p99 {ours['p99']:.1f} ms",
         f"{run['value'] / ours['value']:.1f}, {run['p99'] / ours['p99']:.1f} (above 1)")
        for name, run in found.items()
    ]  # fmt: skip
    report("latency", version, rows, figures)
    bars("latency", "ms", {
        "p50": {name: run["value"] for name, run in found.items() if run["value"] < 100},
        "p99": {name: run["p99"] for name, run in found.items() if run["value"] < 100},
    })  # fmt: skip


if __name__ == "__main__":
    main()
