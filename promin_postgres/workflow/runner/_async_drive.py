"""AsyncDriver: takes one run from where it stands to its end, in this process."""

from __future__ import annotations

import time
from typing import Any

from promin_postgres._wait import AsyncGroup, async_call
from promin_postgres.errors import CodecError, LeaseLost, StepFailed, WorkflowCancelled
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow.definition import Context, Definition, Fate, Payload, Progress, Step
from promin_postgres.workflow.runner._records import Outcome
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, ErrorRecord, Lease, WorkflowState


class AsyncDriver:
    """Drives one run under a lease that its maker holds. For one use."""

    def __init__(
        self,
        *,
        definition: Definition,
        storage: AsyncPostgresWorkflowStorage,
        state: WorkflowState,
        lease: Lease,
        max_concurrency: int,
    ) -> None:
        self._definition = definition
        self._storage = storage
        self._lease = lease
        self._max_concurrency = max_concurrency
        self._workflow_id = state.workflow_id
        self._input = Payload(state.input)
        self._results = {
            name: Payload(step.result) for name, step in state.steps.items() if step.status == StepStatus.COMPLETED
        }
        self._progress = Progress(definition, state.steps)
        self._fate = Fate(lambda: storage.holds(lease))

    async def drive(self) -> Any:
        """Execute what is left and record how the run ended; returns its result or raises its failure."""
        failure = await self._execute_steps()
        if failure is not None:
            await self._storage.fail_workflow(self._workflow_id, failure, lease=self._lease)
            raise failure
        terminal = self._definition.terminal
        results = {name: self._results[name].copy() for name in terminal}
        result = results[terminal[0]] if len(terminal) == 1 else results
        await self._storage.complete_workflow(self._workflow_id, result, lease=self._lease)
        return result

    async def _execute_steps(self) -> StepFailed | CodecError | None:
        """Execute steps until none is left, or until one has failed for good and the others under way have ended."""
        progress = self._progress
        failure: StepFailed | CodecError | None = None
        async with AsyncGroup[str, Outcome]() as group:
            try:
                while group.running or (progress.left and failure is None):
                    pause = progress.wake(time.monotonic())
                    if failure is None:
                        if progress.ready == 1 and pause is None and not group.running:
                            # Nothing can come up beside it: a thread of its own would only cost.
                            failure = self._take_in(await self._attempt(*progress.take()))
                            continue
                        while progress.ready and group.running < self._max_concurrency:
                            name, attempt = progress.take()
                            group.spawn(name, self._attempt, name, attempt)
                    done = await group.next_done(timeout=pause if failure is None else None)
                    if done is not None:
                        failure = self._take_in(done[1]) or failure
            finally:
                self._fate.over = True
        return failure

    def _take_in(self, outcome: Outcome) -> StepFailed | CodecError | None:
        """Draw the conclusions from an outcome; returns the failure when it is one for good."""
        name = outcome.step.name
        if outcome.payload is not None:
            self._results[name] = outcome.payload
            self._progress.complete(name)
        elif outcome.again:
            pause = outcome.step.retry.pause(self._progress.tries(name))
            self._progress.retry(name, at=time.monotonic() + pause)
        else:
            return outcome.failure
        return None

    async def _attempt(self, name: str, attempt: int) -> Outcome:
        try:
            return await self._execute(self._definition.steps[name], attempt)
        except LeaseLost:
            self._fate.lose()  # at once, for the handlers that are still at work
            raise

    async def _execute(self, step: Step, attempt: int) -> Outcome:
        """Execute a step once and record how it went."""
        context = Context(
            workflow_id=self._workflow_id,
            step_name=step.name,
            attempt=attempt,
            input=self._input,
            deps={name: self._results[name] for name in step.depends_on},
            fate=self._fate,
        )
        started = time.monotonic()
        try:
            assert step.function is not None
            value = await async_call(step.function, context, timeout=step.timeout, on_timeout=context.time_out)
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything
            again = step.retry.allows_another(self._progress.tries(step.name))
            record = ErrorRecord.of(error)
            failure = StepFailed(
                workflow_id=self._workflow_id,
                step_name=step.name,
                error_type=record.error_type,
                error_message=record.message,
                traceback=record.traceback,
                attempt=attempt,
            )
            failure.__cause__ = error
            await self._save_failure(step, attempt, started, record, final=not again)
            return Outcome(step=step, failure=failure, again=again)
        try:
            payload = Payload.encoded(value, subject=f"step {step.name!r}")
        except CodecError as error:  # the same value would come out once more: no other attempt
            await self._save_failure(step, attempt, started, ErrorRecord.of(error), final=True)
            return Outcome(step=step, failure=error)
        status = await self._storage.save_step_result(
            self._workflow_id,
            step.name,
            value,
            attempt=attempt,
            duration=time.monotonic() - started,
            lease=self._lease,
        )
        self._stop_if_cancelled(status)
        return Outcome(step=step, payload=payload)

    async def _save_failure(self, step: Step, attempt: int, started: float, error: ErrorRecord, *, final: bool) -> None:
        status = await self._storage.save_step_failure(
            self._workflow_id,
            step.name,
            error,
            attempt=attempt,
            duration=time.monotonic() - started,
            final=final,
            lease=self._lease,
        )
        self._stop_if_cancelled(status)

    def _stop_if_cancelled(self, status: WorkflowStatus) -> None:
        if status is WorkflowStatus.CANCELLED:
            raise WorkflowCancelled(workflow_id=self._workflow_id)
