"""Durable workflows of three steps that do nothing: on one worker process, and started inline from one thread.

    python -m benchmarks.workflows [--rounds 5] [--short] [--no-peers]

Beside them stand Absurd and DBOS, each with its own worker at its best setting (benchmarks/peers). The backlog is there
when a worker begins; every checkpoint is durable everywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks._common import SETTINGS, bars, interleave, medians, report
from benchmarks.peers.harness import measure, prepare
from promin_postgres.migrator import migrate
from promin_postgres.testing import postgres_server
from promin_postgres.worker import AsyncWorker, Worker
from promin_postgres.workflow import (
    AsyncPostgresWorkflowStorage,
    Context,
    PostgresWorkflowStorage,
    Workflow,
    async_workflow,
    workflow,
)

GOALS = {"absurd": 10.0, "dbos": 25.0, "inline": 3.0}
TABLES = "wf_workflows, wf_workflow_steps, wf_step_attempts, wf_step_queue"


def noop(ctx: Context) -> None:
    pass


async def async_noop(ctx: Context) -> None:
    pass


class Bench:
    """A database, and three steps on it."""

    def __init__(self, dsn: str) -> None:
        migrate(dsn)
        self.dsn = dsn
        self.storage = PostgresWorkflowStorage.create(dsn)
        self.raw = psycopg.connect(dsn, autocommit=True)
        self.number = 0

    def three(self, storage: Any = None) -> Workflow:
        made = workflow("three", storage=storage or self.storage)
        return made.step("a", noop).step("b", noop).step("c", noop)

    def clear(self) -> None:
        self.raw.execute(f"TRUNCATE {TABLES}".encode())

    def fill(self, count: int) -> None:
        """A backlog. How fast it is written is not measured."""
        self.clear()
        with PostgresWorkflowStorage.create(make_conninfo(self.dsn, options="-c synchronous_commit=off")) as storage:
            three = self.three(storage)
            for number in range(count):
                three.start(workflow_id=f"w{number}")
        self.raw.execute(f"VACUUM ANALYZE {TABLES}".encode())

    def check(self, count: int) -> None:
        found = self.raw.execute("SELECT status, count(*) FROM wf_workflows GROUP BY 1").fetchall()
        assert found == [(4, count)], found

    def sync_worker(self, count: int) -> float:
        self.fill(count)
        worker = Worker(self.dsn, workflows=[self.three()])
        began = time.perf_counter()
        worker.run(drain=True)
        took = time.perf_counter() - began
        self.check(count)
        return count / took

    def async_worker(self, count: int) -> float:
        self.fill(count)

        async def drain() -> float:
            async with await AsyncPostgresWorkflowStorage.create(self.dsn) as storage:
                made = async_workflow("three", storage=storage)
                worker = AsyncWorker(
                    self.dsn, workflows=[made.step("a", async_noop).step("b", async_noop).step("c", async_noop)]
                )
                began = time.perf_counter()
                await worker.run(drain=True)
                return time.perf_counter() - began

        took = asyncio.run(drain())
        self.check(count)
        return count / took

    def inline(self, count: int) -> float:
        self.clear()
        three = self.three()
        began = time.perf_counter()
        for number in range(count):
            three.run(workflow_id=f"w{number}")
        took = time.perf_counter() - began
        self.check(count)
        return count / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="a tenth of the work, to see that it runs")
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    scale = 10 if options.short else 1
    with postgres_server(server="own", durable=True, settings=SETTINGS) as server:
        bench = Bench(server.create_database())
        cases = {
            "sync worker": lambda: bench.sync_worker(5_000 // scale),
            "async worker": lambda: bench.async_worker(5_000 // scale),
            "inline": lambda: bench.inline(500 // scale),
        }
        if not options.no_peers:
            problems = prepare(["absurd", "dbos"])
            assert not problems, problems

            def peer(name: str, kind: str, count: int) -> float:
                return float(measure(name, kind, server.dsn, max(20, count // scale))["value"])

            cases["absurd"] = lambda: peer("absurd", "workflows", 1_000)
            cases["dbos"] = lambda: peer("dbos", "workflows", 500)
            cases["dbos inline"] = lambda: peer("dbos", "workflows_direct", 300)
        figures = interleave(cases, options.rounds)
        middle = medians(figures)
        rows = [
            (ours, f"{middle[ours]:,.0f}/s", f"{name} {middle[name]:,.0f}/s",
             f"{middle[ours] / middle[name]:.1f} ({goal})")
            for ours, name, goal in (
                ("sync worker", "absurd", GOALS["absurd"]), ("async worker", "absurd", GOALS["absurd"]),
                ("sync worker", "dbos", GOALS["dbos"]), ("async worker", "dbos", GOALS["dbos"]),
                ("inline", "dbos inline", GOALS["inline"]),
            )
            if name in middle
        ]  # fmt: skip
        print(middle)
        if not options.no_peers:
            report("workflows", str(server.version), rows, figures)
            bars("workflows", "workflows per second", {"three steps": middle})


if __name__ == "__main__":
    main()
