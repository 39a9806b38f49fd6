"""AsyncRunnable: a definition and the storage of its runs, run in this process."""

from __future__ import annotations

import logging
import time
from typing import Any

import attrs
import psycopg

from promin_postgres._arguments import check_count
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.codec import Encoded
from promin_postgres.errors import (
    DefinitionChanged,
    InvalidArgument,
    NotFound,
    WorkflowCancelled,
    WorkflowInFlight,
    WorkflowSuspended,
    shown,
)
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow.definition import Child, Context, Definition, Drawn, Idempotency, differences, specs
from promin_postgres.workflow.handle import AsyncRunHandle, async_begin, failure_of
from promin_postgres.workflow.runner._async_drive import AsyncDriver
from promin_postgres.workflow.runner._functions import async_check_functions
from promin_postgres.workflow.runner._records import Ended, Outcome, Waits
from promin_postgres.workflow.runner._rules import Standing, standing_of
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, Lease, RunRecord
from promin_postgres.workflow.storage._async_runs import UNCHANGED

_LOG = logging.getLogger(__name__)
_LOOK = 1.0
"""Seconds between two tries to take over a run that somebody else drives, and may have died over."""


@attrs.frozen(kw_only=True)
class AsyncRunnable(Drawn):
    """What can be run, in this process or on workers. Never changes; safe to share and to run concurrently."""

    definition: Definition
    storage: AsyncPostgresWorkflowStorage
    max_concurrency: int = 16

    def __attrs_post_init__(self) -> None:
        check_count("max_concurrency", self.max_concurrency, at_least=1)
        async_check_functions(self.definition)

    async def start(
        self,
        *,
        workflow_id: str,
        input: Any = None,  # noqa: A002 - the word of the public API
        connection: Any = None,
    ) -> AsyncRunHandle:
        """Begin a run that workers drive, unless there is one of that id: then this is about that one.

        Args:
            workflow_id: Names the run; any text.
            input: What the steps see as `ctx.input`.
            connection: Begin it in this connection's transaction: it exists when that commits.

        Raises:
            InvalidArgument: The definition cannot run, or the id is that of a workflow with another name.
            CodecError: The input is not JSON; nothing is written.

        Source: sql/workflow/start_run.sql. Of concurrent starts of one id exactly one begins it.
        """
        await async_begin(self.definition, self.storage, workflow_id=workflow_id, input=input, connection=connection)
        return self.get_handle(workflow_id)

    def get_handle(self, workflow_id: str) -> AsyncRunHandle:
        """A run by its id. Whether it is there shows when it is asked for something."""
        return AsyncRunHandle(self.storage, workflow_id, self.definition)

    async def run(
        self,
        *,
        workflow_id: str,
        input: Any = None,  # noqa: A002 - the word of the public API
        force: bool = False,
        wait: Seconds | None = None,
    ) -> Any:
        """Run the workflow in this process, or go on with a run that failed, waits, or whose process died.

        Steps that wait for nothing run side by side. After each its result is recorded, and it is not executed again.
        When one fails for good those that are being executed are let finish and no other starts; calling `run` once
        more goes on from there.

        Args:
            workflow_id: Names the run; any text.
            input: What the steps see as `ctx.input`. Recorded when the run begins; later calls see what is recorded,
                whatever they pass.
            force: Begin a fresh run, with this input if it is not None, where the last one has ended in any way. One
                that has not ended is gone on with.
            wait: When the run reaches a sleep or a wait for a signal and nothing else is to be done, stay for so many
                seconds (or a timedelta) since the call. None: not at all.

        Returns:
            The result of the step that no other depends on; a dict of results by name when there are several. Of a
            completed run the recorded result, without executing anything.

        Raises:
            InvalidArgument: The definition cannot run, or the id is that of a workflow with another name.
            CodecError: The input, before anything is written, or the result of a step is not JSON.
            StepFailed: A step failed for good; caused by its exception.
            DeadlineExceeded: The run was not over in time, and has failed.
            WorkflowSuspended: The run waits; calling `run` or `resume` later goes on with it.
            WorkflowInFlight: Somebody else is driving this run now.
            WorkflowCancelled: The run was cancelled.
            DefinitionChanged: The run was begun with other steps under the same version.
            LeaseLost: Somebody else may have taken the run over; nothing was recorded after that.
        """
        ended = await self._run(workflow_id, Encoded.of(input, subject="input"), force=force, wait=wait)
        if ended.error is not None:
            raise ended.error
        return ended.result.value()

    async def run_safe(
        self,
        *,
        workflow_id: str,
        input: Any = None,  # noqa: A002 - the word of the public API
        force: bool = False,
        wait: Seconds | None = None,
    ) -> Outcome:
        """As `run`, but what the run comes to is given back and never raised.

        Raises:
            InvalidArgument, CodecError (of the input), DefinitionChanged, LeaseLost: It is not the run that failed.
        """
        ended = await self._run(workflow_id, Encoded.of(input, subject="input"), force=force, wait=wait)
        return Outcome(workflow_id=workflow_id, status=ended.status, result=ended.result.value(), error=ended.error)

    async def resume(self, *, workflow_id: str, wait: Seconds | None = None) -> Any:
        """As `run`, for a run that there must be.

        Raises:
            NotFound: There is no such run. And what `run` raises.
        """
        ended = await self._run(workflow_id, None, force=False, wait=wait)
        if ended.error is not None:
            raise ended.error
        return ended.result.value()

    async def fork(
        self,
        workflow_id: str,
        *,
        from_step: str,
        new_workflow_id: str,
        on_workers: bool = False,
        connection: Any = None,
    ) -> AsyncRunHandle:
        """Begin another run where one stood before a step: that step, and what depends on it, is executed again.

        Args:
            workflow_id: Whose input and results are taken, as they are now. It stays as it is.
            from_step: The first step that is executed again.
            new_workflow_id: Of the new run.
            on_workers: Workers drive it. False: it is pending until `run` is called with its id.
            connection: Write in this connection's transaction.

        Raises:
            NotFound: There is no such run.
            InvalidArgument: It has no such step, or is a run of another workflow.
            AlreadyExists: The new id is taken.
        """
        self.definition.check()
        run = await self._load(workflow_id, steps=False)
        self._standing(run, None, force=False)
        await self.storage.fork_workflow(
            workflow_id,
            from_step=from_step,
            new_workflow_id=new_workflow_id,
            on_workers=on_workers,
            ends_in_task=self.definition.ends_in_code,
            deadline=self.definition.deadline,
            connection=connection,
        )
        return self.get_handle(new_workflow_id)

    async def _run(self, workflow_id: str, given: Encoded | None, *, force: bool, wait: Seconds | None) -> Ended:
        self.definition.check()
        wait_until = None if wait is None else time.monotonic() + check_seconds("wait", wait)
        return await self._answer(workflow_id, given, force=force, wait_until=wait_until)

    async def _answer(
        self,
        workflow_id: str,
        given: Encoded | None,
        *,
        force: bool = False,
        wait_until: float | None,
        parent: Context | None = None,
    ) -> Ended:
        """What a run comes to: by what is recorded, or by driving it.

        Args:
            given: The input of a run that there is not yet; None if there must be one.
            parent: Of the step that this run is for.
        """
        policy = None if given is None else self.definition.idempotency
        run = await self.storage.load_run(workflow_id, steps=False)
        if run is None:
            if given is None:
                raise NotFound("workflow", workflow_id)
            lease = await self._create(workflow_id, given, parent)
            if lease is not None:
                try:
                    return await self._drive(self._new(workflow_id, given, parent), lease, wait_until, parent)
                finally:
                    await self._release(lease)
        elif self._standing(run, policy, force=force) is Standing.ANSWERED:
            return await self._recorded(run)
        joined = False
        lease = await self._lock(workflow_id, run)
        while lease is None:
            if policy is None or policy.on_in_flight == "reject":
                return Ended(WorkflowStatus.RUNNING, error=WorkflowInFlight(workflow_id=workflow_id))
            joined = True
            if await self.storage.watch.wait(workflow_id, _LOOK) is not None:
                return await self._recorded(await self._load(workflow_id, steps=False))
            lease = await self._lock(workflow_id, run)
        try:
            run = await self._load(workflow_id)
            standing = self._standing(run, policy, force=force)
            if standing is Standing.ANSWERED or (joined and run.status.is_final):
                return await self._recorded(run)
            if standing is Standing.FRESH:
                run = await self._afresh(run, given, lease)
            await self._open(run, lease)
            return await self._drive(run, lease, wait_until, parent)
        finally:
            await self._release(lease)

    async def _lock(self, workflow_id: str, run: RunRecord | None) -> Lease | None:
        """The lease on an inline run. Workers have none: they drive a run together until it has ended."""
        if run is not None and run.on_workers and not run.status.is_final:
            return None
        return await self.storage.try_lock(workflow_id)

    def _standing(self, run: RunRecord, policy: Idempotency | None, *, force: bool) -> Standing:
        if run.workflow_name != self.definition.name:
            raise InvalidArgument("workflow_id", run.workflow_id, f"is a run of workflow {run.workflow_name!r}")
        return standing_of(run, policy, force=force)

    async def _recorded(self, run: RunRecord) -> Ended:
        """How a run ended that has."""
        if run.status is WorkflowStatus.COMPLETED:
            return Ended(run.status, run.result)
        if run.status is WorkflowStatus.CANCELLED:
            return Ended(run.status, error=WorkflowCancelled(workflow_id=run.workflow_id))
        state = await self.storage.load_workflow(run.workflow_id)
        if state is None:
            raise NotFound("workflow", run.workflow_id)
        return Ended(run.status, error=failure_of(state))

    async def _create(self, workflow_id: str, given: Encoded, parent: Context | None) -> Lease | None:
        """Record a run and take its lease; None when somebody else was faster: his input is the recorded one."""
        return await self.storage.create_locked(
            workflow_id,
            workflow_name=self.definition.name,
            steps=specs(self.definition),
            workflow_type=self.definition.type,
            namespace=None,
            version=self.definition.version,
            parent_workflow_id=None if parent is None else parent.workflow_id,
            parent_step=None if parent is None else parent.step_name,
            given=given,
            metadata=self.definition.metadata,
            deadline=self.definition.deadline,
        )

    def _new(self, workflow_id: str, given: Encoded, parent: Context | None) -> RunRecord:
        """What was just recorded."""
        return RunRecord(
            workflow_id=workflow_id,
            workflow_name=self.definition.name,
            version=self.definition.version,
            run=1,
            status=WorkflowStatus.RUNNING,
            input=given,
            result=Encoded(None),
            error=None,
            metadata=Encoded.of(self.definition.metadata and dict(self.definition.metadata), subject="metadata"),
            on_workers=False,
            retries=0,
            parent_workflow_id=None if parent is None else parent.workflow_id,
            parent_step=None if parent is None else parent.step_name,
            deadline_in=self.definition.deadline,
            ended_for=None,
            steps={},
        )

    async def _load(self, workflow_id: str, *, steps: bool = True) -> RunRecord:
        run = await self.storage.load_run(workflow_id, steps=steps)
        if run is None:
            raise NotFound("workflow", workflow_id)
        return run

    async def _afresh(self, run: RunRecord, given: Encoded | None, lease: Lease) -> RunRecord:
        await self.storage.start_fresh_run(
            run.workflow_id,
            steps=specs(self.definition),
            version=self.definition.version,
            deadline=self.definition.deadline,
            lease=lease,
            input=UNCHANGED if given is None or given.text is None else given,
        )
        return await self._load(run.workflow_id)

    async def _open(self, run: RunRecord, lease: Lease) -> None:
        """Go on with a run as this definition has it."""
        workflow_id = run.workflow_id
        if self.definition.version != run.version:
            await self.storage.replace_steps(
                workflow_id, specs(self.definition), version=self.definition.version, lease=lease
            )
        elif changed := differences(self.definition, run.steps):
            raise DefinitionChanged(workflow_id=workflow_id, differences=list(changed.values()), steps=list(changed))
        if run.status is not WorkflowStatus.COMPENSATING:
            await self.storage.begin_run(workflow_id, lease=lease)

    async def _drive(self, run: RunRecord, lease: Lease, wait_until: float | None, parent: Context | None) -> Ended:
        async def launch(child: Child, workflow_id: str, given: Encoded, context: Context) -> Waits | None:
            return await self._launch(child, workflow_id, given, context, wait_until)

        return await AsyncDriver(
            definition=self.definition,
            storage=self.storage,
            run=run,
            lease=lease,
            max_concurrency=self.max_concurrency,
            wait_until=wait_until,
            launch=launch,
            parent=parent,
        ).drive()

    async def _launch(
        self, child: Child, workflow_id: str, given: Encoded, context: Context, wait_until: float | None
    ) -> Waits | None:
        """Run a sub-workflow in the thread or task of its step."""
        other = AsyncRunnable(definition=child.definition, storage=self.storage, max_concurrency=self.max_concurrency)
        ended = await other._answer(workflow_id, given, wait_until=wait_until, parent=context)
        if isinstance(ended.error, WorkflowSuspended):
            return Waits(until=ended.error.until, signal=ended.error.signal, child=workflow_id)
        if isinstance(ended.error, WorkflowInFlight):
            left = 0.0 if wait_until is None else wait_until - time.monotonic()
            if left <= 0 or await self.storage.watch.wait(workflow_id, left) is None:
                return Waits(child=workflow_id)
        elif ended.status is WorkflowStatus.FAILED and ended.error is not None:
            raise ended.error
        return None

    async def _release(self, lease: Lease) -> None:
        """Give the lease back. The run has ended one way or another, and that is what the caller must learn."""
        try:
            await self.storage.release_lock(lease)
        except psycopg.Error as error:
            _LOG.warning(
                "the lease on workflow %s was not given back and will end by itself: %s",
                shown(lease.workflow_id),
                error,
            )
