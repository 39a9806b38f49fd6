"""What the storage tells the drivers of runs."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import attrs

from promin_postgres._error_record import ErrorRecord
from promin_postgres.codec import Encoded
from promin_postgres.lookups import StepStatus, StepType, WorkflowStatus


class StepRecord(NamedTuple):
    """One step of a run as a driver has to know it."""

    step_name: str
    status: StepStatus
    step_type: StepType
    depends_on: tuple[str, ...]
    attempt: int


@attrs.frozen(kw_only=True)
class RunRecord:
    """A run as a driver has to know it; spans of time are in seconds, by the server's clock, when it was loaded."""

    workflow_id: str
    workflow_name: str
    version: str | None
    run: int
    status: WorkflowStatus
    input: Encoded
    result: Encoded
    error: ErrorRecord | None
    metadata: Encoded
    on_workers: bool
    retries: int
    parent_workflow_id: str | None
    parent_step: str | None
    deadline_in: float | None
    """Until the deadline; negative when it has passed, None when there is none."""
    ended_for: float | None
    """Since its end; None when it has not ended."""
    steps: dict[str, StepRecord]


@attrs.frozen(kw_only=True)
class UndoingRecord:
    """A step that is to be undone, or was since the run failed."""

    step_name: str
    status: StepStatus
    attempts: int
    tries: int
    error: ErrorRecord | None


class TaskRecord(NamedTuple):
    """One element of a step as it is executed."""

    task_index: int
    status: StepStatus
    attempt: int
    input: Encoded
    result: Encoded


class TaskOutcome(NamedTuple):
    """How an attempt at an element came out; `result` and `error` as JSON, `duration` in seconds."""

    task_index: int
    status: StepStatus
    result: str | None
    error: str | None
    attempt: int
    duration: float


class WaitRecord(NamedTuple):
    """A wait that was recorded."""

    came: bool
    """The signal is there: there is nothing to wait for."""
    due: datetime | None
    left: float | None
    """Seconds until it is due, by the server's clock; None: only a signal ends it."""
