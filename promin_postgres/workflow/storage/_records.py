"""What the workflow storage takes and gives back."""

from __future__ import annotations

import traceback as traceback_module
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from promin_postgres.lookups import AttemptType, StepStatus, StepType, WorkflowStatus

_MAX_MESSAGE = 8_000
_MAX_TRACEBACK = 64_000


@attrs.frozen(kw_only=True)
class StepSpec:
    """A step as a definition declares it: what is recorded when a run begins."""

    step_name: str
    step_type: StepType = StepType.STEP
    depends_on: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class ErrorRecord:
    """An error as it is stored: always storable, whatever the exception held.

    NUL and lone surrogates, which PostgreSQL refuses, become visible escapes; long texts lose their middle.
    """

    error_type: str
    message: str
    traceback: str | None = None

    @classmethod
    def of(cls, error: BaseException | ErrorRecord) -> ErrorRecord:
        """The record of an exception, made so that recording a failure cannot fail."""
        if isinstance(error, ErrorRecord):
            return cls(
                error_type=_storable(error.error_type, 500),
                message=_storable(error.message, _MAX_MESSAGE),
                traceback=None if error.traceback is None else _storable(error.traceback, _MAX_TRACEBACK),
            )
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        try:
            message = str(error)
        except Exception as failure:  # noqa: BLE001 - a user's __str__ may raise anything
            message = f"<str() of the error raised {type(failure).__qualname__}>"
        try:
            trace = "".join(traceback_module.format_exception(error))
        except Exception:  # noqa: BLE001 - and so may what the traceback shows
            trace = None
        return cls.of(cls(error_type=name, message=message, traceback=trace))


def _storable(text: str, limit: int) -> str:
    text = text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
    if len(text) <= limit:
        return text
    half = limit // 2 - 30  # with the note it fits: storing it again leaves it as it is
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


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
