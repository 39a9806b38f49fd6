"""Workers for tests of the storage: they claim tasks of runs and settle them, and execute nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg

from promin_postgres.lookups import StepStatus
from promin_postgres.workflow.storage import Lease, StepSettlement, TaskHold

CLAIM = """
UPDATE wf_step_queue q
SET claimed_by = %(me)s, claimed_at = clock_timestamp(), deliveries = q.deliveries + 1, lease = q.lease + 1
WHERE q.id = ANY (ARRAY(
    SELECT t.id FROM wf_step_queue t
    WHERE (t.gate = 0 OR (t.gate = 1 AND t.available_at <= clock_timestamp()))
      AND (t.claimed_by IS NULL OR t.claimed_by NOT IN (SELECT id FROM wf_workers WHERE expires_at > clock_timestamp()))
    ORDER BY t.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
RETURNING q.id, q.lease, q.workflow_id, q.run, q.step_name, q.attempt, q.deliveries, q.definition
"""


class Task(NamedTuple):
    id: int
    lease: int
    workflow_id: str
    run: int
    step_name: str
    attempt: int
    deliveries: int
    definition: str


class Hand:
    """One worker, on a connection of its own for its claims."""

    def __init__(self, dsn: str, name: str = "hand") -> None:
        self.name = name
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.live()

    def live(self) -> None:
        self.connection.execute(
            "INSERT INTO wf_workers (id, expires_at) VALUES (%s, now() + interval '1 hour') "
            "ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at",
            [self.name],
        )

    def die(self) -> None:
        self.connection.execute("DELETE FROM wf_workers WHERE id = %s", [self.name])

    def claim(self, limit: int = 100) -> list[Task]:
        rows = self.connection.execute(CLAIM, {"me": self.name, "limit": limit}).fetchall()
        return [Task(*row) for row in sorted(rows)]

    def one(self, step_name: str) -> Task:
        """The only task that can be had, which is this one's."""
        tasks = self.claim()
        assert [task.step_name for task in tasks] == [step_name]
        return tasks[0]

    def lease(self, task: Task) -> Lease:
        return Lease(workflow_id=task.workflow_id, task=TaskHold(task.id, self.name, task.lease))

    def done(self, task: Task, result: str | None = None, **fields: Any) -> StepSettlement:
        given: dict[str, Any] = {"status": StepStatus.COMPLETED, "attempt": task.attempt, "result": result} | fields
        return StepSettlement(task_id=task.id, claimed_by=self.name, lease=task.lease, **given)

    def close(self) -> None:
        self.connection.close()


@contextmanager
def hands(dsn: str) -> Iterator[Callable[..., Hand]]:
    """Makes workers, and closes their connections at the end."""
    made: list[Hand] = []

    def make(name: str = "hand") -> Hand:
        made.append(Hand(dsn, name))
        return made[-1]

    yield make
    for hand in made:
        hand.close()


def drain(storage: Any, hand: Hand, *, limit: int = 100) -> list[str]:
    """Complete all tasks there are with the names of their steps as results; returns those in their order."""
    seen: list[str] = []
    while tasks := hand.claim(limit):
        seen += [task.step_name for task in tasks]
        assert storage.settle_steps([hand.done(task, f'"{task.step_name}"') for task in tasks]) == set()
    return seen
