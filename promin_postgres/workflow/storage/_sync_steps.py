# Generated from _async_steps.py by tools/twins.py. Do not edit: edit that and generate again.
"""Steps: checkpoints, failures, elements of map steps, attempts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promin_postgres._arguments import MAX_NAME, check_count, check_text, encode_optional
from promin_postgres._error_record import ErrorRecord, encode_error
from promin_postgres._time import Seconds
from promin_postgres.errors import InvalidArgument, NotFound
from promin_postgres.lookups import AttemptType, StepStatus, StepType, WorkflowStatus
from promin_postgres.workflow.storage import _statements as sql
from promin_postgres.workflow.storage._sync_base import StorageBase, fence
from promin_postgres.workflow.storage._records import Lease, StepAttempt
from promin_postgres.workflow.storage._values import check_member, encode_metadata, optional_duration, step_attempt


class Steps(StorageBase):
    """The part of the storage that is about steps.

    What is saved here is saved with the attempt that led to it, in one statement. The number of an attempt is its key:
    saving the same outcome of the same attempt again changes nothing, so a lost answer may be asked for again.
    """

    def save_step_result(
        self,
        workflow_id: str,
        step_name: str,
        result: Any = None,
        *,
        attempt: int = 1,
        duration: Seconds | None = None,
        step_type: StepType = StepType.STEP,
        metadata: Mapping[str, Any] | None = None,
        lease: Lease | None = None,
        connection: Any = None,
    ) -> WorkflowStatus:
        """Checkpoint a step: it is completed, and is not executed again.

        Args:
            step_name: A step of the run; one that was not declared is added.
            attempt: Number of this execution, 1 for the first.
            duration: How long it took, in seconds or as a timedelta.
            lease: Write only while this lease is held.

        Returns:
            Where the run stands: CANCELLED tells its driver to stop.

        Raises:
            NotFound, LeaseLost
            CodecError: The result does not encode; names the step and the path.
            AlreadyExists: The step is completed with another result.

        Source: sql/workflow/save_step.sql. A result is recorded at most once.
        """
        encoded = encode_optional(result, f"step {step_name!r}")
        params = self._step_params(
            workflow_id, step_name, StepStatus.COMPLETED, encoded, None, attempt, duration, lease
        ) | _declared(step_name, step_type, metadata)
        return self._save(sql.SAVE_STEP, params, step_name, lease, connection)

    def save_step_failure(
        self,
        workflow_id: str,
        step_name: str,
        error: BaseException | ErrorRecord,
        *,
        attempt: int = 1,
        duration: Seconds | None = None,
        final: bool = True,
        step_type: StepType = StepType.STEP,
        metadata: Mapping[str, Any] | None = None,
        lease: Lease | None = None,
        connection: Any = None,
    ) -> WorkflowStatus:
        """Record a failed attempt at a step.

        Args:
            error: Made storable, whatever it holds.
            final: The step has failed; False: it is pending, another attempt follows.

        Returns and raises as `save_step_result`.
        """
        status = StepStatus.FAILED if final else StepStatus.PENDING
        params = self._step_params(
            workflow_id, step_name, status, None, encode_error(error), attempt, duration, lease
        ) | _declared(step_name, step_type, metadata)
        return self._save(sql.SAVE_STEP, params, step_name, lease, connection)

    def save_task_result(
        self,
        workflow_id: str,
        step_name: str,
        task_index: int,
        result: Any = None,
        *,
        attempt: int = 1,
        duration: Seconds | None = None,
        lease: Lease | None = None,
        connection: Any = None,
    ) -> WorkflowStatus:
        """Checkpoint element `task_index` (from 0) of a map step. Returns and raises as `save_step_result`.

        Source: sql/workflow/save_task.sql.
        """
        encoded = encode_optional(result, f"step {step_name!r}, element {task_index}")
        params = self._step_params(
            workflow_id, step_name, StepStatus.COMPLETED, encoded, None, attempt, duration, lease
        ) | {"task_index": check_count("task_index", task_index, at_least=0)}
        return self._save(sql.SAVE_TASK, params, step_name, lease, connection)

    def save_task_failure(
        self,
        workflow_id: str,
        step_name: str,
        task_index: int,
        error: BaseException | ErrorRecord,
        *,
        attempt: int = 1,
        duration: Seconds | None = None,
        final: bool = True,
        lease: Lease | None = None,
        connection: Any = None,
    ) -> WorkflowStatus:
        """Record a failed attempt at element `task_index` of a map step. As `save_step_failure`."""
        status = StepStatus.FAILED if final else StepStatus.PENDING
        params = self._step_params(
            workflow_id, step_name, status, None, encode_error(error), attempt, duration, lease
        ) | {"task_index": check_count("task_index", task_index, at_least=0)}
        return self._save(sql.SAVE_TASK, params, step_name, lease, connection)

    def save_step_attempt(
        self,
        workflow_id: str,
        step_name: str,
        *,
        attempt: int,
        attempt_type: AttemptType = AttemptType.EXECUTION,
        status: StepStatus = StepStatus.COMPLETED,
        error: BaseException | ErrorRecord | None = None,
        duration: Seconds | None = None,
        task_index: int | None = None,
        connection: Any = None,
    ) -> None:
        """Record an attempt alone, as at undoing a step. The first record of an attempt stands.

        Raises:
            NotFound

        Source: sql/workflow/save_step_attempt.sql.
        """
        if check_member("status", status, StepStatus) not in (StepStatus.COMPLETED, StepStatus.FAILED):
            raise InvalidArgument("status", status, "an attempt is recorded once it has completed or failed")
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "step_name": check_text("step_name", step_name, limit=MAX_NAME),
            "task_index": None if task_index is None else check_count("task_index", task_index, at_least=0),
            "attempt_type": int(check_member("attempt_type", attempt_type, AttemptType)),
            "attempt": check_count("attempt", attempt, at_least=1),
            "status": int(status),
            "error": None if error is None else encode_error(error),
            "duration": optional_duration("duration", duration),
            "instance_id": self.instance_id,
        }
        if self._sql.fetch_one(sql.SAVE_STEP_ATTEMPT, params, connection=connection) is None:
            raise NotFound("workflow", workflow_id)

    def load_step_attempts(
        self, workflow_id: str, *, step_name: str | None = None, run: int | None = None
    ) -> list[StepAttempt]:
        """The attempts of one run (by default the current one), oldest first.

        Source: sql/workflow/load_step_attempts.sql.
        """
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "step_name": None if step_name is None else check_text("step_name", step_name, limit=MAX_NAME),
            "run": None if run is None else check_count("run", run, at_least=1),
        }
        return [step_attempt(row) for row in self._sql.fetch_all(sql.LOAD_STEP_ATTEMPTS, params)]

    def _step_params(
        self,
        workflow_id: str,
        step_name: str,
        status: StepStatus,
        result: str | None,
        error: str | None,
        attempt: int,
        duration: Seconds | None,
        lease: Lease | None,
    ) -> dict[str, Any]:
        return {
            "workflow_id": check_text("workflow_id", workflow_id),
            "step_name": check_text("step_name", step_name, limit=MAX_NAME),
            "status": int(status),
            "result": result,
            "error": error,
            "attempt": check_count("attempt", attempt, at_least=1),
            "duration": optional_duration("duration", duration),
            "instance_id": self.instance_id,
            **fence(lease),
        }

    def _save(
        self, statement: Any, params: dict[str, Any], step_name: str, lease: Lease | None, connection: Any
    ) -> WorkflowStatus:
        row = self._sql.fetch_one(statement, params, connection=connection)
        if row is None:
            raise self._refuse(
                params["workflow_id"], lease, connection, taken=f"another result of step {step_name!r} in workflow"
            )
        return WorkflowStatus(row["status"])


def _declared(step_name: str, step_type: StepType, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "step_type": int(check_member("step_type", step_type, StepType)),
        "metadata": encode_metadata(metadata, f"metadata of step {step_name!r}"),
    }
