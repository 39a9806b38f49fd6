"""AsyncDriver: takes one run from where it stands to its end, in this process."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, NamedTuple

from promin_postgres._wait import AsyncGroup, async_sleep
from promin_postgres.codec import Encoded
from promin_postgres.errors import DeadlineExceeded, LeaseLost, WorkflowCancelled, WorkflowSuspended
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow.definition import Context, Definition, Event, Fate, Progress, Step
from promin_postgres.workflow.runner._async_ending import AsyncEnding, failure_of
from promin_postgres.workflow.runner._async_execute import AsyncLaunch, AsyncStepRunner
from promin_postgres.workflow.runner._async_hooks import async_fire
from promin_postgres.workflow.runner._records import Broken, Done, Ended, Verdict, Waits
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, Lease, RunRecord

_LOOK = 0.2
"""Seconds between two looks for what steps wait for, and for a cancellation, while there is nothing else to do."""


class _Wait(NamedTuple):
    """What a step waits for."""

    waits: Waits
    due: datetime | None
    at: float | None
    """When it is due, by our own clock."""


class _Attempted(NamedTuple):
    """What an attempt came to, after that was recorded."""

    name: str
    verdict: Verdict
    wait: _Wait | None = None
    """None when it need not wait (any more)."""
    is_due: bool = False


class AsyncDriver:
    """Drives one run under a lease that its maker holds. For one use."""

    def __init__(
        self,
        *,
        definition: Definition,
        storage: AsyncPostgresWorkflowStorage,
        run: RunRecord,
        lease: Lease,
        max_concurrency: int,
        wait_until: float | None,
        launch: AsyncLaunch,
        parent: Context | None,
    ) -> None:
        self._definition = definition
        self._storage = storage
        self._run = run
        self._lease = lease
        self._max_concurrency = max_concurrency
        self._wait_until = wait_until
        self._launch = launch
        self._parent = parent
        self._workflow_id = run.workflow_id
        self._runner = AsyncStepRunner(storage, definition)
        self._ending = AsyncEnding(storage, definition, lease=lease, run=run)
        self._fate = Fate(lambda: storage.holds(lease))
        self._progress = Progress(definition, run.steps)
        self._results: dict[str, Encoded] = {}
        self._waiting: dict[str, _Wait] = {}
        self._due: set[str] = set()
        """Steps whose wait is over by the clock."""
        self._failed: list[str] = []
        self._is_complete = False
        """The run was completed together with its last step."""
        self._deadline = None if run.deadline_in is None else time.monotonic() + run.deadline_in

    async def drive(self) -> Ended:
        """Execute what is left, and record how the run ended."""
        self._storage.overseer.add(self, self._workflow_id, self._cancel)
        try:
            failure = await self._succeed()
            if failure is None:
                return Ended(
                    WorkflowStatus.COMPLETED, await self._ending.complete(self._results, is_recorded=self._is_complete)
                )
            # An error that was recorded before the run began to be undone stands.
            recorded = self._run.error if self._run.status is WorkflowStatus.COMPENSATING else None
            while (pause := await self._ending.fail(recorded or failure)) is not None:
                await async_sleep(pause)
        except WorkflowSuspended as suspended:
            return Ended(WorkflowStatus.SUSPENDED, error=suspended)
        except WorkflowCancelled as cancelled:
            return Ended(WorkflowStatus.CANCELLED, error=cancelled)
        finally:
            self._fate.over = True
            self._storage.overseer.discard(self)
        return Ended(WorkflowStatus.FAILED, error=failure)

    def _cancel(self) -> None:
        self._fate.cancelled = True

    async def _succeed(self) -> Exception | None:
        """Execute steps, and go on from where they failed as often as the workflow is to be retried."""
        if self._run.status is WorkflowStatus.COMPENSATING and self._run.error is not None:
            return failure_of(self._workflow_id, self._run.error)
        retries = 0 if self._run.status is WorkflowStatus.FAILED else self._run.retries  # begun again, it gets new ones
        while (failure := await self._execute_steps()) is not None:
            pause = self._ending.retry_in(failure, retries)
            if pause is None:
                break
            retries += 1
            await self._storage.count_retry(self._workflow_id, retries=retries, lease=self._lease)
            await async_sleep(pause)
            for name in self._failed:
                self._progress.forgive(name)
            self._failed.clear()
        return failure

    async def _execute_steps(self) -> Exception | None:
        """Execute steps until none is left, or until one has failed for good and the others under way have ended."""
        progress = self._progress
        failure: Exception | None = None
        async with AsyncGroup[str, _Attempted]() as group:
            while group.running or (progress.left and failure is None):
                self._stop_if_over()
                if self._deadline is not None and time.monotonic() >= self._deadline:
                    self._fate.over = True  # those under way are not waited for: they may never end
                    return DeadlineExceeded(workflow_id=self._workflow_id)
                pause = await self._wake()
                if failure is None:
                    if progress.ready == 1 and pause is None and not group.running and self._deadline is None:
                        # Nothing can come up beside it: a thread of its own would only cost.
                        failure = await self._take_in(await self._attempt(*progress.take()))
                        continue
                    while progress.ready and group.running < self._max_concurrency:
                        name, attempt = progress.take()
                        group.spawn(name, self._attempt, name, attempt)
                if not group.running and failure is None and self._waiting and not progress.pausing:
                    await self._idle()
                    continue
                done = await group.next_done(timeout=self._until(pause))
                if done is not None:
                    failure = await self._take_in(done[1]) or failure
        return failure

    def _stop_if_over(self) -> None:
        if self._fate.cancelled or (self._parent is not None and self._parent.cancelled):
            self._fate.cancelled = True
            raise WorkflowCancelled(workflow_id=self._workflow_id)

    def _until(self, pause: float | None) -> float:
        """Seconds after which to look up again, at the latest."""
        left = 1.0 if self._deadline is None else self._deadline - time.monotonic()
        return max(min(left, 1.0 if pause is None else pause), 0.0)

    async def _wake(self) -> float | None:
        """Make ready what can go on; returns the seconds until something else can, None if nothing waits."""
        now = time.monotonic()
        pause = self._progress.wake(now)
        if not self._waiting:
            return pause
        for name in [name for name, wait in self._waiting.items() if wait.at is not None and wait.at <= now]:
            self._due.add(name)
            self._go_on(name)
        signals = {
            wait.waits.step_name or name: name for name, wait in self._waiting.items() if wait.waits.signal is not None
        }
        if signals:
            for name in await self._storage.find_signalled(self._workflow_id, list(signals)):
                self._go_on(signals[name])
        moments = [wait.at - now for wait in self._waiting.values() if wait.at is not None]
        return min([*moments, _LOOK if signals else 1.0, 1.0 if pause is None else pause])

    def _go_on(self, name: str) -> None:
        del self._waiting[name]
        self._progress.wake_up(name)

    async def _idle(self) -> None:
        """Only waits are left: stay for a while, if the caller said so and it can help; or suspend the run."""
        now = time.monotonic()
        moments = [wait.at for wait in self._waiting.values() if wait.at is not None]
        by_clock_alone = len(moments) == len(self._waiting) and not any(
            wait.waits.signal for wait in self._waiting.values()
        )
        until = self._wait_until
        if until is None or now >= until or (by_clock_alone and min(moments) > until):
            await self._suspend()
        assert until is not None
        ends = [until, now + _LOOK, *moments, *([] if self._deadline is None else [self._deadline])]
        await async_sleep(max(min(ends) - now, 0.0))

    async def _suspend(self) -> None:
        await self._storage.suspend_run(self._workflow_id, lease=self._lease)
        waits = self._waiting.values()
        raise WorkflowSuspended(
            workflow_id=self._workflow_id,
            until=min((wait.due for wait in waits if wait.due is not None), default=None),
            signal=next((wait.waits.signal for wait in waits if wait.waits.signal is not None), None),
            child=next((wait.waits.child for wait in waits if wait.waits.child is not None), None),
        )

    async def _take_in(self, attempted: _Attempted) -> Exception | None:
        """Draw the conclusions from what an attempt came to; returns the failure when it is one for good."""
        name, verdict = attempted.name, attempted.verdict
        step, attempt = self._definition.steps[name], self._progress.attempt(name)
        hooks = self._definition.hooks
        if isinstance(verdict, Done):
            self._keep(step, Encoded(verdict.text))
            if hooks.on_step_complete is not None:
                result = Encoded(verdict.text).value()
                await async_fire(hooks.on_step_complete, self._event(name, attempt, result=result, final=True))
        elif isinstance(verdict, Broken):
            if hooks.on_step_failure is not None:
                error, final = verdict.exception.__cause__ or verdict.exception, verdict.retry_in is None
                await async_fire(hooks.on_step_failure, self._event(name, attempt, error=error, final=final))
            if verdict.retry_in is None:
                self._failed.append(name)
                return verdict.exception
            self._progress.retry(name, at=time.monotonic() + verdict.retry_in)
        else:
            self._progress.put_back(name)
            if attempted.wait is not None:
                self._waiting[name] = attempted.wait
            else:
                self._progress.wake_up(name)
            if attempted.is_due:
                self._due.add(name)
        return None

    def _keep(self, step: Step, result: Encoded) -> None:
        """A step is done. Only results that somebody will ask for stay in memory."""
        self._progress.complete(step.name)
        if self._definition.terminal == (step.name,) or self._progress.is_wanted(step.name):
            self._results[step.name] = result
        for name in step.depends_on:
            if not self._progress.is_wanted(name):
                self._results.pop(name, None)

    async def _attempt(self, name: str, attempt: int) -> _Attempted:
        try:
            return await self._execute(self._definition.steps[name], attempt)
        except LeaseLost:
            self._fate.lose()  # at once, for the handlers that are still at work
            raise

    async def _execute(self, step: Step, attempt: int) -> _Attempted:
        """Execute a step once and record what came of it."""
        started = time.monotonic()

        async def commit(connection: Any, done: Done) -> None:
            await self._record(step, attempt, started, done, connection=connection)

        verdict = await self._runner.execute(
            step,
            await self._context(step, attempt),
            lease=self._lease,
            tries=self._progress.tries(step.name),
            waited=step.name in self._due,
            commit=commit,
            launch=self._launch,
        )
        if isinstance(verdict, Waits):
            return await self._begin_wait(step, verdict)
        if not (isinstance(verdict, Done) and verdict.recorded):
            await self._record(step, attempt, started, verdict)
        return _Attempted(step.name, verdict)

    async def _context(self, step: Step, attempt: int) -> Context:
        missing = [name for name in step.depends_on if name not in self._results]
        if missing:  # they were done before this driver began
            self._results.update(await self._storage.load_results(self._workflow_id, missing))
        return Context(
            workflow_id=self._workflow_id,
            step_name=step.name,
            attempt=attempt,
            input=self._run.input,
            deps={name: self._results[name] for name in step.depends_on},
            fate=self._fate,
            run=self._run.run,
        )

    async def _record(
        self, step: Step, attempt: int, started: float, verdict: Done | Broken, *, connection: Any = None
    ) -> None:
        if self._fate.over:
            raise WorkflowCancelled(workflow_id=self._workflow_id)  # it was not waited for
        if isinstance(verdict, Done):
            status = StepStatus.SKIPPED if verdict.skipped else StepStatus.COMPLETED
            result, error = Encoded(verdict.text), verdict.error
        else:
            status = StepStatus.FAILED if verdict.retry_in is None else StepStatus.PENDING
            result, error = Encoded(None), verdict.record
        if isinstance(verdict, Done) and error is None and self._is_last(step):
            standing, self._is_complete = await self._storage.save_last_outcome(
                self._workflow_id,
                step.name,
                result=result,
                attempt=attempt,
                duration=time.monotonic() - started,
                step_type=step.kind,
                lease=self._lease,
                connection=connection,
            )
            self._stop_if_cancelled(standing)
            return
        standing = await self._storage.save_outcome(
            self._workflow_id,
            step.name,
            status=status,
            result=result,
            error=error,
            attempt=attempt,
            duration=time.monotonic() - started,
            step_type=step.kind,
            lease=self._lease,
            connection=connection,
        )
        self._stop_if_cancelled(standing)

    def _stop_if_cancelled(self, standing: WorkflowStatus) -> None:
        if standing is WorkflowStatus.CANCELLED:
            raise WorkflowCancelled(workflow_id=self._workflow_id)

    def _is_last(self, step: Step) -> bool:
        """Whether the run ends with this step, and its result is that of the run."""
        return self._progress.left == 1 and self._definition.terminal == (step.name,)

    async def _begin_wait(self, step: Step, waits: Waits) -> _Attempted:
        """Record a wait, and count how long it is from now on."""
        if waits.child is not None:
            due = waits.until if isinstance(waits.until, datetime) else None
            return _Attempted(step.name, waits, _Wait(waits, due, None))
        record = await self._storage.begin_wait(
            self._workflow_id,
            waits.step_name or step.name,
            until=waits.until,
            signal=waits.signal,
            timeout=waits.timeout,
            lease=self._lease,
        )
        if record.left is not None and record.left <= 0:
            return _Attempted(step.name, waits, is_due=True)
        if record.came:
            return _Attempted(step.name, waits)
        at = None if record.left is None else time.monotonic() + record.left
        return _Attempted(step.name, waits, _Wait(waits, record.due, at))

    def _event(self, name: str, attempt: int, **fields: Any) -> Event:
        return Event(
            workflow_id=self._workflow_id,
            workflow_name=self._definition.name,
            step_name=name,
            attempt=attempt,
            **fields,
        )
