# Generated from _async_body.py by tools/twins.py. Do not edit: edit that and generate again.
"""Body: what executes a durable function, for every driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from promin_postgres.errors import NotFound
from promin_postgres.workflow.definition import ROOT, Context, FunctionBody
from promin_postgres.workflow.durable._sync_context import DurableContext
from promin_postgres.workflow.durable._sync_replay import Replay
from promin_postgres.workflow.durable._calls import Written
from promin_postgres.workflow.runner._sync_execute import Launch, StepRunner
from promin_postgres.workflow.runner._records import Broken, Verdict
from promin_postgres.workflow.storage import Lease, WorkflowState


class Body(FunctionBody):
    """Stands in for the function of the one declared step."""

    def __init__(self, function: Written[DurableContext]) -> None:
        self.function = function
        self.name = getattr(function, "__qualname__", "function")

    def execute(
        self, *, runner: StepRunner, context: Context, lease: Lease, launch: Launch | None
    ) -> Verdict:
        """Call the function once more, over what is recorded; and again if its run failed here the last time.

        The second call executes the steps anew whose failure the function did not deal with.
        """

        def load() -> WorkflowState:
            state = runner.storage.load_workflow(context.workflow_id)
            if state is None:
                raise NotFound("workflow", context.workflow_id)
            return state

        def replay(state: WorkflowState, again: Mapping[str, Sequence[str]]) -> tuple[Replay, Verdict]:
            made = Replay(state, again=again, runner=runner, context=context, lease=lease, launch=launch)
            given = context.again()
            return made, made.drive(partial(self.function, DurableContext(made), given.input))

        state = load()
        made, verdict = replay(state, {})
        if isinstance(verdict, Broken) and state.steps[ROOT].attempt:
            again = made.journal.to_repeat(verdict.exception)
            if again:
                _, verdict = replay(load() if made.journal.executed else state, again)
        return verdict
