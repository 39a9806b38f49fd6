# Generated from _async_bindings.py by tools/twins.py. Do not edit: edit that and generate again.
"""Bindings: the workflows that ticks start runs of, in transactions that are right whoever else does it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import attrs
import psycopg

from promin_postgres.database import Executor
from promin_postgres.errors import InvalidArgument, NotFound
from promin_postgres.scheduler import _statements as sql
from promin_postgres.scheduler._records import ScheduleTick
from promin_postgres.scheduler._rows import in_utc, input_of, run_of, tick_of

_AT_ONCE = 100
"""Runs started, and ticks looked back upon, in one transaction."""

logger = logging.getLogger(__name__)


class Startable(Protocol):
    """A workflow, of either kind of writing."""

    @property
    def definition(self) -> Any: ...

    @property
    def storage(self) -> Any: ...

    def start(self, *, workflow_id: str, input: Any = None, connection: Any = None) -> Any: ...


@attrs.frozen(kw_only=True)
class Binding:
    """What the ticks of one schedule start."""

    workflow: Startable
    to_input: Callable[[ScheduleTick], Any] = input_of
    to_workflow_id: Callable[[ScheduleTick], str] = run_of

    def start(self, tick: ScheduleTick, connection: Any) -> str:
        """Start the run of a tick in a transaction; its id."""
        workflow_id = self.to_workflow_id(tick)
        self.workflow.start(workflow_id=workflow_id, input=self.to_input(tick), connection=connection)
        return workflow_id

    def cancel(self, workflow_id: str, connection: Any) -> None:
        with suppress(InvalidArgument, NotFound):  # it has ended at this very moment, or was purged
            self.workflow.storage.cancel_workflow(workflow_id, cascade=True, connection=connection)


class Bindings:
    """The bindings that one scheduler object knows, by schedule."""

    def __init__(self, executor: Executor, namespace: dict[str, str]) -> None:
        self._sql = executor
        self._namespace = namespace
        self._of: dict[str, Binding] = {}
        self._swept_at = 0.0

    def add(self, schedule_id: str, binding: Binding) -> None:
        self._of[schedule_id] = binding

    def is_due(self, interval: float) -> bool:
        """Whether there is anything to sweep, and the last time is that long ago."""
        return bool(self._of) and time.monotonic() - self._swept_at >= interval

    def settle_ended(self, connection: Any, schedule_ids: Sequence[str] | None = None) -> None:
        """Settle the ticks whose runs have ended, of all schedules known here or of some.

        A run that has not completed may pause its schedule.
        """
        params = {"schedule_ids": list(self._of if schedule_ids is None else schedule_ids)}
        for row in self._sql.fetch_all(sql.SETTLE_ENDED, self._namespace | params, connection=connection):
            if row["reason"] is not None:
                pause = {"schedule_id": row["schedule_id"], "reason": row["reason"], "failed": True}
                self._sql.execute(sql.PAUSE, self._namespace | pause, connection=connection)

    def start(self, schedule: Mapping[str, Any], tick: dict[str, Any], connection: Any) -> None:
        """Start the run of a tick that was just made, if the workflow is known here, and note it in its row."""
        binding = self._of.get(schedule["schedule_id"])
        if binding is not None and tick["status"] == "ready":
            tick["workflow_id"] = binding.start(tick_of(schedule, tick), connection)
            self._mark(tick, connection, workflow_id=tick["workflow_id"])

    def cancel(self, schedule_id: str, workflow_id: str | None, connection: Any) -> None:
        """Cancel the run of a tick that was cancelled, if it has one and the workflow is known here."""
        binding = self._of.get(schedule_id)
        if binding is not None and workflow_id:
            binding.cancel(workflow_id, connection)

    def sweep(self, connection: Any) -> None:
        """Start and cancel what schedulers that do not know the workflows could not."""
        self._swept_at = time.monotonic()
        ours = self._namespace | {"schedule_ids": list(self._of)}
        unstarted = self._sql.fetch_all(sql.FIND_UNSTARTED, ours | {"limit": _AT_ONCE}, connection=connection)
        for row in unstarted:
            self._start_later(in_utc(row), connection)
        for row in self._sql.fetch_all(sql.FIND_CANCELLED, ours | {"last": _AT_ONCE}, connection=connection):
            self.cancel(row["schedule_id"], row["workflow_id"], connection)

    def _start_later(self, row: Mapping[str, Any], connection: Any) -> None:
        binding = self._of[row["schedule_id"]]
        try:
            workflow_id = binding.start(tick_of(row, row), connection)
        except psycopg.Error:
            raise
        except Exception as error:  # a function of the caller's: the others go on
            logger.exception("tick %d of schedule %r cannot start a run", row["number"], row["schedule_id"])
            reason = f"{type(error).__name__}: {error}".replace("\x00", "\\x00")[:10_000]
            self._mark(row, connection, reason=reason)
        else:
            self._mark(row, connection, workflow_id=workflow_id)

    def _mark(
        self, tick: Mapping[str, Any], connection: Any, *, workflow_id: str | None = None, reason: str | None = None
    ) -> None:
        params = {"schedule": tick["schedule"], "number": tick["number"], "workflow_id": workflow_id, "reason": reason}
        self._sql.execute(sql.MARK_STARTED, params, connection=connection)
