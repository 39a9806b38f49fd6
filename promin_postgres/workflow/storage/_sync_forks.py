# Generated from _async_forks.py by tools/twins.py. Do not edit: edit that and generate again.
"""Runs that go on elsewhere: forked from another one, or taken over from a driver that died."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from promin_postgres._arguments import MAX_NAME, check_count, check_text
from promin_postgres._time import Seconds
from promin_postgres.errors import AlreadyExists, InvalidArgument, NotFound
from promin_postgres.workflow.storage import _statements as sql
from promin_postgres.workflow.storage._sync_base import fence
from promin_postgres.workflow.storage._sync_leases import Leases
from promin_postgres.workflow.storage._values import deadline_of

_PAGE = 1_000
"""Runs that wait inline of which one look asks whether they are due."""


class Forks(Leases):
    """The part of the storage that lets runs go on elsewhere."""

    _orphans_after = 0

    def fork_workflow(
        self,
        workflow_id: str,
        *,
        from_step: str,
        new_workflow_id: str,
        on_workers: bool = True,
        ends_in_task: bool = False,
        deadline: Seconds | datetime | None = None,
        connection: Any = None,
    ) -> None:
        """Begin another workflow, with the same input, where this one stood before a step.

        What is done, and does not depend on that step, is copied, not executed again. Attempts, signals and the parent
        are not copied.

        Args:
            from_step: The first step that is executed again.
            on_workers: Whether workers drive it; else it is pending.
            ends_in_task, deadline: See `start_run`.
            connection: Write in this connection's transaction.

        Raises:
            NotFound: There is no such workflow.
            InvalidArgument: Its current run has no such step.
            AlreadyExists: The new id is taken.

        Source: sql/workflow/fork_workflow.sql.
        """
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "from_step": check_text("from_step", from_step, limit=MAX_NAME),
            "new_workflow_id": check_text("new_workflow_id", new_workflow_id),
            "on_workers": bool(on_workers),
            "ends_in_task": bool(ends_in_task),
            **deadline_of(deadline),
            **self._bells(connection),
        }
        row = self._sql.fetch_one(sql.FORK_WORKFLOW, params, connection=connection)
        if row is None or not row["found"]:
            raise NotFound("workflow", workflow_id)
        if not row["step_found"]:
            raise InvalidArgument("from_step", from_step, "is no step of the run")
        if not row["created"]:
            raise AlreadyExists("workflow", new_workflow_id)

    def adopt_runs(self, known: Collection[tuple[str, str | None]], *, limit: int = 100) -> int:
        """Let workers drive inline runs that nobody drives: their driver died, or what they wait for is there.

        Args:
            known: The names and versions of workflows of which there are workers.
            limit: At most so many.

        Returns:
            How many were taken over. Of runs that wait a page is looked at, another one at the next call.

        Source: sql/workflow/find_orphans.sql, adopt_run.sql. Under the lease of each run: one that somebody drives is
        left alone, and what is done is not executed again.
        """
        check_count("limit", limit, at_least=1)
        params = {
            "names": [name for name, _ in known],
            "versions": [version for _, version in known],
            "after": self._orphans_after,
            "page": _PAGE,
        }
        rows = self._sql.fetch_all(sql.FIND_ORPHANS, params)
        page = [row["id"] for row in rows if row["is_page"]]
        self._orphans_after = page[-1] if len(page) == _PAGE else 0
        adopted = 0
        for row in rows:
            if row["is_due"] and adopted < limit and self._adopt(row["workflow_id"]):
                adopted += 1
        return adopted

    def _adopt(self, workflow_id: str) -> bool:
        try:
            lease = self.try_lock(workflow_id)
        except NotFound:  # purged since
            return False
        if lease is None:
            return False
        try:
            params = {"workflow_id": workflow_id, **fence(lease), **self._bells(None)}
            return self._sql.fetch_one(sql.ADOPT_RUN, params) is not None
        finally:
            self.release_lock(lease)
