"""A step queue for tests, and a look behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from _twins import Twin

from promin_postgres._watermark import Start
from promin_postgres.steps import AsyncPgStepQueue, NewTask, PgStepQueue, StepTask
from promin_postgres.steps._async_core import AsyncStepCore
from promin_postgres.steps._sync_core import StepCore


@pytest.fixture
def new_steps(twin: Twin, twin_db: Any) -> Callable[..., Any]:
    """`PgStepQueue` or its async twin on the database of the test: `new_steps(namespace="n")`."""
    return partial(twin.pick(PgStepQueue, AsyncPgStepQueue), twin_db)


@pytest.fixture
def steps(new_steps: Callable[..., Any]) -> Any:
    return new_steps()


@pytest.fixture
def new_core(twin: Twin, twin_db: Any) -> Callable[..., Any]:
    """A claimer as a worker is one."""

    def make(**known: Any) -> Any:
        return twin.pick(StepCore, AsyncStepCore)(
            twin_db,
            worker_id=None,
            namespace=None,
            schema=None,
            table_prefix=None,
            max_deliveries=2,
            lease=30.0,
            **known,
        )

    return make


@pytest.fixture
def watch(promin_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the test's own."""
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        yield connection


def some(count: int, **fields: Any) -> list[NewTask]:
    """As many tasks of one workflow."""
    given = {"workflow_id": "w"} | fields
    return [NewTask(step_name=f"s{number}", **given) for number in range(count)]


def names(tasks: list[StepTask]) -> list[str]:
    return [task.step_name for task in tasks]


def counts(queue: Any, name: str = "default") -> tuple[int, int, int, int, int]:
    """Pending, running, completed, failed and dead tasks of a queue."""
    metrics = queue.metrics()[name]
    return metrics.pending, metrics.running, metrics.completed, metrics.failed, metrics.dead


def from_start(queue: Any) -> Any:
    """The same queue; its next claim looks from the start, as it does each second."""
    queue._core._start = Start()
    return queue


def kill(watch: psycopg.Connection[Any], queue: Any) -> None:
    """Let the lease of a claimer run out."""
    watch.execute("UPDATE wf_workers SET expires_at = clock_timestamp() WHERE id = %s", [queue.worker_id])
