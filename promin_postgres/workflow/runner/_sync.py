# Generated from _async.py by tools/twins.py. Do not edit: edit that and generate again.
"""Workflow: write a workflow down, then run it in this process."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

import attrs
import psycopg

from promin_postgres._arguments import check_count
from promin_postgres._retry import Retry
from promin_postgres._time import Seconds
from promin_postgres.errors import (
    AlreadyExists,
    DefinitionChanged,
    InvalidArgument,
    NotFound,
    WorkflowCancelled,
    WorkflowInFlight,
    shown,
)
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.streams import Sinkable
from promin_postgres.workflow.definition import Compensation, Definition, Hooks, Idempotency, differences, specs
from promin_postgres.workflow.runner._sync_builder import Builder
from promin_postgres.workflow.runner._sync_drive import Driver
from promin_postgres.workflow.storage import PostgresWorkflowStorage, Lease, WorkflowState

_LOG = logging.getLogger(__name__)


def workflow(
    name: str,
    *,
    storage: PostgresWorkflowStorage,
    type: str | None = None,  # noqa: A002 - the word of the public API
    version: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    max_concurrency: int = 16,
    retry: Retry | None = None,
    compensate: Compensation | None = None,
    dlq: Sinkable[Any] | None = None,
    idempotency: Idempotency | None = None,
    deadline: Seconds | None = None,
    hooks: Hooks | None = None,
) -> Workflow:
    """Begin to write a workflow down; `.step` and its like add to it and `.run` runs it.

    Args:
        name: 1 to 255 characters.
        storage: Where its runs are recorded.
        type: A kind to list workflows by.
        version: The version of this definition. A run that was begun with another version goes on with this one; the
            same version with other steps is refused.
        metadata: Anything JSON can carry, recorded with each run.
        max_concurrency: Steps of one run that execute at the same time; at least 1.
        retry: How often a run in which a step failed for good goes on from that step by itself; None is never.
        compensate: How the completed steps of a failed run that have a `compensate` are undone.
        dlq: Where a run that failed is published, after it was undone: a dict of workflow_id, workflow_name, run,
            input, error and metadata.
        idempotency: What a second `run` with the same id comes to. None: a completed run is answered with its result, a
            failed one goes on, one that is driven elsewhere is refused.
        deadline: Seconds, or a timedelta, from the beginning of the run until when it must have ended; it fails then.
        hooks: Functions that hear of what happens.

    Raises:
        InvalidArgument: A malformed name or number, or a policy of another class.
    """
    return Workflow(
        definition=Definition(
            name=name,
            type=type,
            version=version,
            metadata=metadata,
            retry=retry,
            compensate=Compensation() if compensate is None else compensate,
            dlq=dlq,
            idempotency=idempotency,
            deadline=deadline,
            hooks=Hooks() if hooks is None else hooks,
        ),
        storage=storage,
        max_concurrency=max_concurrency,
    )


@attrs.frozen(kw_only=True)
class Workflow(Builder):
    """A workflow written down, and the storage of its runs. Never changes; safe to share and to run concurrently."""

    storage: PostgresWorkflowStorage
    max_concurrency: int = 16

    def __attrs_post_init__(self) -> None:
        check_count("max_concurrency", self.max_concurrency, at_least=1)

    def run(self, *, workflow_id: str, input: Any = None, force: bool = False) -> Any:  # noqa: A002 - public API
        """Run the workflow in this process, or go on with a run that failed or whose process died.

        Steps that wait for nothing run side by side. After each its result is recorded, and it is not executed again.
        When one fails for good those that are being executed are let finish and no other starts; calling `run` once
        more goes on from there.

        Args:
            workflow_id: Names the run; any text.
            input: What the steps see as `ctx.input`. Recorded when the run begins; later calls see what is recorded,
                whatever they pass.
            force: Begin a fresh run, with this input if it is not None, where the last one has ended in any way. One
                that has not ended is gone on with.

        Returns:
            The result of the step that no other depends on; a dict of results by name when there are several. Of a
            completed run the recorded result, without executing anything.

        Raises:
            InvalidArgument: The definition cannot run, or the id is that of a workflow with another name.
            CodecError: The input, before anything is written, or the result of a step is not JSON.
            StepFailed: A step failed for good; caused by its exception.
            WorkflowInFlight: Somebody else is driving this run now.
            WorkflowCancelled: The run was cancelled.
            DefinitionChanged: The run was begun with other steps under the same version.
            LeaseLost: Somebody else may have taken the run over; nothing was recorded after that.
        """
        self.definition.check()
        state = self.storage.load_workflow(workflow_id)
        if state is None:
            self._create(workflow_id, input)
        elif self._is_complete(state, force=force):
            return state.result
        lease = self.storage.try_lock(workflow_id)
        if lease is None:
            raise WorkflowInFlight(workflow_id=workflow_id)
        try:
            return self._run_locked(lease, input=input, force=force)
        finally:
            self._release(lease)

    def _release(self, lease: Lease) -> None:
        """Give the lease back. The run has ended one way or another, and that is what the caller must learn."""
        try:
            self.storage.release_lock(lease)
        except psycopg.Error as error:
            _LOG.warning(
                "the lease on workflow %s was not given back and will end by itself: %s",
                shown(lease.workflow_id),
                error,
            )

    def _create(self, workflow_id: str, given: Any) -> None:
        with contextlib.suppress(AlreadyExists):  # somebody else was faster: his input is the recorded one
            self.storage.create_workflow(
                workflow_id,
                workflow_name=self.definition.name,
                steps=specs(self.definition),
                workflow_type=self.definition.type,
                version=self.definition.version,
                input=given,
                metadata=self.definition.metadata,
            )

    def _load(self, workflow_id: str) -> WorkflowState:
        state = self.storage.load_workflow(workflow_id)
        if state is None:
            raise NotFound("workflow", workflow_id)
        return state

    def _is_complete(self, state: WorkflowState, *, force: bool) -> bool:
        """Whether the recorded result is the answer."""
        if state.workflow_name != self.definition.name:
            raise InvalidArgument("workflow_id", state.workflow_id, f"is a run of workflow {state.workflow_name!r}")
        if force:
            return False
        if state.status == WorkflowStatus.CANCELLED:
            raise WorkflowCancelled(workflow_id=state.workflow_id)
        return state.status == WorkflowStatus.COMPLETED

    def _run_locked(self, lease: Lease, *, input: Any, force: bool) -> Any:  # noqa: A002
        workflow_id = lease.workflow_id
        state = self._load(workflow_id)  # again: it may have moved on before the lock was ours
        if self._is_complete(state, force=force):
            return state.result
        if force and state.status.is_final:
            self.storage.start_fresh_run(
                workflow_id,
                steps=specs(self.definition),
                version=self.definition.version,
                lease=lease,
                **({} if input is None else {"input": input}),
            )
            state = self._load(workflow_id)
        elif self.definition.version != state.version:
            self.storage.replace_steps(
                workflow_id, specs(self.definition), version=self.definition.version, lease=lease
            )
        elif changed := differences(self.definition, state.steps):
            raise DefinitionChanged(workflow_id=workflow_id, differences=list(changed.values()), steps=list(changed))
        self.storage.begin_run(workflow_id, lease=lease)
        return Driver(
            definition=self.definition,
            storage=self.storage,
            state=state,
            lease=lease,
            max_concurrency=self.max_concurrency,
        ).drive()
