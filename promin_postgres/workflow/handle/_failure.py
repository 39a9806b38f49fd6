"""The error of a run that failed, from its record. Pure."""

from __future__ import annotations

from promin_postgres.errors import DeadlineExceeded, StepFailed, WorkflowError, shown
from promin_postgres.lookups import StepStatus
from promin_postgres.workflow.storage import WorkflowState

_OVERDUE = f"{DeadlineExceeded.__module__}.{DeadlineExceeded.__qualname__}"


def failure_of(state: WorkflowState) -> WorkflowError:
    """What `run` would have raised: StepFailed when it was a step."""
    if state.error is not None and state.error.error_type == _OVERDUE:
        return DeadlineExceeded(workflow_id=state.workflow_id)
    for step in state.steps.values():
        if step.status is StepStatus.FAILED and step.error is not None:
            return StepFailed(
                workflow_id=state.workflow_id,
                step_name=step.step_name,
                error_type=step.error.error_type,
                error_message=step.error.message,
                traceback=step.error.traceback,
                attempt=step.attempt,
            )
    reason = "no error was recorded" if state.error is None else f"{state.error.error_type}: {state.error.message}"
    return WorkflowError(f"workflow {shown(state.workflow_id)} failed: {reason}", workflow_id=state.workflow_id)
