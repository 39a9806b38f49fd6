"""What the step queue takes and gives back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, Literal, NamedTuple, TypeAlias

import attrs

from promin_postgres._arguments import decode_optional
from promin_postgres._error_record import ErrorRecord
from promin_postgres._time import Seconds, moment_of
from promin_postgres.lookups import TaskStatus

Fairness = Literal["strict-priority", "round-robin", "weighted"]
"""Which tasks come first: those of the highest priority; one of each workflow in turn; of a priority that is drawn in
proportion to its weight."""


class NewTask(NamedTuple):
    """A task to be enqueued; the fields are those of `PgStepQueue.enqueue`. (A tuple: thousands are made at once.)"""

    workflow_id: str
    step_name: str
    queue: str = "default"
    input: Any = None
    prev_results: Mapping[str, Any] | None = None
    priority: int = 5
    namespace: str | None = None
    delay: Seconds | datetime = 0
    run: int = 1
    concurrency_key: str | None = None
    concurrency_limit: int | None = None


class _Row(NamedTuple):
    """A claimed task as the server gives it, in this order (sql/steps/parts/leased.sql): what is needed to settle it
    comes first."""

    id: int
    lease: int
    deliveries: int
    concurrency_key: str | None
    queue: str
    priority: int
    is_large: bool
    workflow_id: str
    run: int
    step_name: str
    namespace: str | None
    input_json: str | None
    prev_results_json: str | None
    attempt: int
    created_at_sent: bytes
    claimed_by: str
    holds_seat: bool
    lane: int
    definition: str | None


class StepTask(_Row):
    """A task that is leased to us.

    `attempt` counts executions that came to an end, from 1; `deliveries` counts claims, those too after which nothing
    was heard. `lease` is what a settlement has to show. A tuple, because tens of thousands are made a second; payloads
    are decoded each time that they are asked for.
    """

    __slots__ = ()

    @property
    def input(self) -> Any:
        """The input as it was enqueued."""
        return decode_optional(self.input_json, f"input of task {self.id}")

    @property
    def prev_results(self) -> dict[str, Any]:
        """Results of earlier steps by their names, as enqueued."""
        return decode_optional(self.prev_results_json, f"prev_results of task {self.id}") or {}

    @property
    def created_at(self) -> datetime:
        """When it was enqueued, in UTC."""
        return moment_of(self.created_at_sent)

    def __repr__(self) -> str:
        return f"<task {self.id}: {self.step_name!r} of {self.workflow_id!r}, attempt {self.attempt}>"


ID = itemgetter(0)
"""The id of a task, or of what it is settled by."""


class Completed(NamedTuple):
    """The outcome of a task that did what it should. (A tuple, as StepTask is.)

    Args:
        task: The task, or its id.
        result: Kept in the history; encodes as JSON.
        duration: In seconds or as a timedelta; by default the time since the claim.
    """

    task: StepTask | int
    result: Any = None
    duration: Seconds | None = None


class Failed(NamedTuple):
    """The outcome of a task that did not.

    Args:
        task: The task, or its id.
        error: An exception, an ErrorRecord, or a text.
        duration: In seconds or as a timedelta; by default the time since the claim.
        retry_in: Try again after that time, in seconds or as a timedelta; None: it has failed for good. A task that was
            delivered `max_deliveries` times is dead instead.
    """

    task: StepTask | int
    error: BaseException | ErrorRecord | str
    duration: Seconds | None = None
    retry_in: Seconds | None = None


Outcome: TypeAlias = Completed | Failed


@attrs.frozen(kw_only=True)
class QueueCounts:
    """How many tasks of a queue stand where; `pending` includes those that wait for their moment or for a seat."""

    pending: int
    running: int
    completed: int
    failed: int
    dead: int
    oldest_pending_age: timedelta | None


@attrs.frozen(kw_only=True)
class TaskRecord:
    """A task wherever it stands. `error` is the last one, of tasks that are not completed."""

    id: int
    workflow_id: str
    run: int
    step_name: str
    namespace: str | None
    queue: str
    priority: int
    status: TaskStatus
    attempt: int
    deliveries: int
    input: Any
    prev_results: dict[str, Any]
    result: Any
    error: ErrorRecord | None
    created_at: datetime
    available_at: datetime | None
    claimed_at: datetime | None
    completed_at: datetime | None
    duration: timedelta | None
    claimed_by: str | None
    concurrency_key: str | None
    concurrency_limit: int | None
