"""What the drivers of runs ask and record: where a run stands, how a step came out, what was undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from promin_postgres._arguments import MAX_NAME, check_count, check_text
from promin_postgres._error_record import ErrorRecord, decode_error, encode_error
from promin_postgres._statement import Statement
from promin_postgres._time import Seconds
from promin_postgres.codec import Encoded
from promin_postgres.lookups import StepStatus, StepType, WorkflowStatus
from promin_postgres.workflow.storage import _statements as sql
from promin_postgres.workflow.storage._async_base import AsyncStorageBase, fence
from promin_postgres.workflow.storage._driving import RunRecord, StepRecord, UndoingRecord
from promin_postgres.workflow.storage._records import Lease
from promin_postgres.workflow.storage._values import encode_metadata, optional_duration


class AsyncDrives(AsyncStorageBase):
    """The part of the storage that is for drivers. Everything written here raises NotFound and LeaseLost."""

    async def load_run(self, workflow_id: str, *, steps: bool = True) -> RunRecord | None:
        """Where a run stands, with its steps unless that is not wanted; without their results.

        Source: sql/workflow/load_run.sql, load_progress.sql: two indexed statements.
        """
        params = {"workflow_id": check_text("workflow_id", workflow_id)}
        row = await self._sql.fetch_one(sql.LOAD_RUN, params)
        if row is None:
            return None
        found = await self._sql.fetch_tuples(sql.LOAD_PROGRESS, params) if steps else []
        return RunRecord(
            **row
            | {
                "status": WorkflowStatus(row["status"]),
                "input": Encoded(row["input"]),
                "result": Encoded(row["result"]),
                "error": decode_error(row["error"]),
                "metadata": Encoded(row["metadata"]),
                "deadline_in": _seconds(row["deadline_in"]),
                "ended_for": _seconds(row["ended_for"]),
                "steps": {step[0]: _step_record(step) for step in found},
            }
        )

    async def load_results(self, workflow_id: str, step_names: Iterable[str]) -> dict[str, Encoded]:
        """The results of some steps of the current run. Source: sql/workflow/load_results.sql."""
        params = {"workflow_id": check_text("workflow_id", workflow_id), "step_names": list(step_names)}
        return {name: Encoded(text) for name, text in await self._sql.fetch_tuples(sql.LOAD_RESULTS, params)}

    async def save_outcome(
        self,
        workflow_id: str,
        step_name: str,
        *,
        status: StepStatus,
        result: Encoded,
        error: ErrorRecord | None,
        attempt: int,
        duration: Seconds | None,
        step_type: StepType,
        metadata: Mapping[str, Any] | None = None,
        lease: Lease,
        connection: Any = None,
    ) -> WorkflowStatus:
        """Record how an attempt at a step came out, and with it the step.

        Args:
            status: COMPLETED, SKIPPED, FAILED for good, or PENDING: to be attempted again.
            error: What the attempt failed with; of a step that is done nonetheless what was put up with.

        Returns and raises as `save_step_result`. Source: sql/workflow/save_step.sql.
        """
        params = self._outcome(
            workflow_id, step_name, status, result, error, attempt, duration, step_type, metadata, lease
        )
        taken = f"another result of step {step_name!r} in workflow"
        return WorkflowStatus(await self._written(sql.SAVE_STEP, params, lease, taken, connection=connection))

    async def save_last_outcome(
        self,
        workflow_id: str,
        step_name: str,
        *,
        result: Encoded,
        attempt: int,
        duration: Seconds | None,
        step_type: StepType,
        lease: Lease,
        connection: Any = None,
    ) -> tuple[WorkflowStatus, bool]:
        """Record that the last step of a run completed, and with it the run, whose result is the same.

        Returns:
            Where the run stood, and whether it has ended by this: not when it has a parent, which has to be told.

        Raises as `save_step_result`. Source: sql/workflow/save_last_step.sql. One commit.
        """
        params = self._outcome(
            workflow_id, step_name, StepStatus.COMPLETED, result, None, attempt, duration, step_type, None, lease
        ) | self._bells(None)
        rows = await self._sql.fetch_tuples(sql.SAVE_LAST_STEP, params, connection=connection)
        if not rows:
            taken = f"another result of step {step_name!r} in workflow"
            raise await self._refuse(workflow_id, lease, connection, taken=taken)
        return WorkflowStatus(rows[0][0]), rows[0][1]

    def _outcome(
        self,
        workflow_id: str,
        step_name: str,
        status: StepStatus,
        result: Encoded,
        error: ErrorRecord | None,
        attempt: int,
        duration: Seconds | None,
        step_type: StepType,
        metadata: Mapping[str, Any] | None,
        lease: Lease,
    ) -> dict[str, Any]:
        return {
            "workflow_id": check_text("workflow_id", workflow_id),
            "step_name": check_text("step_name", step_name, limit=MAX_NAME),
            "step_type": int(step_type),
            "status": int(status),
            "result": result.text,
            "error": None if error is None else encode_error(error),
            "metadata": encode_metadata(metadata, f"metadata of step {step_name!r}"),
            "attempt": check_count("attempt", attempt, at_least=1),
            "duration": optional_duration("duration", duration),
            "instance_id": self.instance_id,
        } | fence(lease)

    async def count_retry(self, workflow_id: str, *, retries: int, lease: Lease) -> None:
        """Record that the run begins again where it failed, for the `retries`-th time.

        Source: sql/workflow/count_retry.sql.
        """
        params = {"retries": retries}
        await self._write(sql.COUNT_RETRY, workflow_id, params, lease, "retry of workflow")

    async def suspend_run(self, workflow_id: str, *, lease: Lease) -> None:
        """Mark an inline run as waiting. Source: sql/workflow/suspend_run.sql."""
        await self._write(sql.SUSPEND_RUN, workflow_id, {}, lease, "wait of workflow")

    async def begin_compensating(self, workflow_id: str, error: BaseException | ErrorRecord, *, lease: Lease) -> None:
        """Record what a run failed with, before what it did is undone. Source: sql/workflow/begin_compensating.sql."""
        params = {"error": encode_error(error)}
        await self._write(sql.BEGIN_COMPENSATING, workflow_id, params, lease, "end of workflow")

    async def load_undoing(self, workflow_id: str, step_names: Iterable[str]) -> list[UndoingRecord]:
        """Of these steps those that are completed, the last first, and those that were undone since the run failed.

        Source: sql/workflow/load_undoing.sql.
        """
        params = {"workflow_id": check_text("workflow_id", workflow_id), "step_names": list(step_names)}
        return [
            UndoingRecord(
                **row
                | {
                    "status": StepStatus(row["status"]),
                    "error": decode_error(row["error"]),
                }
            )
            for row in await self._sql.fetch_all(sql.LOAD_UNDOING, params)
        ]

    async def save_undoing(
        self,
        workflow_id: str,
        step_name: str,
        *,
        attempt: int,
        error: BaseException | None,
        duration: Seconds,
        lease: Lease,
    ) -> WorkflowStatus:
        """Record an attempt at undoing a step; without an error it is undone. Source: sql/workflow/save_undoing.sql."""
        params = {
            "step_name": step_name,
            "attempt": attempt,
            "error": None if error is None else encode_error(error),
            "duration": optional_duration("duration", duration),
            "instance_id": self.instance_id,
        }
        return WorkflowStatus(await self._write(sql.SAVE_UNDOING, workflow_id, params, lease, "end of workflow"))

    async def _write(
        self, statement: Statement, workflow_id: str, params: dict[str, Any], lease: Lease, taken: str
    ) -> Any:
        which = {"workflow_id": check_text("workflow_id", workflow_id)} | fence(lease)
        return await self._written(statement, which | params, lease, taken)

    async def _written(
        self, statement: Statement, params: Mapping[str, Any], lease: Lease, taken: str, *, connection: Any = None
    ) -> Any:
        """The first column of what a write gives back; the reason as an exception when it found nothing to do."""
        rows = await self._sql.fetch_tuples(statement, params, connection=connection)
        if not rows:
            raise await self._refuse(params["workflow_id"], lease, connection, taken=taken)
        return rows[0][0]


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _step_record(row: tuple[Any, ...]) -> StepRecord:
    name, status, kind, depends_on, attempt = row
    return StepRecord(name, StepStatus(status), StepType(kind), tuple(depends_on), attempt)
