# Generated from _async_tasks.py by tools/twins.py. Do not edit: edit that and generate again.
"""Tasks: runs that workers drive, from the first step to the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from promin_postgres._arguments import MAX_NAME, check_text
from promin_postgres._time import Seconds, check_moment
from promin_postgres.errors import InvalidArgument, LeaseLost, shown
from promin_postgres.workflow.storage import _statements as sql
from promin_postgres.workflow.storage._sync_base import StorageBase, fence
from promin_postgres.workflow.storage._records import Lease, StepInput, StepSettlement, StepSpec
from promin_postgres.workflow.storage._values import (
    check_parent,
    new_run,
    optional_duration,
    settlement_arrays,
    step_input,
)


class Tasks(StorageBase):
    """The part of the storage that is about runs whose steps are tasks of the step queue."""

    def start_run(
        self,
        workflow_id: str,
        *,
        workflow_name: str,
        steps: Sequence[StepSpec],
        workflow_type: str | None = None,
        namespace: str | None = None,
        version: str | None = None,
        parent_workflow_id: str | None = None,
        parent_step: str | None = None,
        input: Any = None,  # noqa: A002 - the field's own word
        metadata: Mapping[str, Any] | None = None,
        deadline: Seconds | datetime | None = None,
        ends_in_task: bool = False,
        connection: Any = None,
    ) -> bool:
        """Record a run that workers drive, with the tasks of the steps that depend on none.

        Args:
            workflow_id: Of any length; unique within the table prefix.
            steps: At least one, in the order of the definition.
            parent_workflow_id, parent_step: The workflow that this one is cancelled with, and its step that waits for
                this one's end.
            deadline: When the run must be over: a moment, or seconds or a timedelta from now.
            ends_in_task: A task without a step (its name is empty) ends the run, and not the settling of the last step;
                so it is anyway for a run with a parent, with several last steps, or that fails.
            connection: Write in this connection's transaction.

        Returns:
            False when the id is taken: nothing was written.

        Raises:
            NotFound: There is no such parent.
            WorkflowCancelled: The parent is cancelled.
            CodecError: The input or the metadata does not encode.

        Source: sql/workflow/start_run.sql. Of concurrent starters of one id exactly one succeeds; a cancellation of the
        parent finds the child, or the child finds it.
        """
        if not steps:
            raise InvalidArgument("steps", steps, "must not be empty")
        params = new_run(
            workflow_id, workflow_name=workflow_name, steps=steps, workflow_type=workflow_type, namespace=namespace,
            version=version, parent_workflow_id=parent_workflow_id, parent_step=parent_step, given=input,
            metadata=metadata, deadline=deadline,
        ) | {"ends_in_task": bool(ends_in_task)}  # fmt: skip
        row = self._sql.fetch_one(sql.START_RUN, params | self._bells(connection), connection=connection)
        if row is None or not row["created"]:
            check_parent(row, parent_workflow_id)
            return False
        return True

    def load_inputs(self, tasks: Sequence[tuple[str, int, str]]) -> list[StepInput]:
        """What tasks are executed with, in one statement.

        Args:
            tasks: The workflow id, run and step name of each.

        Returns:
            In the order of `tasks`, without those whose workflow is gone.

        Source: sql/workflow/load_inputs.sql.
        """
        params = {
            "workflow_ids": [workflow_id for workflow_id, _, _ in tasks],
            "runs": [run for _, run, _ in tasks],
            "step_names": [step_name for _, _, step_name in tasks],
        }
        rows = self._sql.fetch_tuples(sql.LOAD_INPUTS, params)
        return [step_input(tasks[number - 1], row) for number, *row in sorted(rows, key=itemgetter(0))]

    def settle_steps(self, outcomes: Sequence[StepSettlement], *, connection: Any = None) -> set[int]:
        """Write what became of tasks and carry their runs on, in one statement.

        Args:
            outcomes: Each task once.
            connection: Write in this connection's transaction.

        Returns:
            The ids of tasks that were not ours any more: of their outcomes nothing was written. Of a run that has ended
            nothing is written either, but the task.

        Source: sql/workflow/settle_steps.sql. A step is counted done once; batches never deadlock.
        """
        if not outcomes:
            return set()
        params = settlement_arrays(outcomes) | self._bells(connection)
        rows = self._sql.fetch_tuples(sql.SETTLE_STEPS, params, connection=connection)
        return {one.task_id for one in outcomes}.difference(row[0] for row in rows)

    def park(
        self,
        lease: Lease,
        *,
        until: Seconds | datetime | None = None,
        signal: str | None = None,
        child: str | None = None,
        step_name: str | None = None,
    ) -> bool:
        """Let a task wait without a worker, a thread or a connection.

        Args:
            lease: That of the task, which is given up.
            until: When it stops waiting: a moment, or seconds or a timedelta from now. The first one given for a step
                stands. None: never. The deadline of the run comes before it.
            signal: Wait for the next payload of this signal.
            child: Wait for the end of this workflow, whose parent_step is that of the task.
            step_name: The step whose wait is recorded; by default that of the task.

        Returns:
            False when the signal or the end came before: the task is not parked, and still held. True as well of a run
            that ends meanwhile: its task is claimed again at once.

        Raises:
            LeaseLost

        Source: sql/workflow/park_task.sql. A signal or an end that comes at the same time is seen by one side.
        """
        task = fence(lease)
        params = {
            "task": task["task"],
            "claimed_by": task["claimed_by"],
            "task_lease": task["task_lease"],
            "until": check_moment("until", until) if isinstance(until, datetime) else None,
            "pause": None if isinstance(until, datetime) else optional_duration("until", until),
            "signal": None if signal is None else check_text("signal", signal, limit=MAX_NAME),
            "child": None if child is None else check_text("child", child),
            "step_name": None if step_name is None else check_text("step_name", step_name, limit=MAX_NAME),
        }
        row = self._sql.fetch_one(sql.PARK_TASK, params)
        if row is None or not (row["parked"] or row["is_live"]):
            raise LeaseLost(f"a task of workflow {shown(lease.workflow_id)}")
        return bool(row["parked"])

    def begin_ending(self, lease: Lease) -> bool:
        """Whether the task without a step may end its run now; before any of it is done.

        Tasks of steps that wait are taken away.

        Returns:
            False while steps of the run are being executed: the task is given up, and comes again after the last.

        Raises:
            LeaseLost

        Source: sql/workflow/begin_ending.sql.
        """
        task = fence(lease)
        params = {name: task[name] for name in ("task", "claimed_by", "task_lease")}
        row = self._sql.fetch_one(sql.BEGIN_ENDING, params)
        if row is None:
            raise LeaseLost(f"a task of workflow {shown(lease.workflow_id)}")
        return bool(row["is_alone"])

    def retry_run(self, workflow_id: str, *, pause: Seconds = 0, lease: Lease) -> None:
        """Let a run that is ending begin again where it failed, after a pause; it is counted (StepInput.retries).

        Args:
            pause: In seconds or as a timedelta.
            lease: That of the task without a step, which is taken away.

        Raises:
            NotFound, LeaseLost, WorkflowCancelled

        Source: sql/workflow/retry_run.sql.
        """
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "pause": optional_duration("pause", pause),
            **fence(lease),
            **self._bells(None),
        }
        if self._sql.fetch_one(sql.RETRY_RUN, params) is None:
            raise self._refuse(workflow_id, lease, None, taken="run of workflow")
