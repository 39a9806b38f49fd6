"""Arguments checked and encoded, rows decoded. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, TypeVar

from promin_postgres._arguments import (
    MAX_NAME,
    check_count,
    check_optional_text,
    check_text,
    decode_optional,
    encode_optional,
)
from promin_postgres._error_record import decode_error, error_of
from promin_postgres._time import Seconds, check_moment, check_seconds
from promin_postgres.codec import JSON
from promin_postgres.errors import InvalidArgument, NotFound, WorkflowCancelled
from promin_postgres.lookups import AttemptType, StepStatus, StepType, WorkflowStatus
from promin_postgres.workflow.storage._records import (
    StepAttempt,
    StepInput,
    StepSettlement,
    StepSpec,
    StepState,
    TaskState,
    WorkflowRun,
    WorkflowSignal,
    WorkflowState,
)

E = TypeVar("E", bound=IntEnum)


def check_member(argument: str, value: Any, kind: type[E]) -> E:
    """A member of one of our enums: another number could be written, and not read again."""
    if not isinstance(value, kind):
        raise InvalidArgument(argument, value, f"must be a {kind.__name__}")
    return value


def optional_duration(argument: str, value: Seconds | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=check_seconds(argument, value))


def encode_metadata(value: Any, subject: str) -> str | None:
    if value is not None and not isinstance(value, Mapping):
        raise InvalidArgument("metadata", value, f"{subject}: must be a mapping")
    return None if value is None else JSON.encode(dict(value), subject=subject)


def encode_steps(steps: Sequence[StepSpec]) -> str:
    """Steps as create_workflow.sql and its like take them."""
    for step in steps:
        if not isinstance(step, StepSpec):
            raise InvalidArgument("steps", step, "must be a StepSpec")
        check_text("step_name", step.step_name, limit=MAX_NAME)
        check_member("step_type", step.step_type, StepType)
        check_text("queue", step.queue, limit=MAX_NAME)
        if not 0 <= check_count("priority", step.priority, at_least=0) <= 10:
            raise InvalidArgument("priority", step.priority, "must be a whole number from 0 to 10")
    names = {step.step_name for step in steps}
    dependents: dict[str, list[str]] = {name: [] for name in names}
    if len(names) != len(steps):
        raise InvalidArgument("steps", [step.step_name for step in steps], "must have different names")
    for step in steps:
        for dependency in step.depends_on:
            if dependency not in names:
                raise InvalidArgument(
                    "depends_on", dependency, f"step {step.step_name!r} depends on no step of the run"
                )
            dependents[dependency].append(step.step_name)
    return JSON.encode(
        [
            {
                "step_name": step.step_name,
                "position": position,
                "step_type": int(step.step_type),
                "depends_on": list(step.depends_on),
                "dependents": dependents[step.step_name],
                "metadata": None if step.metadata is None else dict(step.metadata),
                "queue": step.queue,
                "priority": step.priority,
                "pause": None if step.pause is None else f"{step.pause.total_seconds()} seconds",
                "wake_at": None if step.until is None else step.until.isoformat(),
            }
            for position, step in enumerate(steps)
        ],
        subject="steps",
    )


def new_run(
    workflow_id: str,
    *,
    workflow_name: str,
    steps: Sequence[StepSpec],
    workflow_type: str | None,
    namespace: str | None,
    version: str | None,
    parent_workflow_id: str | None,
    parent_step: str | None,
    given: Any,
    metadata: Mapping[str, Any] | None,
    deadline: Seconds | datetime | None,
) -> dict[str, Any]:
    """A run as create_workflow.sql and start_run.sql take it."""
    return {
        "workflow_id": check_text("workflow_id", workflow_id),
        "workflow_name": check_text("workflow_name", workflow_name, limit=MAX_NAME),
        "workflow_type": check_optional_text("workflow_type", workflow_type),
        "namespace": check_optional_text("namespace", namespace),
        "version": check_optional_text("version", version),
        "parent_workflow_id": None
        if parent_workflow_id is None
        else check_text("parent_workflow_id", parent_workflow_id),
        "parent_step": check_optional_text("parent_step", parent_step),
        "input": encode_optional(given, "input"),
        "metadata": encode_metadata(metadata, "metadata"),
        "steps": encode_steps(steps),
        **deadline_of(deadline),
    }


def deadline_of(deadline: Seconds | datetime | None) -> dict[str, Any]:
    """When a run must be over, as statements take it."""
    return {
        "deadline": None if isinstance(deadline, datetime) else optional_duration("deadline", deadline),
        "deadline_at": check_moment("deadline", deadline) if isinstance(deadline, datetime) else None,
    }


def check_parent(row: dict[str, Any] | None, parent_workflow_id: str | None) -> None:
    """Raise if it is the parent for whose sake no run was recorded."""
    if parent_workflow_id is None or row is None:
        return
    if row["parent_status"] is None:
        raise NotFound("parent workflow", parent_workflow_id)
    if row["parent_status"] == WorkflowStatus.CANCELLED:
        raise WorkflowCancelled(workflow_id=parent_workflow_id)


def workflow_state(row: dict[str, Any], steps: dict[str, StepState]) -> WorkflowState:
    row = {key: value for key, value in row.items() if key != "id"}
    return WorkflowState(**_decoded(row, "workflow"), steps=steps)


def workflow_run(row: dict[str, Any]) -> WorkflowRun:
    return WorkflowRun(**_decoded(row, "run"))


def _decoded(row: dict[str, Any], subject: str) -> dict[str, Any]:
    return row | {
        "status": WorkflowStatus(row["status"]),
        "input": decode_optional(row["input"], f"input of the {subject}"),
        "result": decode_optional(row["result"], f"result of the {subject}"),
        "error": decode_error(row["error"]),
        "metadata": decode_optional(row["metadata"], f"metadata of the {subject}"),
    }


def step_state(row: dict[str, Any]) -> StepState:
    name = row["step_name"]
    return StepState(
        **row
        | {
            "status": StepStatus(row["status"]),
            "step_type": StepType(row["step_type"]),
            "depends_on": tuple(row["depends_on"]),
            "result": decode_optional(row["result"], f"step {name!r}"),
            "error": decode_error(row["error"]),
            "metadata": decode_optional(row["metadata"], f"metadata of step {name!r}"),
            "tasks": () if row["tasks"] is None else tuple(map(_task_state, json.loads(row["tasks"]))),
        }
    )


def _task_state(stored: list[Any]) -> TaskState:
    index, status, result, error, attempt, started_at, completed_at, seconds = stored
    return TaskState(
        task_index=index,
        status=StepStatus(status),
        result=result,
        error=error_of(error),
        attempt=attempt,
        started_at=None if started_at is None else datetime.fromisoformat(started_at),
        completed_at=None if completed_at is None else datetime.fromisoformat(completed_at),
        duration=None if seconds is None else timedelta(seconds=seconds),
    )


def step_attempt(row: dict[str, Any]) -> StepAttempt:
    return StepAttempt(
        **row
        | {
            "attempt_type": AttemptType(row["attempt_type"]),
            "status": StepStatus(row["status"]),
            "error": decode_error(row["error"]),
        }
    )


def workflow_signal(row: dict[str, Any]) -> WorkflowSignal:
    return WorkflowSignal(**row | {"payload": decode_optional(row["payload"], f"signal {row['signal_name']!r}")})


def step_input(task: tuple[str, int, str], row: Sequence[Any]) -> StepInput:
    """The columns of load_inputs.sql, but for the first."""
    status, is_current, ending, retries, version, given, deadline_in, step_status, step_type, attempt, *rest = row
    metadata, due_in, names, results = rest
    return StepInput(
        *task,
        WorkflowStatus(status),
        is_current,
        ending,
        retries,
        version,
        given,
        deadline_in,
        None if step_status is None else StepStatus(step_status),
        None if step_type is None else StepType(step_type),
        attempt,
        metadata,
        due_in,
        dict(zip(names, results, strict=True)) if names else {},
    )


def settlement_arrays(outcomes: Sequence[StepSettlement]) -> dict[str, list[Any]]:
    """Outcomes as settle_steps.sql takes them, each task once. What no outcome has is an empty array: all NULL."""
    return {
        "ids": [one.task_id for one in outcomes],
        "leases": [one.lease for one in outcomes],
        "claimed_bys": [one.claimed_by for one in outcomes],
        "statuses": [int(one.status) for one in outcomes],
        "results": _unless_none([one.result for one in outcomes]),
        "errors": _unless_none([one.error for one in outcomes]),
        "attempts": [one.attempt for one in outcomes],
        "durations": [one.duration for one in outcomes],
        "pauses": _unless_none([one.pause for one in outcomes]),
    }


def _unless_none(values: list[Any]) -> list[Any]:
    return values if any(value is not None for value in values) else []
