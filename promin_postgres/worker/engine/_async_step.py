"""AsyncStepExecution: one step of a run, executed once."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from promin_postgres.codec import Encoded
from promin_postgres.errors import LeaseLost
from promin_postgres.lookups import StepStatus, StepType
from promin_postgres.steps import StepTask
from promin_postgres.worker._desk import Closed, Ended
from promin_postgres.worker.engine._outcomes import Unsettled, settlement_of, unexecuted
from promin_postgres.workflow.definition import Child, Context, Event, Fate, Step
from promin_postgres.workflow.handle import async_begin
from promin_postgres.workflow.runner import AsyncStepRunner, Broken, Done, Waits, async_fire
from promin_postgres.workflow.storage import Lease, StepInput


class AsyncStepExecution:
    """One execution of a step. For one use."""

    def __init__(self, runner: AsyncStepRunner, step: Step, task: StepTask, lease: Lease, fate: Fate) -> None:
        self._runner = runner
        self._storage = runner.storage
        self._step = step
        self._task = task
        self._lease = lease
        self._fate = fate
        self._attempt = 0
        self._began = time.monotonic()

    async def execute(self, given: StepInput) -> Ended:
        """Execute it, or let it wait."""
        waited = _is_due(given)
        while True:
            self._attempt = given.attempt
            verdict = await self._runner.execute(
                self._step,
                self._context(given),
                lease=self._lease,
                tries=self._task.attempt,
                waited=waited,
                commit=self._commit,
                launch=self._launch,
            )
            if not isinstance(verdict, Waits):
                return await self._settled(verdict)
            if await self._park(verdict):
                return Closed(self._task.id, self._task.lease, None)
            # What it waits for came meanwhile.
            task = self._task
            loaded = await self._storage.load_inputs([(task.workflow_id, task.run, task.step_name)])
            if not loaded:
                return unexecuted(task)
            given = loaded[0]
            waited = verdict.child is not None or _is_due(given)

    async def give_up(self, given: StepInput) -> Ended:
        """It was delivered too often: what becomes of it then."""
        self._attempt = given.attempt
        verdict = await self._runner.give_up(self._step, self._context(given), Unsettled(self._task))
        return await self._settled(verdict)

    def _context(self, given: StepInput) -> Context:
        return Context(
            workflow_id=given.workflow_id,
            run=given.run,
            step_name=given.step_name,
            attempt=given.attempt,
            input=Encoded(given.input_json),
            deps={name: Encoded(text) for name, text in given.results.items()},
            fate=self._fate,
        )

    async def _settled(self, verdict: Done | Broken) -> Ended:
        """What is to be written; and where hooks want to hear of it, write it before they do."""
        one = settlement_of(verdict, self._task, self._attempt, time.monotonic() - self._began)
        hooks = self._runner.definition.hooks
        hook = hooks.on_step_complete if isinstance(verdict, Done) else hooks.on_step_failure
        is_written = isinstance(verdict, Done) and verdict.recorded
        if hook is None and not is_written:
            return one
        if not is_written and await self._storage.settle_steps([one]):
            raise LeaseLost(f"task {self._task.id}")
        final = one.status is not StepStatus.PENDING
        await async_fire(
            hook,
            Event(
                workflow_id=self._task.workflow_id,
                workflow_name=self._runner.definition.name,
                step_name=self._task.step_name,
                attempt=self._attempt,
                result=Encoded(one.result).value(),
                error=verdict.exception if isinstance(verdict, Broken) else None,
                final=final,
            ),
        )
        if isinstance(verdict, Done):
            return Closed(self._task.id, self._task.lease, "completed")
        return Closed(self._task.id, self._task.lease, "failed" if final else "retried")

    async def _commit(self, connection: Any, done: Done) -> None:
        one = settlement_of(done, self._task, self._attempt, time.monotonic() - self._began)
        if await self._storage.settle_steps([one], connection=connection):
            raise LeaseLost(f"task {self._task.id}")

    async def _launch(self, child: Child, workflow_id: str, given: Encoded, context: Context) -> Waits | None:
        """Begin the run of a sub-workflow, for any worker that knows it."""
        await async_begin(
            child.definition,
            self._storage,
            workflow_id=workflow_id,
            input=given,
            queue=child.queue,
            parent_workflow_id=context.workflow_id,
            parent_step=self._task.step_name,  # a function may wait for it under another name
        )
        return Waits(child=workflow_id)

    async def _park(self, waits: Waits) -> bool:
        return await self._storage.park(
            self._lease,
            until=waits.until if waits.signal is None else waits.timeout,
            signal=waits.signal,
            child=waits.child,
            step_name=waits.step_name,
        )


def _is_due(given: StepInput) -> bool:
    """Whether what the step waited for is due: its moment, or the end of its child."""
    if given.step_type is StepType.SUBWORKFLOW:
        return given.step_status is StepStatus.WAITING
    return given.due_in is not None and given.due_in <= timedelta()
