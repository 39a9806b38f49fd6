"""AsyncRunEnd: the end of a run that needs more than one statement."""

from __future__ import annotations

from datetime import timedelta

from promin_postgres.errors import DeadlineExceeded, WorkflowError
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.steps import StepTask
from promin_postgres.worker._desk import Closed, Ended
from promin_postgres.worker.engine._outcomes import unexecuted
from promin_postgres.workflow.definition import Definition
from promin_postgres.workflow.handle import failure_of
from promin_postgres.workflow.runner import AsyncEnding
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, Lease, RunRecord


class AsyncRunEnd:
    """Ends the run of a task that has no step. For one use."""

    def __init__(
        self, storage: AsyncPostgresWorkflowStorage, definition: Definition, task: StepTask, lease: Lease
    ) -> None:
        self._storage = storage
        self._definition = definition
        self._task = task
        self._lease = lease

    async def end(self, *, is_overdue: bool) -> Ended:
        """End it, or bring it to where it goes on."""
        task = self._task
        if not await self._storage.begin_ending(self._lease):
            return Closed(task.id, task.lease, None)
        run = await self._storage.load_run(task.workflow_id)
        if run is None:
            return unexecuted(task)
        ending = AsyncEnding(self._storage, self._definition, lease=self._lease, run=run)
        if run.status is WorkflowStatus.COMPENSATING and run.error is not None:
            again_in = await ending.fail(run.error)
        elif all(step.status is not StepStatus.FAILED for step in run.steps.values()):
            await ending.complete()
            return Closed(task.id, task.lease, "completed")
        else:
            error = await self._failure(run, is_overdue=is_overdue)
            pause = ending.retry_in(error, run.retries)
            if pause is not None:
                await self._storage.retry_run(task.workflow_id, pause=pause, lease=self._lease)
                return Closed(task.id, task.lease, None)
            again_in = await ending.fail(error)
        if again_in is not None:
            return unexecuted(task)._replace(pause=timedelta(seconds=again_in))
        return Closed(task.id, task.lease, "failed")

    async def _failure(self, run: RunRecord, *, is_overdue: bool) -> WorkflowError:
        """What the run fails with: its first step that failed, or its deadline."""
        if is_overdue:
            return DeadlineExceeded(workflow_id=run.workflow_id)
        state = await self._storage.load_workflow(run.workflow_id)
        assert state is not None
        return failure_of(state)
