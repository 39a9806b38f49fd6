"""Elements of map and parallel steps, decisions of branches, and waits of inline runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from promin_postgres._arguments import MAX_NAME, check_text
from promin_postgres._time import Seconds, check_moment
from promin_postgres.codec import Encoded
from promin_postgres.lookups import StepStatus, StepType, WorkflowStatus
from promin_postgres.workflow.storage import _statements as sql
from promin_postgres.workflow.storage._async_base import fence
from promin_postgres.workflow.storage._async_drives import AsyncDrives
from promin_postgres.workflow.storage._driving import TaskOutcome, TaskRecord, WaitRecord
from promin_postgres.workflow.storage._records import Lease
from promin_postgres.workflow.storage._values import optional_duration


class AsyncElements(AsyncDrives):
    """The part of the storage that is about what a step consists of."""

    async def add_tasks(
        self, workflow_id: str, step_name: str, inputs: Sequence[Encoded], *, first: int, last: bool, lease: Lease
    ) -> WorkflowStatus:
        """Record elements of a map step, numbered from `first`; with the `last` ones the list is complete.

        Source: sql/workflow/add_tasks.sql.
        """
        params = {"step_name": step_name, "inputs": [one.text for one in inputs], "first": first, "last": last}
        taken = f"element of step {step_name!r} in workflow"
        return WorkflowStatus(await self._write(sql.ADD_TASKS, workflow_id, params, lease, taken))

    async def load_tasks(
        self,
        workflow_id: str,
        step_name: str,
        *,
        after: int,
        limit: int,
        all: bool = False,  # noqa: A002
    ) -> list[TaskRecord]:
        """Elements after number `after` that are not done, or all; element -1 says that the list is complete.

        Source: sql/workflow/load_tasks.sql.
        """
        params = {"workflow_id": workflow_id, "step_name": step_name, "after": after, "limit": limit, "all": all}
        rows = await self._sql.fetch_tuples(sql.LOAD_TASKS, params)
        return [
            TaskRecord(index, StepStatus(status), attempt, Encoded(given), Encoded(result))
            for index, status, attempt, given, result in rows
        ]

    async def save_tasks(
        self, workflow_id: str, step_name: str, outcomes: Sequence[TaskOutcome], *, lease: Lease
    ) -> WorkflowStatus:
        """Checkpoint many elements at once. Returns as `save_step_result`. Source: sql/workflow/save_tasks.sql."""
        params = {
            "step_name": step_name,
            "indexes": [one.task_index for one in outcomes],
            "statuses": [int(one.status) for one in outcomes],
            "results": [one.result for one in outcomes],
            "errors": [one.error for one in outcomes],
            "attempts": [one.attempt for one in outcomes],
            "durations": [timedelta(seconds=one.duration) for one in outcomes],
            "instance_id": self.instance_id,
        }
        taken = f"element of step {step_name!r} in workflow"
        return WorkflowStatus(await self._write(sql.SAVE_TASKS, workflow_id, params, lease, taken))

    async def list_results(self, workflow_id: str, step_name: str) -> Encoded:
        """The results of all elements as one list. Source: sql/workflow/list_results.sql."""
        rows = await self._sql.fetch_tuples(sql.LIST_RESULTS, {"workflow_id": workflow_id, "step_name": step_name})
        return Encoded(rows[0][0])

    async def decide(self, workflow_id: str, step_name: str, decision: Encoded, *, lease: Lease) -> Encoded:
        """Record a decision, unless one was recorded in this run: that one is given back, and holds.

        Source: sql/workflow/decide.sql.
        """
        params = {"step_name": step_name, "decision": decision.text}
        return Encoded(await self._write(sql.DECIDE, workflow_id, params, lease, "decision in workflow"))

    async def begin_wait(
        self,
        workflow_id: str,
        step_name: str,
        *,
        until: datetime | Seconds | None = None,
        signal: str | None = None,
        timeout: Seconds | None = None,
        lease: Lease,
    ) -> WaitRecord:
        """Record that a step of an inline run waits, and for how long still; the run itself is not suspended yet.

        Source: sql/workflow/begin_wait.sql. A signal that comes at the same time is seen by one side.
        """
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "step_name": check_text("step_name", step_name, limit=MAX_NAME),
            "step_type": int(StepType.SLEEP if signal is None else StepType.SIGNAL),
            "until": check_moment("until", until) if isinstance(until, datetime) else None,
            "pause": None if isinstance(until, datetime) else optional_duration("until", until),
            "signal": signal,
            "timeout": optional_duration("timeout", timeout),
        } | fence(lease)
        row = await self._sql.fetch_one(sql.BEGIN_WAIT, params)
        if row is None:
            raise await self._refuse(workflow_id, lease, None, taken="wait of workflow")
        left = row["due_in"]
        return WaitRecord(row["came"], row["due"], None if left is None else left.total_seconds())

    async def find_signalled(self, workflow_id: str, step_names: Sequence[str]) -> set[str]:
        """Of steps that wait for a signal, those for which one is there. Source: sql/workflow/find_signalled.sql."""
        params = {"workflow_id": workflow_id, "step_names": list(step_names)}
        return {name for (name,) in await self._sql.fetch_tuples(sql.FIND_SIGNALLED, params)}
