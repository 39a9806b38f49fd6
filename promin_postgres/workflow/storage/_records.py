"""What the workflow storage takes and gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import attrs

from promin_postgres._error_record import ErrorRecord
from promin_postgres.lookups import AttemptType, StepStatus, StepType, WorkflowStatus


@attrs.frozen(kw_only=True)
class StepSpec:
    """A step as a definition declares it: what is recorded when a run begins.

    `queue` and `priority` are those of its task. `pause` (from when it is ready) or `until` is how long a worker leaves
    it alone: for steps that sleep.
    """

    step_name: str
    step_type: StepType = StepType.STEP
    depends_on: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None
    queue: str = "default"
    priority: int = 5
    pause: timedelta | None = None
    until: datetime | None = None


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


class TaskHold(NamedTuple):
    """A task of the step queue as it was claimed; `is_alive` says whether its claimer is, as far as we know."""

    id: int
    claimed_by: str
    number: int
    is_alive: Callable[[], bool] | None = None


@attrs.frozen(kw_only=True)
class Lease:
    """The right to drive one workflow, or one task of it. Writes are refused once somebody else has taken it."""

    workflow_id: str
    token: str | None = None
    expires_at: datetime | None = None
    """None with advisory locks: they are held for as long as the connection lives."""
    task: TaskHold | None = None
    """The task that the right comes from, instead of a token."""


class StepInput(NamedTuple):
    """What a task of a workflow is executed with. The JSON texts are as they are stored.

    Args:
        is_current: Whether the task is of the current run.
        ending: The run has failed, or all its steps are done: no step is to be executed.
        retries: How often the whole run began again where it had failed.
        deadline_in: Time left until the deadline of the run, negative when it has passed; None: there is none.
        step_status: None where the task ends its run. COMPLETED: its transaction was; it is only to be settled.
        attempt: The number of the next execution, over all retries of the run.
        due_in: Time left of the wait of this step, negative when it is over; None: it has not begun to wait.
        results: Of the steps that this one depends on.
    """

    workflow_id: str
    run: int
    step_name: str
    status: WorkflowStatus
    is_current: bool
    ending: bool
    retries: int
    version: str | None
    input_json: str | None
    deadline_in: timedelta | None
    step_status: StepStatus | None
    step_type: StepType | None
    attempt: int
    metadata_json: str | None
    due_in: timedelta | None
    results: dict[str, str | None]


class StepSettlement(NamedTuple):
    """What became of a task of a workflow, as it is written.

    Args:
        status: COMPLETED, SKIPPED (which counts as done), FAILED for good, or PENDING: again after `pause`.
        result, error: JSON texts.
        attempt: The number of the execution (StepInput.attempt).
    """

    task_id: int
    claimed_by: str
    lease: int
    status: StepStatus
    attempt: int
    result: str | None = None
    error: str | None = None
    duration: timedelta | None = None
    pause: timedelta | None = None
