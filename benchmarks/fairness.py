"""What fairness costs: claims a second by each policy, with few workflows in the queue and with many.

python -m benchmarks.fairness [--rounds 5] [--short]
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import get_args

from benchmarks._common import SETTINGS, bars, interleave, medians, ratio, report
from benchmarks._steps import Steps
from promin_postgres.steps import Fairness
from promin_postgres.testing import postgres_server

BATCH = 100


def case(steps: Steps, fairness: Fairness, workflows: int, count: int) -> float:
    steps.fill(count, workflows=workflows)
    return steps.drain(count, BATCH, fairness)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="a tenth of the work, to see that it runs")
    options = parser.parse_args()
    count = 2_000 if options.short else 20_000
    with postgres_server(durable=True, settings=SETTINGS) as server:
        version = str(server.version)
        steps = Steps(server.create_database())
        figures = {
            workflows: interleave(
                {policy: partial(case, steps, policy, workflows, count) for policy in get_args(Fairness)},
                options.rounds,
            )
            for workflows in (10, 1_000)
        }
        steps.close()
    middle = {workflows: medians(found) for workflows, found in figures.items()}
    rows = [
        (f"{policy}, {workflows:,} workflows", f"{found[policy]:,.0f}/s", f"strict {found['strict-priority']:,.0f}/s",
         f"{ratio(figures[workflows][policy], figures[workflows]['strict-priority']):.2f}")
        for workflows, found in middle.items() for policy in get_args(Fairness)
    ]  # fmt: skip
    report("fairness", version, rows, figures)
    bars("fairness", "tasks per second", {f"{workflows:,} workflows": found for workflows, found in middle.items()})


if __name__ == "__main__":
    main()
