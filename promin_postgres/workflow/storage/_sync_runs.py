# Generated from _async_runs.py by tools/twins.py. Do not edit: edit that and generate again.
"""Runs: created, listed, begun, ended, cancelled, begun afresh, purged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from promin_postgres._arguments import MAX_NAME, check_count, check_optional_text, check_text, encode_optional
from promin_postgres._error_record import ErrorRecord, encode_error
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.errors import AlreadyExists, InvalidArgument, NotFound
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow.storage import _statements as sql
from promin_postgres.workflow.storage._sync_base import StorageBase, fence
from promin_postgres.workflow.storage._records import Lease, StepSpec, WorkflowRun, WorkflowState
from promin_postgres.workflow.storage._values import (
    check_member,
    check_parent,
    deadline_of,
    encode_steps,
    new_run,
    step_state,
    workflow_run,
    workflow_state,
)

UNCHANGED: Any = object()
_NO_LEASE: dict[str, Any] = {"token": None, "holder": None, "duration": None, "key": None}


class Runs(StorageBase):
    """The part of the storage that is about whole runs."""

    def create_workflow(
        self,
        workflow_id: str,
        *,
        workflow_name: str,
        steps: Sequence[StepSpec] = (),
        workflow_type: str | None = None,
        namespace: str | None = None,
        version: str | None = None,
        parent_workflow_id: str | None = None,
        parent_step: str | None = None,
        input: Any = None,  # noqa: A002 - the field's own word
        metadata: Mapping[str, Any] | None = None,
        deadline: Seconds | datetime | None = None,
        connection: Any = None,
    ) -> None:
        """Record a workflow, pending, with the steps of its first run.

        Args:
            workflow_id: Of any length; unique within the table prefix.
            steps: In the order of the definition. Steps may also come later, as they are saved.
            parent_workflow_id, parent_step: The workflow that this one is cancelled with, and its step that waits for
                this one's end.
            deadline: When the run must be over: a moment, or seconds or a timedelta from now.
            input: Anything that JSON can carry.
            connection: Write in this connection's transaction.

        Raises:
            AlreadyExists: The id is taken.
            NotFound: There is no such parent.
            WorkflowCancelled: The parent is cancelled.
            CodecError: The input or the metadata does not encode.

        Source: sql/workflow/create_workflow.sql. Of concurrent creators of one id exactly one succeeds.
        """
        params = new_run(
            workflow_id, workflow_name=workflow_name, steps=steps, workflow_type=workflow_type, namespace=namespace,
            version=version, parent_workflow_id=parent_workflow_id, parent_step=parent_step, given=input,
            metadata=metadata, deadline=deadline,
        )  # fmt: skip
        row = self._sql.fetch_one(sql.CREATE_WORKFLOW, params | _NO_LEASE, connection=connection)
        if row is None or not row["created"]:
            check_parent(row, parent_workflow_id)
            raise AlreadyExists("workflow", workflow_id)

    def load_workflow(self, workflow_id: str, *, connection: Any = None) -> WorkflowState | None:
        """The workflow with all steps of its current run; None when there is none.

        Source: sql/workflow/load_workflow.sql, load_steps.sql: two indexed statements.
        """
        row = self._sql.fetch_one(
            sql.LOAD_WORKFLOW, {"workflow_id": check_text("workflow_id", workflow_id)}, connection=connection
        )
        if row is None:
            return None
        steps = self._sql.fetch_all(
            sql.LOAD_STEPS, {"workflow": row["id"], "run": row["run"]}, connection=connection
        )
        return workflow_state(row, {step["step_name"]: step_state(step) for step in steps})

    def list_workflows(
        self,
        *,
        status: WorkflowStatus | None = None,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the field's own word
        parent_id: str | None = None,
        namespace: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[WorkflowState]:
        """Workflows that match every filter given, newest first, with empty `steps`.

        Source: sql/workflow/list_workflows.sql.
        """
        params = {
            "status": None if status is None else int(check_member("status", status, WorkflowStatus)),
            "name": check_optional_text("name", name),
            "type": check_optional_text("type", type),
            "parent_id": None if parent_id is None else check_text("parent_id", parent_id),
            "namespace": check_optional_text("namespace", namespace),
            "limit": check_count("limit", limit, at_least=1),
            "offset": check_count("offset", offset, at_least=0),
        }
        return [workflow_state(row, {}) for row in self._sql.fetch_all(sql.LIST_WORKFLOWS, params)]

    def begin_run(self, workflow_id: str, *, lease: Lease | None = None, connection: Any = None) -> None:
        """Mark the run as running; a failed or suspended one goes on.

        Raises:
            NotFound, LeaseLost, WorkflowCancelled
            InvalidArgument: The run is completed.

        Source: sql/workflow/begin_run.sql.
        """
        params = {"workflow_id": check_text("workflow_id", workflow_id)} | fence(lease)
        params["is_own"] = connection is None and not self._sql.db.is_connection
        if self._sql.fetch_one(sql.BEGIN_RUN, params, connection=connection) is None:
            raise self._refuse(workflow_id, lease, connection, taken="run of workflow")

    def complete_workflow(
        self, workflow_id: str, result: Any = None, *, lease: Lease | None = None, connection: Any = None
    ) -> None:
        """Record the result of the run. Doing it again with the same result changes nothing.

        Raises:
            NotFound, LeaseLost, CodecError, WorkflowCancelled
            InvalidArgument: The run has ended otherwise.

        Source: sql/workflow/end_run.sql. A run ends once.
        """
        encoded = encode_optional(result, "result of the workflow")
        self._end(workflow_id, WorkflowStatus.COMPLETED, encoded, None, lease, connection)

    def fail_workflow(
        self,
        workflow_id: str,
        error: BaseException | ErrorRecord,
        *,
        lease: Lease | None = None,
        connection: Any = None,
    ) -> None:
        """Record why the run failed; the error is made storable whatever it holds. Raises as `complete_workflow`."""
        self._end(workflow_id, WorkflowStatus.FAILED, None, encode_error(error), lease, connection)

    def _end(
        self,
        workflow_id: str,
        status: WorkflowStatus,
        result: str | None,
        error: str | None,
        lease: Lease | None,
        connection: Any,
    ) -> None:
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "status": int(status),
            "result": result,
            "error": error,
            **fence(lease),
            **self._bells(connection),
        }
        row = self._sql.fetch_one(sql.END_RUN, params | {"wakes": False}, connection=connection)
        if row is not None and row["has_parent"]:
            with self._transaction(connection) as inside:
                row = self._sql.fetch_one(sql.END_RUN, params | {"wakes": True}, connection=inside)
                self._wake_parent(workflow_id, inside, connection)
        if row is None or row["run"] is None:
            raise self._refuse(workflow_id, lease, connection, taken="end of workflow")

    def cancel_workflow(self, workflow_id: str, *, cascade: bool = False, connection: Any = None) -> int:
        """Cancel a run that has not ended; its driver learns of it at its next checkpoint.

        Args:
            cascade: Cancel every unfinished descendant too.

        Returns:
            How many workflows were cancelled by this call; 0 when it was cancelled already, or when the answer was
            lost and the call sent again.

        Raises:
            NotFound
            InvalidArgument: The run is completed or failed.

        Source: sql/workflow/cancel_workflow.sql. A child that is being created is found, or is refused.
        """
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "cascade": bool(cascade),
            **self._bells(connection),
        }
        row = self._sql.fetch_one(sql.CANCEL_WORKFLOW, params | {"wakes": False}, connection=connection)
        if row is not None and row["has_parent"]:
            with self._transaction(connection) as inside:
                row = self._sql.fetch_one(sql.CANCEL_WORKFLOW, params | {"wakes": True}, connection=inside)
                self._wake_parent(workflow_id, inside, connection)
        if row is None:
            raise NotFound("workflow", workflow_id)
        before = WorkflowStatus(row["root_status"])
        if before in (WorkflowStatus.COMPLETED, WorkflowStatus.FAILED):
            raise InvalidArgument("workflow_id", workflow_id, f"cannot be cancelled: {before.name.lower()} already")
        cancelled = found = int(row["cancelled"])
        while cascade and found:  # children that were being created
            row = self._sql.fetch_one(sql.CANCEL_WORKFLOW, params | {"wakes": True}, connection=connection)
            found = 0 if row is None else int(row["cancelled"])
            cancelled += found
        return cancelled

    def _wake_parent(self, workflow_id: str, inside: Any, connection: Any) -> None:
        params = {"workflow_id": workflow_id, **self._bells(connection)}
        self._sql.fetch_one(sql.WAKE_FOR_CHILD, params, connection=inside)

    def replace_steps(
        self, workflow_id: str, steps: Sequence[StepSpec], *, version: str | None, lease: Lease | None = None
    ) -> None:
        """Go on with another version of the definition: completed steps stay, the others become `steps`.

        Raises as `begin_run`. Source: sql/workflow/replace_steps.sql.
        """
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "steps": encode_steps(steps),
            "version": check_optional_text("version", version),
            **fence(lease),
        }
        if self._sql.fetch_one(sql.REPLACE_STEPS, params) is None:
            raise self._refuse(workflow_id, lease, None, taken="definition of workflow")

    def start_fresh_run(
        self,
        workflow_id: str,
        *,
        steps: Sequence[StepSpec] | None = None,
        version: str | None = UNCHANGED,
        input: Any = UNCHANGED,  # noqa: A002 - the field's own word
        deadline: Seconds | datetime | None = None,
        on_workers: bool = False,
        ends_in_task: bool = False,
        lease: Lease | None = None,
        connection: Any = None,
    ) -> int:
        """Move an ended run to the history and begin another under the same id: pending, or with its first tasks.

        Args:
            lease: Without one, the lease of whoever drives the workflow is taken away.
            steps: The steps of the new run; by default those that the last one declared.
            version, input: By default those of the last run.
            deadline, ends_in_task: See `start_run`.
            on_workers: Whether workers drive it.

        Returns:
            The number of the new run.

        Raises:
            NotFound, LeaseLost, CodecError
            AlreadyExists: The current run has not ended.

        Source: sql/workflow/start_fresh_run.sql. Of concurrent callers one begins the run.
        """
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "steps": None if steps is None else encode_steps(steps),
            "keep_version": version is UNCHANGED,
            "version": None if version is UNCHANGED else check_optional_text("version", version),
            "keep_input": input is UNCHANGED,
            "input": None if input is UNCHANGED else encode_optional(input, "input"),
            "on_workers": bool(on_workers),
            "ends_in_task": bool(ends_in_task),
            **deadline_of(deadline),
            **fence(lease),
            **self._bells(connection),
        }
        row = self._sql.fetch_one(sql.START_FRESH_RUN, params, connection=connection)
        if row is None:
            raise self._refuse(workflow_id, lease, connection, taken="unfinished run of workflow")
        return int(row["run"])

    def count_by_version(self, workflow_name: str) -> dict[str | None, dict[WorkflowStatus, int]]:
        """How many workflows of a name are recorded with each version, by their status.

        Source: sql/workflow/count_by_version.sql. Reads all workflows of that name.
        """
        params = {"workflow_name": check_text("workflow_name", workflow_name, limit=MAX_NAME)}
        counts: dict[str | None, dict[WorkflowStatus, int]] = {}
        for row in self._sql.fetch_all(sql.COUNT_BY_VERSION, params):
            counts.setdefault(row["version"], {})[WorkflowStatus(row["status"])] = row["number"]
        return counts

    def load_run_history(self, workflow_id: str, *, limit: int = 100, offset: int = 0) -> list[WorkflowRun]:
        """The ended runs, newest first; the current one is among them when it has ended.

        Source: sql/workflow/load_run_history.sql.
        """
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "limit": check_count("limit", limit, at_least=1),
            "offset": check_count("offset", offset, at_least=0),
        }
        return [workflow_run(row) for row in self._sql.fetch_all(sql.LOAD_RUN_HISTORY, params)]

    def purge_completed(
        self,
        *,
        older_than: Seconds,
        statuses: Sequence[WorkflowStatus] = (WorkflowStatus.COMPLETED,),
        batch: int = 1_000,
    ) -> int:
        """Delete workflows that ended long enough ago, with their steps, attempts, signals and earlier runs.

        Args:
            older_than: Seconds or timedelta since the end of the current run.
            statuses: Which ends to delete; completed, failed or cancelled.
            batch: Workflows per transaction.

        Returns:
            How many workflows were deleted.

        Source: sql/workflow/purge_completed.sql. Several may purge at once.
        """
        for status in statuses:
            if not check_member("statuses", status, WorkflowStatus).is_final:
                raise InvalidArgument("statuses", status, "only runs that have ended can be purged")
        params = {
            "older_than": timedelta(seconds=check_seconds("older_than", older_than)),
            "statuses": [int(status) for status in statuses],
            "batch": check_count("batch", batch, at_least=1),
        }
        purged = 0
        while count := self._sql.execute(sql.PURGE_COMPLETED, params):
            purged += count
        return purged
