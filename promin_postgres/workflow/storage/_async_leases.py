"""Leases: who may drive a workflow."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

from promin_postgres._arguments import check_text
from promin_postgres.database import AsyncDatabase
from promin_postgres.errors import InvalidArgument, LeaseLost, NotFound, shown
from promin_postgres.locks import AsyncSessionLocks, LeaseKeeper, advisory_key
from promin_postgres.workflow.storage import _statements as sql
from promin_postgres.workflow.storage._async_base import AsyncStorageBase
from promin_postgres.workflow.storage._records import Lease
from promin_postgres.workflow.storage._renewal import LeaseRenewal
from promin_postgres.workflow.storage._values import check_parent, new_run


class AsyncLeases(AsyncStorageBase):
    """The part of the storage that is about leases.

    With advisory locks a lease ends with the process that holds it, or with its connection. With rows it ends when it
    has not been renewed for `lock_duration`; a thread renews all of them. Either way the token decides: once
    somebody else has taken the lease, no write under the old one succeeds.
    """

    db: AsyncDatabase
    _locks: AsyncSessionLocks | None
    _lock_duration: timedelta
    _keeper: LeaseKeeper | None

    async def try_lock(self, workflow_id: str) -> Lease | None:
        """Take the lease on a workflow; None when somebody holds it, be it in this process.

        Raises:
            NotFound

        Source: sql/workflow/take_lease.sql, sql/locks/try_lock.sql. At most one holder.
        """
        key = self._key(check_text("workflow_id", workflow_id))
        token = str(uuid4())
        if self._locks is None:
            return await self._take(workflow_id, key, token)
        if not await self._locks.try_lock(key, owner=token):
            return None
        lease = None
        try:
            lease = await self._take(workflow_id, key, token)
        finally:
            if lease is None:
                await self._locks.unlock(key, owner=token)
        return lease

    async def _take(self, workflow_id: str, key: int, token: str) -> Lease | None:
        asked = time.monotonic()
        params = {
            "workflow_id": workflow_id,
            "token": token,
            "holder": self.instance_id,
            "key": key,
            "duration": None if self._locks is not None else self._lock_duration,
        }
        row = await self._sql.fetch_one(sql.TAKE_LEASE, params)
        if row is None or not row["found"]:
            raise NotFound("workflow", workflow_id)
        if not row["taken"]:
            return None
        if self._keeper is not None:
            self._keeper.add(token, workflow_id, renewed=asked)
        return Lease(workflow_id=workflow_id, token=token, expires_at=row["expires_at"])

    async def create_locked(self, workflow_id: str, **options: Any) -> Lease | None:
        """Record a workflow, running, and take the lease on it; None when the id is taken.

        Takes and raises what `create_workflow` does. Source: sql/workflow/create_workflow.sql. One commit.
        """
        run = new_run(workflow_id, **options)
        key = self._key(workflow_id)
        token = str(uuid4())
        if self._locks is not None and not await self._locks.try_lock(key, owner=token):
            return None
        asked, lease = time.monotonic(), None
        holding = {
            "token": token,
            "holder": self.instance_id,
            "key": key,
            "duration": None if self._locks is not None else self._lock_duration,
        }
        try:
            row = await self._sql.fetch_one(sql.CREATE_WORKFLOW, {**run, **holding})
            if row is not None and row["created"]:
                lease = Lease(workflow_id=workflow_id, token=token, expires_at=row["expires_at"])
                if self._keeper is not None:
                    self._keeper.add(token, workflow_id, renewed=asked)
        finally:
            if lease is None and self._locks is not None:
                await self._locks.unlock(key, owner=token)
        if lease is None:
            check_parent(row, run["parent_workflow_id"])
        return lease

    async def release_lock(self, lease: Lease) -> None:
        """Give a lease back; does nothing when it is lost already. Source: sql/workflow/release_lease.sql."""
        token = _token(lease)
        if self._keeper is not None:
            self._keeper.discard(token)
        try:
            await self._sql.execute(sql.RELEASE_LEASE, {"tokens": [token]})
        finally:
            if self._locks is not None:
                await self._locks.unlock(self._key(lease.workflow_id), owner=token)

    async def heartbeat(self, lease: Lease) -> Lease:
        """Renew a lease now. Those of this storage are renewed by a thread anyway; this one asks the server.

        Returns:
            The lease with its new end.

        Raises:
            LeaseLost

        Source: sql/workflow/extend_lease.sql.
        """
        asked, token = time.monotonic(), _token(lease)
        params = {
            "tokens": [token],
            "duration": None if self._locks is not None else self._lock_duration,
        }
        row = await self._sql.fetch_one(sql.EXTEND_LEASE, params)
        if row is None or not await self._has_session_lock(lease):
            raise LeaseLost(f"workflow {shown(lease.workflow_id)}")
        if self._keeper is not None:
            self._keeper.add(token, lease.workflow_id, renewed=asked)
        return Lease(workflow_id=lease.workflow_id, token=token, expires_at=row["expires_at"])

    async def _has_session_lock(self, lease: Lease) -> bool:
        return self._locks is None or await self._locks.check(self._key(lease.workflow_id), owner=_token(lease))

    def holds(self, lease: Lease) -> bool:
        """Whether the lease is held, as far as this process knows without asking the server."""
        if lease.task is not None:
            return lease.task.is_alive is None or lease.task.is_alive()
        if self._locks is not None:
            return self._locks.holds(self._key(lease.workflow_id), owner=_token(lease))
        return self._keeper is not None and self._keeper.holds(_token(lease))

    def _make_keeper(self) -> LeaseKeeper:
        names, seconds = self._sql.names, self._lock_duration.total_seconds()
        renewal = LeaseRenewal(self.db.conninfo, names, self._lock_duration)
        return LeaseKeeper(
            renewal,
            interval=seconds / 3,
            duration=seconds,
            name=f"promin-leases-{self.instance_id}",
            on_close=renewal.close,
        )

    def _key(self, workflow_id: str) -> int:
        names = self._sql.names
        return advisory_key("workflow", names.schema, names.table_prefix, workflow_id)


def _token(lease: Lease) -> str:
    if lease.token is None:
        raise InvalidArgument("lease", lease, "is that of a task: its worker renews it")
    return lease.token
