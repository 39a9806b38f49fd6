"""What the tests of workers share."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from _servers import package_environment
from _twins import Twin

from promin_postgres.steps import NewTask, PgStepQueue
from promin_postgres.worker import AsyncWorker, Worker


class Kit:
    """A step queue on the database of a test, and workers of one kind on it."""

    def __init__(self, twin: Twin, dsn: str) -> None:
        self.twin = twin
        self.dsn = dsn
        self.queue = PgStepQueue(dsn)

    def worker(self, handlers: dict[str, Any], **options: Any) -> Any:
        """A worker that looks often."""
        options = {"poll_interval": 0.2, **options}
        return self.twin.pick(Worker, AsyncWorker)(self.dsn, handlers=handlers, **options)

    def drain(self, handlers: dict[str, Any], **options: Any) -> Any:
        worker = self.worker(handlers, **options)
        worker.run(drain=True)
        return worker

    @contextmanager
    def working(self, handlers: dict[str, Any], **options: Any) -> Iterator[Any]:
        with self.worker(handlers, **options) as worker:
            yield worker

    def enqueue(self, *steps: str, **fields: Any) -> list[int]:
        """A task for each step, of as many workflows."""
        return self.queue.enqueue_many(
            NewTask(workflow_id=f"w{number}", step_name=step, **fields) for number, step in enumerate(steps)
        )

    def status(self, task_id: int) -> str:
        return self.queue.get(task_id).status.name

    def execute(self, text: str, *params: Any) -> list[Any]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(text, params)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def kit(twin: Twin, promin_dsn: str) -> Iterator[Kit]:
    kit = Kit(twin, promin_dsn)
    with kit.queue:
        yield kit


class Gate:
    """A handler that waits until it is let go, and tells how many are in it."""

    def __init__(self) -> None:
        self.entered = 0
        self.contexts: list[Any] = []
        self.opened = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, context: Any) -> str:
        with self._lock:
            self.entered += 1
            self.contexts.append(context)
        assert self.opened.wait(60)
        return "through"


def spawn(program: str, *arguments: str) -> subprocess.Popen[str]:
    """A process of its own that runs a program with the package under test."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env=package_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
