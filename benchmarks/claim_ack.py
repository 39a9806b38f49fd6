"""Claim and complete: the step queue, its raw limits, and pgmq.

    python -m benchmarks.claim_ack [--rounds 7] [--short]

One client settles a batch and claims the next, in one statement. Beside it stand the same statement through bare
psycopg and by pgbench, and pgmq's `read` and `delete` as SQL through bare psycopg. Settling is durable everywhere.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from importlib.resources import files

from benchmarks._common import SETTINGS, bars, interleave, medians, ratio, report
from benchmarks._steps import PAYLOAD, Steps, rate
from promin_postgres.testing import postgres_server

GOALS = {100: {"raw": 0.85, "pgmq": 1.5}, 1: {"pgmq": 1.6}}


def drain_pgmq(steps: Steps, count: int, batch: int) -> float:
    def work() -> None:
        for _ in range(0, count, batch):
            rows = steps.raw.execute("SELECT msg_id, message FROM pgmq.read('bench', 600, %s)", [batch]).fetchall()
            steps.raw.execute("SELECT pgmq.delete('bench', %s::bigint[])", [[row[0] for row in rows]]).fetchall()

    return rate(count, work)


def fill_pgmq(steps: Steps, count: int) -> None:
    steps.raw.execute("TRUNCATE pgmq.q_bench")
    text = json.dumps(PAYLOAD)
    steps.raw.execute(
        "SELECT pgmq.send_batch('bench', array_agg(%s::jsonb)) FROM generate_series(1, %s)", [text, count]
    )
    steps.raw.execute("VACUUM ANALYZE pgmq.q_bench")


def case(steps: Steps, who: str, count: int, batch: int) -> float:
    if who == "pgmq":
        fill_pgmq(steps, count)
        return drain_pgmq(steps, count, batch)
    steps.fill(count)
    drains = {"ours": steps.drain, "raw": steps.drain_raw, "pgbench": steps.drain_pgbench}
    return drains[who](count, batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--short", action="store_true", help="a tenth of the work, to see that it runs")
    options = parser.parse_args()
    counts = {100: 2_000, 1: 100} if options.short else {100: 20_000, 1: 1_000}
    with postgres_server(durable=True, settings=SETTINGS) as server:
        version = str(server.version)
        steps = Steps(server.create_database())
        steps.raw.execute(files("pgmq").joinpath("sql/pgmq.sql").read_text())
        steps.raw.execute("SELECT pgmq.create('bench')")
        figures = {}
        for batch, count in counts.items():
            cases = {who: partial(case, steps, who, count, batch) for who in ("ours", "raw", "pgbench", "pgmq")}
            figures[batch] = interleave(cases, options.rounds)
        steps.close()
    middle = {batch: medians(found) for batch, found in figures.items()}
    rows = [
        (f"{batch} at a time", f"{found['ours']:,.0f}/s", f"{who} {found[who]:,.0f}/s",
         f"{ratio(figures[batch]['ours'], figures[batch][who]):.2f} ({GOALS[batch].get(who, '-')})")
        for batch, found in middle.items() for who in ("raw", "pgbench", "pgmq")
    ]  # fmt: skip
    report("claim_ack", version, rows, figures)
    bars("claim_ack", "tasks per second", {f"{batch} at a time": found for batch, found in middle.items()})


if __name__ == "__main__":
    main()
