# Generated from _async_tasks.py by tools/twins.py. Do not edit: edit that and generate again.
"""Tasks: runs that workers drive, from the first step to the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from promin_postgres._time import Seconds
from promin_postgres.errors import InvalidArgument
from promin_postgres.workflow.storage import _statements as sql
from promin_postgres.workflow.storage._sync_base import StorageBase
from promin_postgres.workflow.storage._records import StepInput, StepSettlement, StepSpec
from promin_postgres.workflow.storage._values import check_parent, new_run, settlement_arrays, step_input


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
        rows = self._sql.fetch_all(sql.LOAD_INPUTS, params)
        return [step_input(tasks[row["number"] - 1], row) for row in sorted(rows, key=lambda row: row["number"])]

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
