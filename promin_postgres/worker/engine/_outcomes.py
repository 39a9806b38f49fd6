"""What becomes of tasks that are steps of runs. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from promin_postgres._error_record import encode_error
from promin_postgres.errors import DefinitionChanged
from promin_postgres.lookups import StepStatus
from promin_postgres.steps import StepTask
from promin_postgres.workflow.definition import Definition, Step
from promin_postgres.workflow.runner import Broken, Done
from promin_postgres.workflow.storage import Lease, StepInput, StepSettlement, TaskHold


def lease_on(task: StepTask, is_alive: Callable[[], bool]) -> Lease:
    """The right to write for the run of a task."""
    return Lease(workflow_id=task.workflow_id, task=TaskHold(task.id, task.claimed_by, task.lease, is_alive))


def unexecuted(task: StepTask, status: StepStatus = StepStatus.PENDING) -> StepSettlement:
    """The task has to go, and nothing was done for it."""
    return StepSettlement(task.id, task.claimed_by, task.lease, status, 0)


def failed(task: StepTask, error: BaseException) -> StepSettlement:
    """The step has failed for good, without an attempt."""
    return unexecuted(task, StepStatus.FAILED)._replace(error=encode_error(error))


def settlement_of(verdict: Done | Broken, task: StepTask, attempt: int, seconds: float) -> StepSettlement:
    """What an execution of a step came to."""
    duration = timedelta(seconds=seconds)
    if isinstance(verdict, Done):
        return StepSettlement(
            task.id, task.claimed_by, task.lease, StepStatus.SKIPPED if verdict.skipped else StepStatus.COMPLETED,
            attempt, verdict.text, None if verdict.error is None else encode_error(verdict.error), duration,
        )  # fmt: skip
    again = verdict.retry_in is not None
    return StepSettlement(
        task.id, task.claimed_by, task.lease, StepStatus.PENDING if again else StepStatus.FAILED, attempt, None,
        encode_error(verdict.record), duration, timedelta(seconds=verdict.retry_in or 0),
    )  # fmt: skip


class Unsettled(Exception):
    """What stands for the error of a task whose workers have died, or lost their leases, too often."""

    def __init__(self, task: StepTask) -> None:
        super().__init__(f"claimed {task.deliveries - 1} times and never settled")


def check_step(definition: Definition, task: StepTask, given: StepInput) -> Step:
    """The step that a task is to execute; DefinitionChanged if it is not the one that was recorded."""
    step = definition.steps.get(task.step_name)
    if step is None:
        difference = f"step {task.step_name!r} is gone"
    elif step.kind is not given.step_type:
        difference = f"step {task.step_name!r} is of another kind"
    elif given.results.keys() != set(step.depends_on):
        before, now = sorted(given.results) or "nothing", list(step.depends_on) or "nothing"
        difference = f"step {task.step_name!r} depended on {before} and now on {now}"
    else:
        return step
    raise DefinitionChanged(workflow_id=task.workflow_id, differences=[difference], steps=[task.step_name])
