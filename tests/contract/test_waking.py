"""What wakes in great numbers, behind the marks of those who claim, comes at once: also while new work keeps coming."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from _tasks import new_steps, steps, watch
from _twins import Twin
from _waiting import until

from promin_postgres.queue import AsyncPgQueue, PgQueue
from promin_postgres.steps import NewTask

__all__ = ["new_steps", "steps", "watch"]

LATE, HANDFUL = 300, 20


def wakes_at_once(
    enqueue: Callable[[str, int, float], object], wake: Callable[[], object], claim: Callable[[], list[str]]
) -> None:
    """`enqueue(label, how many, delay)`; `claim()` settles up to a handful and returns their labels."""
    enqueue("late", LATE, 3600)
    for _ in range(5):
        enqueue("new", HANDFUL, 0)
        assert claim() == ["new"] * HANDFUL

    wake()

    def first() -> list[str]:
        enqueue("new", HANDFUL, 0)
        return claim()

    until(lambda: first() == ["late"] * HANDFUL, timeout=30)
    for _ in range(LATE // HANDFUL - 1):
        assert first() == ["late"] * HANDFUL
    assert first() == ["new"] * HANDFUL


@pytest.mark.parametrize("fairness", ["strict-priority", "weighted"])
def test_tasks(steps: Any, watch: psycopg.Connection[Any], fairness: str) -> None:
    def enqueue(label: str, count: int, delay: float) -> None:
        steps.enqueue_many([NewTask(workflow_id=uuid4().hex, step_name=label, delay=delay) for _ in range(count)])

    def claim() -> list[str]:
        tasks = steps.claim(queues=["default"], limit=HANDFUL, fairness=fairness)
        for task in tasks:
            steps.complete(task)
        return [task.step_name for task in tasks]

    due = "UPDATE wf_step_queue SET available_at = statement_timestamp() WHERE gate = 1"
    wakes_at_once(enqueue, lambda: watch.execute(due), claim)


@pytest.fixture
def queue(twin: Twin, promin_dsn: str) -> Iterator[Any]:
    with twin.pick(PgQueue, AsyncPgQueue).create(promin_dsn, "orders") as queue:
        yield queue


def test_messages(queue: Any, watch: psycopg.Connection[Any]) -> None:
    def claim() -> list[str]:
        envelopes = queue.receive(HANDFUL)
        queue.ack_many(envelopes)
        return [envelope.value for envelope in envelopes]

    due = "UPDATE pgq_orders SET due_at = statement_timestamp() WHERE due_at IS NOT NULL"
    wakes_at_once(
        lambda label, count, delay: queue.publish_many([label] * count, delay=delay), lambda: watch.execute(due), claim
    )
