# Generated from _async.py by tools/twins.py. Do not edit: edit that and generate again.
"""PgStepQueue: tasks that workers claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from promin_postgres._arguments import check_count, check_optional_text, check_text
from promin_postgres._error_record import ErrorRecord
from promin_postgres._statement import SqlNames, read_sql
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.database import Database, DatabaseSource
from promin_postgres.errors import AlreadyExists, InvalidArgument, LeaseLost, NotFound
from promin_postgres.migrator import migrate
from promin_postgres.steps import _statements as sql
from promin_postgres.steps._sync_core import StepCore
from promin_postgres.steps._records import (
    Completed,
    Failed,
    Fairness,
    NewTask,
    Outcome,
    QueueCounts,
    StepTask,
    TaskRecord,
)
from promin_postgres.steps._settings import (
    check_fairness,
    check_limit,
    check_queue,
    check_queues,
    check_task,
    check_tasks,
    columns,
    encode_outcomes,
    encode_task,
    place,
    settlement,
    task_record,
)

_MIGRATIONS = ("0004_steps", "0006_steps_of_runs", "0010_completed_batches", "0011_room_for_claims")
"""Those that make the tables of the step queue."""

_ATTEMPTS = 10
"""How often `enqueue` meets a task that is gone when it looks, before it gives up."""


class PgStepQueue:
    """A queue of tasks that many processes work on, and one claimer on it.

    Delivery is at least once; an outcome is recorded at most once. Who claims lives for `lease` from his last claim or
    heartbeat; what he holds after that is anybody's, and his outcomes are refused. There is one unfinished task at most
    for each workflow, run and step. For SQL, finished tasks are in the view `finished_tasks` (with the prefix).

    Args:
        db: A database, pool, connection or conninfo. A conninfo gets a pool of its own, which `close` closes.
        worker_id: What tasks are claimed as; a part that no other process has is added. By default that part alone.
        namespace: What is enqueued, and all that is claimed. None: unscoped, it sees all.
        schema: Where the tables are; by default that of `db`.
        table_prefix: How their names begin; by default that of `db`.
        max_deliveries: Claims after which a task that was not settled, or failed again, is dead.
        lease: How long a claimer may be silent, in seconds or as a timedelta.

    Raises:
        InvalidArgument, ConfigurationError

    Safe to share between threads and tasks, not between processes.
    """

    def __init__(
        self,
        db: DatabaseSource,
        *,
        worker_id: str | None = None,
        namespace: str | None = None,
        schema: str | None = None,
        table_prefix: str | None = None,
        max_deliveries: int = 10,
        lease: Seconds = 30.0,
    ) -> None:
        self._owns_db = isinstance(db, str)
        self._core = StepCore(
            Database.of(db),
            worker_id=check_optional_text("worker_id", worker_id),
            namespace=check_optional_text("namespace", namespace),
            schema=schema,
            table_prefix=table_prefix,
            max_deliveries=check_count("max_deliveries", max_deliveries, at_least=1),
            lease=check_seconds("lease", lease, positive=True),
        )

    @property
    def worker_id(self) -> str:
        """What tasks are claimed as. Another one after the lease ran out."""
        return self._core.me

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what this queue opened itself. What is still leased stays so until the lease runs out."""
        if self._owns_db:
            self._core.db.close()

    @staticmethod
    def schema_sql(*, schema: str = "public", table_prefix: str = "wf_") -> str:
        """The tables as SQL text, without a database. Source: sql/migrations, 0004, 0006, 0010 and 0011."""
        names = SqlNames(schema, table_prefix)
        return "\n".join(names.fill(read_sql(f"migrations/{name}")[1]) for name in _MIGRATIONS)

    def ensure_table(self) -> None:
        """Bring the schema up to date: for development and tests. In production run the migrations."""
        names = self._core.sql.names
        migrate(self._core.db, schema=names.schema, table_prefix=names.table_prefix)

    def enqueue(
        self,
        workflow_id: str,
        step_name: str,
        *,
        queue: str = "default",
        input: Any = None,  # noqa: A002 - the field's own word
        prev_results: Mapping[str, Any] | None = None,
        priority: int = 5,
        namespace: str | None = None,
        delay: Seconds | datetime = 0,
        run: int = 1,
        concurrency_key: str | None = None,
        concurrency_limit: int | None = None,
        connection: Any = None,
    ) -> int:
        """Append a task; returns its id. While one of this workflow, run and step is unfinished, that one's id.

        Args:
            workflow_id: Any text; what round-robin takes turns between.
            step_name: At most 255 characters; what a worker finds the handler by.
            queue: At most 255 characters.
            input, prev_results: Encode as JSON.
            priority: 0 to 10, the highest first.
            namespace: By default that of this object.
            delay: Seconds or a timedelta to wait, or the aware moment to wait for.
            run: From 1.
            concurrency_key, concurrency_limit: No more than this many tasks of the key run at a time, anywhere. Both or
                neither.
            connection: Enqueue in this connection's transaction: rolled back means never enqueued.

        Raises:
            CodecError, InvalidArgument: Nothing was sent.

        Source: sql/steps/enqueue.sql. Wakes a worker that waits for the queue once it is committed.
        """
        task = NewTask(
            workflow_id=workflow_id, step_name=step_name, queue=queue, input=input, prev_results=prev_results,
            priority=priority, namespace=namespace, delay=delay, run=run, concurrency_key=concurrency_key,
            concurrency_limit=concurrency_limit,
        )  # fmt: skip
        row = encode_task(task, self._core.namespace)
        channel, door = self._core.bell(queue)
        bell = {"ring": connection is not None, "channel": channel, "door": door}
        added = self._core.sql.fetch_tuples(sql.ENQUEUE, row | bell, connection=connection)
        return int(added[0][0]) if added else (self._enqueue([row], connection))[0]

    def enqueue_many(self, tasks: Iterable[NewTask], *, connection: Any = None) -> list[int]:
        """Append tasks in one statement, all or none; returns their ids in the order of `tasks`. As `enqueue`."""
        rows = [encode_task(task, self._core.namespace) for task in tasks]
        return self._enqueue(rows, connection) if rows else []

    def _enqueue(self, rows: Sequence[dict[str, Any]], connection: Any) -> list[int]:
        ids: dict[int, int] = {}
        for _ in range(_ATTEMPTS):
            todo = [number for number in range(len(rows)) if number not in ids]
            arrays = columns([rows[number] for number in todo])
            bells = self._core.bells(set(arrays["queues"]))
            ((added, *places),) = self._core.sql.fetch_tuples(
                sql.ENQUEUE_MANY, arrays | bells | {"ring": connection is not None}, connection=connection
            )
            if added is not None and len(added) == len(todo):
                ids.update(zip(todo, sorted(added), strict=True))
            else:
                # Not looked for: what was added may be done with already.
                new = dict(zip(zip(*places, strict=True), added, strict=True)) if added else {}
                ids.update((number, new[place(rows[number])]) for number in todo if place(rows[number]) in new)
                rest = [number for number in todo if number not in ids]
                arrays = columns([rows[number] for number in rest])
                wanted = {name: arrays[name] for name in ("workflow_ids", "runs", "step_names")}
                found = self._core.sql.fetch_all(sql.FIND_UNFINISHED, wanted, connection=connection)
                ids.update((rest[row["number"] - 1], row["id"]) for row in found)
            if len(ids) == len(rows):
                return [ids[number] for number in range(len(rows))]
        missing = next(rows[number] for number in range(len(rows)) if number not in ids)
        raise AlreadyExists("task", f"{missing['step_name']} of {missing['workflow_id']}")

    def claim(
        self, *, queues: Sequence[str], limit: int = 1, fairness: Fairness = "strict-priority"
    ) -> list[StepTask]:
        """Lease up to `limit` tasks, in the order of the policy; an empty list when none can be had.

        Args:
            queues: Names; paused ones give nothing. With round-robin one after the other gives.
            limit: 1 to 10,000.
            fairness: "strict-priority": the highest priority first, then the oldest. "round-robin": one task of each
                workflow, then a second of each. "weighted": each level by chance, in proportion to its priority + 1.

        Raises:
            InvalidArgument

        Source: sql/steps/claim.sql. A task has one claimer at a time. A task whose transaction commits late, or that
        comes back, may be overtaken for up to a second.
        """
        return self._core.claim(check_queues(queues), check_limit(limit), check_fairness(fairness))

    def complete(self, task: StepTask | int, *, result: Any = None, duration: Seconds | None = None) -> None:
        """The task is done.

        Args:
            task: The task, or its id.
            result: Kept in the history; encodes as JSON.
            duration: In seconds or as a timedelta; by default the time since the claim.

        Raises:
            LeaseLost: The task is not ours any more; nothing was written.
            CodecError: The result does not encode; nothing was sent.

        Source: sql/steps/settle.sql.
        """
        self._settle_one(Completed(task, result=result, duration=duration))

    def fail(
        self,
        task: StepTask | int,
        *,
        error: BaseException | ErrorRecord | str,
        duration: Seconds | None = None,
        retry_in: Seconds | None = None,
    ) -> None:
        """The task failed: for good, or to be tried again `retry_in` from now. See Failed.

        Raises:
            LeaseLost: The task is not ours any more; nothing was written.
        """
        self._settle_one(Failed(task, error=error, duration=duration, retry_in=retry_in))

    def complete_many(self, outcomes: Iterable[Outcome]) -> list[int]:
        """Record outcomes; returns the ids of tasks that are not ours any more, whose outcomes were not recorded.

        Those that end for good are recorded in one statement, those to be tried again in another.
        """
        settlements = encode_outcomes(outcomes)
        return self._core.settle(settlements) if settlements else []

    def settle_and_claim(
        self,
        outcomes: Iterable[Outcome],
        *,
        queues: Sequence[str],
        limit: int = 1,
        fairness: Fairness = "strict-priority",
    ) -> list[StepTask]:
        """`complete_many` and `claim` in one statement: one round trip, one wait for the disk.

        Failures, tasks with a concurrency key, large ones and tasks given by their ids take statements of their own.
        Outcomes that came too late are logged as warnings; `complete_many` returns them.

        Source: sql/steps/settle_and_claim.sql.
        """
        settlements = encode_outcomes(outcomes)
        tasks, lost = self._core.settle_and_claim(
            settlements, check_queues(queues), check_limit(limit), check_fairness(fairness)
        )
        self._core.warn_of_lost(lost)
        return tasks

    def release(self, *tasks: StepTask | int) -> None:
        """Give tasks back as if they had not been claimed: that costs no delivery.

        Raises:
            LeaseLost: Some are not ours any more; the others were given back.
        """
        lost = self._core.release([settlement(task) for task in check_tasks(tasks)]) if tasks else []
        if lost:
            raise _lost(lost)

    def heartbeat(self) -> None:
        """Renew the lease on everything that is claimed.

        Raises:
            LeaseLost: It ran out: what was claimed before is, or will be, somebody else's.
        """
        if not self._core.heartbeat():
            raise LeaseLost(f"worker {self.worker_id!r}")

    def requeue_stuck(self, *, stale_timeout: Seconds | None = None, claimed_by: str | None = None) -> int:
        """Let the tasks of lost workers wait again; returns how many. Claims take those of dead ones by themselves.

        Args:
            stale_timeout: Of workers that were not heard of for so long, in seconds or as a timedelta.
            claimed_by: Of the workers of this name, alive or not.
        """
        return self._core.requeue_stuck(
            stale_timeout=None
            if stale_timeout is None
            else timedelta(seconds=check_seconds("stale_timeout", stale_timeout)),
            claimed_by=None if claimed_by is None else check_text("claimed_by", claimed_by),
        )

    def redrive(self, *, queue: str | None = None, limit: int | None = None) -> int:
        """Let dead tasks wait again, with all their deliveries, the oldest first; returns how many.

        Args:
            queue: Of this queue only.
            limit: At most so many.
        """
        params = {
            "queue": None if queue is None else check_queue(queue),
            "limit": None if limit is None else check_count("limit", limit, at_least=1),
        }
        rows = self._core.sql.fetch_all(sql.REDRIVE, params)
        self._core.returned(rows)
        return len(rows)

    def pause(self, queue: str) -> None:
        """Let no task of a queue be claimed, by anybody, until `resume`. What runs goes on."""
        self._core.sql.execute(sql.PAUSE, {"queue": check_queue(queue)})

    def resume(self, queue: str) -> None:
        """End a pause."""
        if self._core.sql.execute(sql.RESUME, {"queue": check_queue(queue)}):
            self._core.ring({queue})

    def metrics(self) -> dict[str, QueueCounts]:
        """How many tasks of each queue stand where. Reads them all. Source: sql/steps/metrics.sql."""
        rows = self._core.sql.fetch_all(sql.METRICS)
        return {row["queue"]: QueueCounts(**{key: row[key] for key in row if key != "queue"}) for row in rows}

    def prune(self, *, older_than: Seconds, batch: int = 10_000) -> int:
        """Forget tasks that were completed or failed before that time; returns how many. Dead ones stay.

        Args:
            older_than: Seconds or a timedelta.
            batch: Tasks deleted in one transaction, or a few more: those that were completed together go together.
        """
        age = timedelta(seconds=check_seconds("older_than", older_than))
        size = check_count("batch", batch, at_least=1)
        pruned = 0
        while True:
            ((deleted,),) = self._core.sql.fetch_tuples(sql.PRUNE, {"older_than": age, "batch": size})
            if not deleted:
                return pruned
            pruned += int(deleted)

    def get(self, task_id: int) -> TaskRecord:
        """A task, wherever it stands.

        Raises:
            NotFound
        """
        if not isinstance(check_task(task_id), int):
            raise InvalidArgument("task_id", task_id, "must be an id")
        row = self._core.sql.fetch_one(sql.GET, {"id": task_id})
        if row is None:
            raise NotFound("task", str(task_id))
        return task_record(row)

    def _settle_one(self, outcome: Outcome) -> None:
        lost = self._core.settle(encode_outcomes([outcome]))
        if lost:
            raise _lost(lost)


def _lost(ids: Sequence[int]) -> LeaseLost:
    return LeaseLost(f"task {', '.join(map(str, ids))}")
