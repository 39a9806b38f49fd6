"""What the parts of the storage share: names, a database, and why a write was refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from promin_postgres.database import AsyncExecutor
from promin_postgres.errors import AlreadyExists, InvalidArgument, LeaseLost, NotFound, WorkflowCancelled, shown
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow.storage._records import Lease
from promin_postgres.workflow.storage._statements import STANDING


class AsyncStorageBase:
    """The state of AsyncPostgresWorkflowStorage."""

    _sql: AsyncExecutor
    instance_id: str

    @asynccontextmanager
    async def _transaction(self, connection: Any) -> AsyncIterator[Any]:
        """The caller's connection, or one of our own with a transaction open, for what takes several statements."""
        if connection is not None:
            yield connection
        else:
            async with self._sql.db.transaction() as own:
                yield own

    def _bells(self, connection: Any) -> dict[str, Any]:
        """What statements ring with (sql/bell/parts/rings.sql); a caller's transaction may be open for long."""
        names = self._sql.names
        return {"bells": f"{names.schema}.{names.table_prefix}", "ring": connection is not None}

    async def _refuse(self, workflow_id: str, lease: Lease | None, connection: Any, *, taken: str) -> Exception:
        """The error for a write that found nothing to do; `taken` names what stands in its way if nothing else does."""
        params = {"workflow_id": workflow_id} | fence(lease)
        row = await self._sql.fetch_one(STANDING, params, connection=connection)
        if row is None:
            return NotFound("workflow", workflow_id)
        if not row["may_write"]:
            return LeaseLost(f"workflow {shown(workflow_id)}")
        status = WorkflowStatus(row["status"])
        if status is WorkflowStatus.CANCELLED:
            return WorkflowCancelled(workflow_id=workflow_id)
        if status.is_final:
            return InvalidArgument("workflow_id", workflow_id, f"the run has ended: {status.name.lower()}")
        return AlreadyExists(taken, workflow_id)


def fence(lease: Lease | None) -> dict[str, Any]:
    """A lease as statements ask for it (sql/workflow/parts/fenced.sql)."""
    task = None if lease is None else lease.task
    return {
        "token": None if lease is None else lease.token,
        "task": None if task is None else task.id,
        "claimed_by": None if task is None else task.claimed_by,
        "task_lease": None if task is None else task.number,
    }
