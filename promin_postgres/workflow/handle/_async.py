"""AsyncRunHandle: one run, whoever drives it."""

from __future__ import annotations

from typing import Any

from promin_postgres._arguments import check_text, decode_optional
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.errors import NotFound, WorkflowCancelled, shown
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow.definition import Definition, draw_run
from promin_postgres.workflow.handle._failure import failure_of
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, WorkflowState


class AsyncRunHandle:
    """One run, whoever drives it: made by `start` and `get_handle`. Holds nothing that would have to be closed."""

    def __init__(
        self, storage: AsyncPostgresWorkflowStorage, workflow_id: str, definition: Definition | None = None
    ) -> None:
        self._storage = storage
        self._definition = definition
        self.workflow_id = check_text("workflow_id", workflow_id)

    async def result(self, timeout: Seconds | None = None) -> Any:
        """Wait for the run to end, and return its result.

        Those who wait in one process share one connection that listens, and one look at all their runs.

        Args:
            timeout: Seconds, or a timedelta; None is as long as it takes.

        Raises:
            TimeoutError: It has not ended by then; it goes on.
            StepFailed: It failed.
            WorkflowError: It failed otherwise: its deadline passed, say.
            WorkflowCancelled: It was cancelled.
            NotFound: There is no such run.

        Source: sql/workflow/find_ended.sql.
        """
        seconds = None if timeout is None else check_seconds("timeout", timeout)
        end = await self._storage.watch.wait(self.workflow_id, seconds)
        if end is None:
            raise TimeoutError(f"workflow {shown(self.workflow_id)} has not ended within {seconds:g} seconds")
        if end.status is None:
            raise NotFound("workflow", self.workflow_id)
        if end.status is WorkflowStatus.CANCELLED:
            raise WorkflowCancelled(workflow_id=self.workflow_id)
        if end.status is WorkflowStatus.FAILED:
            raise failure_of(await self.state())
        return decode_optional(end.result, f"result of workflow {shown(self.workflow_id)}")

    async def status(self) -> WorkflowStatus:
        """Where it stands now. Raises NotFound."""
        return (await self.state()).status

    async def state(self) -> WorkflowState:
        """Everything recorded of it, step by step. Raises NotFound."""
        state = await self._storage.load_workflow(self.workflow_id)
        if state is None:
            raise NotFound("workflow", self.workflow_id)
        return state

    async def to_mermaid(self) -> str:
        """The run as a Mermaid flowchart, its steps coloured by their status. Raises NotFound."""
        return draw_run(self._definition, await self.state())

    async def cancel(self, *, cascade: bool = True) -> None:
        """Cancel the run, and its children with it; steps under way see `ctx.cancelled`.

        Raises:
            NotFound
            InvalidArgument: It is completed or failed.
        """
        await self._storage.cancel_workflow(self.workflow_id, cascade=cascade)

    async def signal(self, name: str, payload: Any = None) -> None:
        """Deliver a signal, before or after a step waits for it; each payload goes to one step.

        Raises:
            NotFound: There is no such run.
            InvalidArgument: It has ended.
            CodecError: The payload does not encode.
        """
        await self._storage.deliver_signal(self.workflow_id, name, payload)

    def __repr__(self) -> str:
        return f"<run {shown(self.workflow_id)}>"
