"""What the workflow storage takes and gives back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from promin_postgres._error_record import ErrorRecord
from promin_postgres.lookups import AttemptType, StepStatus, StepType, WorkflowStatus


@attrs.frozen(kw_only=True)
class StepSpec:
    """A step as a definition declares it: what is recorded when a run begins."""

    step_name: str
    step_type: StepType = StepType.STEP
    depends_on: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class TaskState:
    """One element of a map step."""

    task_index: int
    status: StepStatus
    result: Any
    error: ErrorRecord | None
    attempt: int
    started_at: datetime | None
    completed_at: datetime | None
    duration: timedelta | None


@attrs.frozen(kw_only=True)
class StepState:
    """One step of a run."""

    step_name: str
    status: StepStatus
    step_type: StepType
    depends_on: tuple[str, ...]
    result: Any
    error: ErrorRecord | None
    attempt: int
    started_at: datetime | None
    completed_at: datetime | None
    duration: timedelta | None
    tasks: tuple[TaskState, ...]
    wake_at: datetime | None
    signal_name: str | None
    signal_timeout_at: datetime | None
    metadata: Any


@attrs.frozen(kw_only=True)
class WorkflowState:
    """A workflow and its current run.

    `steps` is in the order of the definition; empty in listings. `updated_at` is when the run last began, waited, ended
    or changed its definition; a step that is saved leaves the workflow's row alone.
    """

    workflow_id: str
    workflow_name: str
    workflow_type: str | None
    namespace: str | None
    version: str | None
    parent_workflow_id: str | None
    run: int
    status: WorkflowStatus
    input: Any
    result: Any
    error: ErrorRecord | None
    metadata: Any
    steps: dict[str, StepState]
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None
    loaded_at: datetime = attrs.field(eq=False)
    """Now, by the server's clock, when this was read."""


@attrs.frozen(kw_only=True)
class WorkflowRun:
    """An ended run."""

    workflow_id: str
    run: int
    status: WorkflowStatus
    version: str | None
    input: Any
    result: Any
    error: ErrorRecord | None
    metadata: Any
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


@attrs.frozen(kw_only=True)
class StepAttempt:
    """One execution of a step, or one attempt at undoing it."""

    workflow_id: str
    run: int
    step_name: str
    task_index: int | None
    attempt_type: AttemptType
    attempt: int
    status: StepStatus
    error: ErrorRecord | None
    instance_id: str | None
    started_at: datetime
    completed_at: datetime
    duration: timedelta | None


@attrs.frozen(kw_only=True)
class WorkflowSignal:
    """A signal that was delivered to a run."""

    signal_name: str
    payload: Any
    delivered_at: datetime


@attrs.frozen(kw_only=True)
class Lease:
    """The right to drive one workflow. Writes under it are refused once somebody else has taken it."""

    workflow_id: str
    token: str
    expires_at: datetime | None
    """None with advisory locks: they are held for as long as the connection lives."""
