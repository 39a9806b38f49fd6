"""Runs that workers drive, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from _twins import Twin

from promin_postgres.database import AsyncDatabase, Database
from promin_postgres.worker import AsyncWorker, Worker
from promin_postgres.workflow import (
    AsyncPostgresWorkflowStorage,
    PostgresWorkflowStorage,
    async_workflow,
    workflow,
)


class Runs:
    """The workflow storage on the database of a test, and workers of one kind on it."""

    def __init__(self, twin: Twin, dsn: str) -> None:
        self.twin = twin
        self.dsn = dsn
        self.storage = twin.pick(PostgresWorkflowStorage, AsyncPostgresWorkflowStorage).create(dsn)
        self.workflow = partial(twin.pick(workflow, async_workflow), storage=self.storage)
        self.watch = psycopg.connect(dsn, autocommit=True)

    def worker(self, *workflows: Any, **options: Any) -> Any:
        """A worker that looks often."""
        return self.worker_of(list(workflows), **options)

    def worker_of(self, workflows: Any, **options: Any) -> Any:
        options = {"poll_interval": 0.2, "lease": 5.0, **options}
        return self.twin.pick(Worker, AsyncWorker)(self.dsn, workflows=workflows, **options)

    def drain(self, *workflows: Any, **options: Any) -> Any:
        worker = self.worker(*workflows, **options)
        worker.run(drain=True)
        return worker

    @contextmanager
    def working(self, *workflows: Any, **options: Any) -> Iterator[Any]:
        with self.worker(*workflows, **options) as worker:
            yield worker

    @contextmanager
    def caller(self) -> Iterator[Any]:
        """A transaction on a connection of the caller's own."""
        with self.twin.pick(Database, AsyncDatabase).connect(self.dsn) as db, db.transaction() as connection:
            yield connection

    def query(self, text: str, *params: Any) -> list[Any]:
        return self.watch.execute(text.encode(), params or None).fetchall()

    def left(self) -> int:
        """Tasks in the queue."""
        ((number,),) = self.query("SELECT count(*) FROM wf_step_queue")
        return int(number)

    def attempts(self, workflow_id: str, step_name: str) -> list[str]:
        """How the executions of a step ended, oldest first."""
        found = self.storage.load_step_attempts(workflow_id)
        return [one.status.name for one in found if one.step_name == step_name]

    def close(self) -> None:
        self.storage.close()
        self.watch.close()
