"""Worker: handlers in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

from promin_postgres._time import Seconds, check_seconds
from promin_postgres.database import Database, DatabaseSource
from promin_postgres.errors import ConfigurationError
from promin_postgres.steps import Fairness
from promin_postgres.worker._context import TaskContext
from promin_postgres.worker._health import State, WorkerHealth
from promin_postgres.worker._settings import Handler, check_settings
from promin_postgres.worker._signals import heeding
from promin_postgres.workflow.runner import Runnable
from promin_postgres.workflow.storage import PostgresWorkflowStorage
from promin_postgres.worker._sync_shift import Shift


class Worker:
    """Claims tasks of the step queue and calls the handlers of their steps, in threads.

    A handler takes a TaskContext; what it returns is the result of its task, what it raises the error. Delivery is at
    least once, an outcome is recorded at most once: a worker that was paused or cut off for longer than its lease
    records nothing of what it had claimed.

    Args:
        db: A Database, pool, connection or conninfo. A conninfo gets a pool of its own for each run.
        handlers: Functions, or `Handler`s, by names of steps. Tasks of other steps are left to workers that know
            them; looks pass them over one by one.
        workflows: Workflows whose runs are driven here, step by step, beside other workers; or a registry of them. The
            children of their `subworkflow` steps are driven too. Runs that were driven inline, and whose process died,
            are taken up.
        queues: Names; with round-robin one after the other gives, else they are one.
        concurrency: Handlers that run at a time.
        namespace: Claim only what is in it. None: everything.
        fairness: As `PgStepQueue.claim`.
        lease: Seconds, or a timedelta, that the worker may be silent before its tasks are anybody's. A thread of its
            own renews it, whatever the handlers do.
        poll_interval: Seconds, or a timedelta, between two looks when nothing rings.
        batch: Tasks claimed at a time, and claimed ahead, at most; 500 by default.
        shutdown_timeout: Seconds, or a timedelta, for what runs to end once the worker is to stop; after that it is
            given back.
        worker_id: What tasks are claimed as; a part that no other process has is added.
        schema: Where the tables are; by default that of `db`.
        table_prefix: How their names begin; by default that of `db`.
        max_deliveries: Claims after which a task that was not settled is dead; retries come on top.

    Raises:
        InvalidArgument, ConfigurationError
    """

    def __init__(
        self,
        db: DatabaseSource,
        *,
        handlers: Mapping[str, Callable[[TaskContext], Any] | Handler] | None = None,
        workflows: Iterable[Runnable] = (),
        queues: Sequence[str] = ("default",),
        concurrency: int = 8,
        namespace: str | None = None,
        fairness: Fairness = "strict-priority",
        lease: Seconds = 30.0,
        poll_interval: Seconds = 1.0,
        batch: int | None = None,
        shutdown_timeout: Seconds = 30.0,
        worker_id: str | None = None,
        schema: str | None = None,
        table_prefix: str | None = None,
        max_deliveries: int = 10,
    ) -> None:
        self._owns_db = isinstance(db, str)
        self._db = Database.of(db)
        names = self._db.executor(schema=schema, table_prefix=table_prefix).names
        self._settings = check_settings(
            handlers=handlers or {}, workflows=workflows, storage=PostgresWorkflowStorage, names=names,
            queues=queues, concurrency=concurrency, namespace=namespace, fairness=fairness,
            lease=lease, poll_interval=poll_interval, batch=batch, shutdown_timeout=shutdown_timeout,
            worker_id=worker_id, schema=schema, table_prefix=table_prefix, max_deliveries=max_deliveries,
        )  # fmt: skip
        self._shift: Shift | None = None
        self._lock = threading.Lock()

    def run(self, *, drain: bool = False) -> None:
        """Work until told to stop: by `stop`, or on the main thread by SIGTERM or SIGINT, the second of which kills.

        Args:
            drain: Until nothing is left that could be claimed now, and everything claimed is settled.

        Raises:
            ConfigurationError: It runs already.
            psycopg.ProgrammingError: The tables are not there.
        """
        shift = self._begin(drain=drain)
        with heeding(self._tell):
            shift.ended.wait()
        self._close()
        if shift.failure is not None:
            raise shift.failure

    def start(self) -> None:
        """Work in the background, until `stop`. `health` tells how it goes.

        Raises:
            ConfigurationError: It runs already.
        """
        self._begin(drain=False)

    def stop(self, timeout: Seconds | None = None) -> None:
        """Claim no more, let what runs end, and return when it has.

        Args:
            timeout: Seconds, or a timedelta, after which what still runs is given back; by default `shutdown_timeout`.
        """
        shift = self._shift
        if shift is None:
            return
        self._tell(None if timeout is None else check_seconds("timeout", timeout))
        shift.ended.wait()
        self._close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def health(self) -> WorkerHealth:
        """How it is, without asking the server."""
        shift = self._shift
        if shift is None:
            return WorkerHealth(state="idle")
        state: State = "stopping" if shift.desk.stopping else "running"
        if shift.ended.is_set():
            state = "stopped" if shift.failure is None else "failed"
        return shift.desk.health(state, shift.life, ahead=shift.ahead, connected=shift.connected)

    def _begin(self, *, drain: bool) -> Shift:
        with self._lock:
            if self._shift is not None and not self._shift.ended.is_set():
                raise ConfigurationError("this worker runs already")
            self._shift = Shift(self._db, self._settings, drain=drain)
            self._shift.start()
            return self._shift

    def _tell(self, timeout: float | None = None) -> None:
        if self._shift is not None:
            self._shift.stop(self._settings.shutdown_timeout if timeout is None else timeout)

    def _close(self) -> None:
        if self._owns_db:
            self._db.close()
