"""AsyncBody: what executes a durable function, for every driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from promin_postgres.errors import NotFound
from promin_postgres.workflow.definition import ROOT, Context, FunctionBody
from promin_postgres.workflow.durable._async_context import AsyncDurableContext
from promin_postgres.workflow.durable._async_replay import AsyncReplay
from promin_postgres.workflow.durable._calls import AsyncWritten
from promin_postgres.workflow.runner._async_execute import AsyncLaunch, AsyncStepRunner
from promin_postgres.workflow.runner._records import Broken, Verdict
from promin_postgres.workflow.storage import Lease, WorkflowState


class AsyncBody(FunctionBody):
    """Stands in for the function of the one declared step."""

    def __init__(self, function: AsyncWritten[AsyncDurableContext]) -> None:
        self.function = function
        self.name = getattr(function, "__qualname__", "function")

    async def execute(
        self, *, runner: AsyncStepRunner, context: Context, lease: Lease, launch: AsyncLaunch | None
    ) -> Verdict:
        """Call the function once more, over what is recorded; and again if its run failed here the last time.

        The second call executes the steps anew whose failure the function did not deal with.
        """

        async def load() -> WorkflowState:
            state = await runner.storage.load_workflow(context.workflow_id)
            if state is None:
                raise NotFound("workflow", context.workflow_id)
            return state

        async def replay(state: WorkflowState, again: Mapping[str, Sequence[str]]) -> tuple[AsyncReplay, Verdict]:
            made = AsyncReplay(state, again=again, runner=runner, context=context, lease=lease, launch=launch)
            given = context.again()
            return made, await made.drive(partial(self.function, AsyncDurableContext(made), given.input))

        state = await load()
        made, verdict = await replay(state, {})
        if isinstance(verdict, Broken) and state.steps[ROOT].attempt:
            again = made.journal.to_repeat(verdict.exception)
            if again:
                _, verdict = await replay(await load() if made.journal.executed else state, again)
        return verdict
