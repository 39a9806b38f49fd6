"""What the benchmarks of the step queue share: a loaded queue, and its statements with and without us."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from promin_postgres.database import Database
from promin_postgres.database._adapters import ADAPTERS
from promin_postgres.steps import Completed, Fairness, NewTask, PgStepQueue
from promin_postgres.steps import _statements as sql
from promin_postgres.steps._fairness import LEVELS

PAYLOAD = {"n": 1, "customer": "c-17"}
BULK = 10_000


def rate(count: int, work: Callable[[], object]) -> float:
    """`count` per second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def pgbench() -> str:
    """Its path: on PATH, or of the newest PostgreSQL of Debian's packages."""
    found = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/pgbench")), reverse=True)
    return shutil.which("pgbench") or found[0]


def tasks(count: int, *, workflows: int, first: int = 0) -> list[NewTask]:
    """No-op tasks that so many workflows have in turn."""
    return [
        NewTask(workflow_id=f"wf-{n % workflows}", step_name=f"step-{n // workflows}", input=PAYLOAD)
        for n in range(first, first + count)
    ]


class _Types:
    adapters, connection = ADAPTERS, None


class Steps:
    """A step queue of a database of its own, and a bare connection beside it."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        # With the types of parameters that suit our statements: the raw figures are to be the best there can be.
        self.raw: psycopg.Connection[Any] = psycopg.connect(dsn, autocommit=True, context=_Types())
        self.db = Database.connect(dsn)
        self.queue = PgStepQueue(self.db, lease=600)
        self.queue.ensure_table()

    def close(self) -> None:
        self.db.close()
        self.raw.close()

    def fill(self, count: int, *, workflows: int | None = None, keep_history: bool = False) -> None:
        """Start anew with that many pending tasks, vacuumed and analyzed as autovacuum would have done."""
        self.raw.execute("TRUNCATE wf_step_queue")
        if not keep_history:
            self.raw.execute("TRUNCATE wf_step_history, wf_step_batches")
        self.fill_more(count, workflows=workflows)
        self.raw.execute("VACUUM ANALYZE wf_step_queue, wf_step_history, wf_step_batches")

    def fill_more(self, count: int, *, workflows: int | None = None, first: int = 0) -> None:
        """Add pending tasks, numbered from `first`."""
        number = workflows or max(1, count // 10)
        for begin in range(first, first + count, BULK):
            size = min(BULK, first + count - begin)
            self.queue.enqueue_many(tasks(size, workflows=number, first=begin))

    def drain(self, count: int, batch: int, fairness: Fairness = "strict-priority") -> float:
        """Settle a batch and claim the next, until `count` are claimed; tasks per second."""

        def work() -> None:
            claimed: list[Any] = []
            left = count
            while left > 0:
                outcomes = [Completed(task) for task in claimed]
                claimed = self.queue.settle_and_claim(outcomes, queues=["default"], limit=batch, fairness=fairness)
                assert claimed
                left -= len(claimed)
            self.queue.complete_many([Completed(task) for task in claimed])

        return rate(count, work)

    def drain_raw(self, count: int, batch: int) -> float:
        """The same statement through bare psycopg, prepared, its rows left as tuples."""
        self.queue._core.live()
        cursor = self.raw.cursor(binary=True)
        text = self.queue._core.sql.names.render(sql.SETTLE_AND_CLAIM_OF_ONE)

        def work() -> None:
            rows: list[Any] = []
            mark, left = 0, count
            while left > 0:
                cursor.execute(text, self._params(batch, mark, rows), prepare=True)
                rows = [row for row in cursor.fetchall() if row[1] is not None]
                assert rows
                mark = max(row[0] for row in rows)
                left -= len(rows)
            cursor.execute(text, self._params(1, mark, rows), prepare=True)

        return rate(count, work)

    def _params(self, batch: int, mark: int, rows: list[Any]) -> dict[str, Any]:
        return {
            "me": self.queue.worker_id,
            "queues": ["default"],
            "limit": batch,
            "namespace": "",
            "steps": None,
            "definitions": None,
            "after": [mark if level == 5 else 0 for level in LEVELS],
            "ids": [row[0] for row in rows],
            "leases": [row[1] for row in rows],
            "results": None,
            "durations": None,
        }

    def drain_pgbench(self, count: int, batch: int) -> float:
        """The same statement by pgbench; but for its last SELECT, which gives arrays for the next one."""
        self.queue._core.live()
        text = self.queue._core.sql.names.render(sql.SETTLE_AND_CLAIM_OF_ONE).decode()
        text = text[: text.rindex("SELECT c.id")] + (
            "SELECT COALESCE(array_agg(c.id), '{}') AS ids, COALESCE(array_agg(c.lease), '{}') AS leases,"
            " COALESCE(max(c.id), 0) AS mark FROM claimed c\n\\gset\n"
        )
        literals = {
            "me": f"'{self.queue.worker_id}'",
            "queues": "'{default}'",
            "limit": str(batch),
            "namespace": "''",
            "steps": "NULL",
            "after": "array_fill(:mark::bigint, '{11}')",
            "ids": ":ids",
            "leases": ":leases",
        }
        text = re.sub(r"%\((\w+)\)[sb]", lambda match: literals.get(match[1], "'{}'"), text)
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(text)
            script.flush()
            command = [pgbench(), "-n", "-M", "prepared", "-t", str(count // batch), "-f", script.name]
            command += ["-D", "ids={}", "-D", "leases={}", "-D", "mark=0", self.dsn]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        assert found is not None, done.stderr
        return float(found[1]) * batch


@contextmanager
def held_horizon(dsn: str) -> Iterator[None]:
    """Another transaction that keeps vacuum from everything that dies meanwhile."""
    with psycopg.connect(dsn) as holder:
        holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        holder.execute("SELECT pg_current_xact_id()")
        yield
        holder.rollback()
