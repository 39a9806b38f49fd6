"""AsyncReplay: one execution of a durable function, over what is recorded of its run."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from promin_postgres._error_record import ErrorRecord
from promin_postgres._wait import AsyncSignal, async_sleep, async_strand
from promin_postgres.codec import Encoded
from promin_postgres.errors import CodecError, StepFailed, WorkflowCancelled, WorkflowError, shown
from promin_postgres.lookups import StepStatus, StepType, WorkflowStatus
from promin_postgres.workflow.definition import Context, Step
from promin_postgres.workflow.durable._journal import Journal, Suspension
from promin_postgres.workflow.runner._async_execute import AsyncLaunch, AsyncStepRunner
from promin_postgres.workflow.runner._records import Broken, Done, Verdict, Waits
from promin_postgres.workflow.storage import Lease, StepState, WorkflowState

LONG_PAUSE = 1.0
"""Seconds between two attempts at a step for which a worker does something else meanwhile."""


class AsyncReplay:
    """For one use. The function may ask from several tasks."""

    def __init__(
        self,
        state: WorkflowState,
        *,
        again: Mapping[str, Sequence[str]],
        runner: AsyncStepRunner,
        context: Context,
        lease: Lease,
        launch: AsyncLaunch | None,
    ) -> None:
        self.workflow_id = state.workflow_id
        self.context = context
        self.journal = Journal(
            state.workflow_id, version=state.version, steps=state.steps, owner=async_strand(), again=again
        )
        self._loaded_at = state.loaded_at
        self._loaded = time.monotonic()
        self._runner = runner
        self._lease = lease
        self._launch = launch
        self._ended = AsyncSignal()

    async def drive(self, function: Callable[[], Awaitable[Any]]) -> Verdict:
        """Call the function and tell what came of it. What stopped it from outside is raised."""
        value, failure = None, None
        try:
            value = await function()
        except Suspension:
            pass  # it is what the journal says too, also when the function did not let it through
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything
            failure = error
        stop = self.journal.stop
        self.journal.halt(
            WorkflowError(f"the function of {shown(self.workflow_id)} has ended", workflow_id=self.workflow_id)
        )
        while self.journal.under_way:  # the run must not end, or be taken up again, before they are recorded
            await self._ended.wait(60.0)
            self._ended.clear()
        if isinstance(stop, Suspension):
            return stop.verdict
        if stop is not None:
            raise stop
        if failure is None:
            self.journal.check_end()
            try:
                return Done(Encoded.text_of(value, subject="the result of the function"))
            except CodecError as error:
                failure = error
        return Broken(ErrorRecord.of(failure), failure, None)

    @property
    def _on_worker(self) -> bool:
        return self._lease.task is not None

    async def ask(self, step: Step) -> Any:
        """The result of a step: what is recorded, or what comes of executing it now."""
        asker = async_strand()
        state = self.journal.begin(step.name, step.kind, asker)
        try:
            if state is not None and state.status in (StepStatus.COMPLETED, StepStatus.SKIPPED):
                return state.result
            if state is not None and state.error is not None and step.name in self.journal.failures:
                raise self._failure(step, state.error, state.attempt)
            try:
                return await self._execute(step, state, asker)
            except StepFailed:
                raise
            except (Exception, Suspension) as error:  # noqa: BLE001 - whatever it is, nothing more is done
                raise self.journal.halt(error) from None
        finally:
            self.journal.end()
            self._ended.set()

    async def _execute(self, step: Step, state: StepState | None, asker: object) -> Any:
        attempt = 0 if state is None else state.attempt
        forgiven = attempt if state is not None and state.status is StepStatus.FAILED else 0
        while True:
            attempt += 1
            context = self.context.again(attempt=attempt)
            context.step_name = step.name
            started = time.monotonic()
            verdict = await self._runner.execute(
                step,
                context,
                lease=self._lease,
                tries=attempt - forgiven,
                waited=self._has_waited(step, state),
                launch=self._launch,
            )
            if isinstance(verdict, Waits):
                raise Suspension(verdict._replace(step_name=step.name))
            await self._save(step, verdict, attempt, time.monotonic() - started, asker)
            if isinstance(verdict, Done):
                return Encoded(verdict.text).value()
            if verdict.retry_in is None:
                error = verdict.exception
                cause = error.__cause__ if isinstance(error, StepFailed) else error
                raise self._failure(step, verdict.record, attempt) from cause
            if self._on_worker and verdict.retry_in > LONG_PAUSE and self.journal.is_owner(asker):
                raise Suspension(verdict)
            await async_sleep(verdict.retry_in)

    async def _save(self, step: Step, verdict: Done | Broken, attempt: int, duration: float, asker: object) -> None:
        if isinstance(verdict, Done):
            status = StepStatus.SKIPPED if verdict.skipped else StepStatus.COMPLETED
            result, error = Encoded(verdict.text), verdict.error
        else:
            status = StepStatus.FAILED if verdict.retry_in is None else StepStatus.PENDING
            result, error = Encoded(None), verdict.record
        standing = await self._runner.storage.save_outcome(
            self.workflow_id,
            step.name,
            status=status,
            result=result,
            error=error,
            attempt=attempt,
            duration=duration,
            step_type=step.kind,
            metadata=self.journal.metadata(step.name, asker),
            lease=self._lease,
        )
        if standing is WorkflowStatus.CANCELLED:
            raise WorkflowCancelled(workflow_id=self.workflow_id)

    def _has_waited(self, step: Step, state: StepState | None) -> bool:
        """Whether what a step waits for is due: the moment by the server's clock, a child whenever it has ended."""
        if step.kind is StepType.SUBWORKFLOW:
            return self._on_worker  # in this process one that failed goes on with its parent
        moment = None if state is None else state.wake_at or state.signal_timeout_at
        return moment is not None and moment <= self._loaded_at + timedelta(seconds=time.monotonic() - self._loaded)

    def _failure(self, step: Step, record: ErrorRecord, attempt: int) -> StepFailed:
        return StepFailed(
            workflow_id=self.workflow_id,
            step_name=step.name,
            error_type=record.error_type,
            error_message=record.message,
            traceback=record.traceback,
            attempt=attempt,
        )
