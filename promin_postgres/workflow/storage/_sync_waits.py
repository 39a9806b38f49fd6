# Generated from _async_waits.py by tools/twins.py. Do not edit: edit that and generate again.
"""Waits: runs suspended until a moment or a signal, and the signals."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from promin_postgres._arguments import MAX_NAME, check_text, encode_optional
from promin_postgres._time import Seconds, check_moment
from promin_postgres.codec import Encoded
from promin_postgres.errors import InvalidArgument
from promin_postgres.lookups import StepType
from promin_postgres.workflow.storage import _statements as sql
from promin_postgres.workflow.storage._sync_base import StorageBase, fence
from promin_postgres.workflow.storage._records import Lease, WorkflowSignal
from promin_postgres.workflow.storage._values import optional_duration, workflow_signal


class Waits(StorageBase):
    """The part of the storage that is about waiting."""

    def suspend_workflow(
        self,
        workflow_id: str,
        step_name: str,
        *,
        until: datetime | Seconds | None = None,
        signal: str | None = None,
        timeout: Seconds | None = None,
        lease: Lease | None = None,
        connection: Any = None,
    ) -> bool:
        """Let the run wait at a step, without a thread and without a connection.

        Args:
            until: A moment, or a pause in seconds or as a timedelta; the first one given for the step stands.
            signal: Wait for a signal of this name instead.
            timeout: For how long to wait for the signal.

        Returns:
            False when the signal is there already, or the step completed: the run is not suspended then.

        Raises:
            NotFound, LeaseLost, WorkflowCancelled
            InvalidArgument: Not exactly one of `until` and `signal`; the run has ended.

        Source: sql/workflow/suspend_workflow.sql. A signal that comes at the same time is seen by one side.
        """
        if (until is None) == (signal is None):
            raise InvalidArgument("until", until, f"give either until or signal (signal={signal!r})")
        if timeout is not None and signal is None:
            raise InvalidArgument("timeout", timeout, "only a wait for a signal has one")
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "step_name": check_text("step_name", step_name, limit=MAX_NAME),
            "step_type": int(StepType.SLEEP if signal is None else StepType.SIGNAL),
            "until": check_moment("until", until) if isinstance(until, datetime) else None,
            "pause": None if isinstance(until, datetime) else optional_duration("until", until),
            "signal": None if signal is None else check_text("signal", signal, limit=MAX_NAME),
            "timeout": optional_duration("timeout", timeout),
            **fence(lease),
        }
        row = self._sql.fetch_one(sql.SUSPEND_WORKFLOW, params, connection=connection)
        if row is None:
            raise self._refuse(workflow_id, lease, connection, taken="wait of workflow")
        return bool(row["suspended"])

    def deliver_signal(
        self, workflow_id: str, signal_name: str, payload: Any = None, *, connection: Any = None
    ) -> bool:
        """Deliver a signal to the current run, before, during or after its wait.

        Returns:
            Whether a step was waiting for it.

        Raises:
            NotFound, WorkflowCancelled
            CodecError: The payload does not encode.
            InvalidArgument: The run has ended.

        Source: sql/workflow/deliver_signal.sql, wake_for_signal.sql. No delivery that returned is lost, and their order
        is kept.
        """
        which = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "signal_name": check_text("signal_name", signal_name, limit=MAX_NAME),
        }
        encoded = encode_optional(payload, f"signal {signal_name!r}")
        with self._transaction(connection) as inside:
            row = self._sql.fetch_one(sql.DELIVER_SIGNAL, which | {"payload": encoded}, connection=inside)
            if row is not None and row["awaited"]:
                self._sql.fetch_one(sql.WAKE_FOR_SIGNAL, which | self._bells(connection), connection=inside)
        if row is None:
            raise self._refuse(workflow_id, None, connection, taken="signal to workflow")
        return bool(row["awaited"])

    def take_signal(
        self, workflow_id: str, step_name: str, signal: str, *, lease: Lease | None = None, connection: Any = None
    ) -> Encoded | None:
        """The payload that a step was given, or the next one that no step was given yet; None when there is none.

        Raises:
            NotFound, LeaseLost

        Source: sql/workflow/take_signal.sql. Each payload goes to one step, and that step gets the same one again.
        """
        params = {
            "workflow_id": check_text("workflow_id", workflow_id),
            "step_name": check_text("step_name", step_name, limit=MAX_NAME),
            "signal": check_text("signal", signal, limit=MAX_NAME),
            **fence(lease),
        }
        row = self._sql.fetch_one(sql.TAKE_SIGNAL, params, connection=connection)
        if row is None:
            raise self._refuse(workflow_id, lease, connection, taken="signal to workflow")
        return None if row["index"] is None else Encoded(row["payload"])

    def load_signals(self, workflow_id: str) -> list[WorkflowSignal]:
        """The signals delivered to the current run, oldest first. Source: sql/workflow/load_signals.sql."""
        params = {"workflow_id": check_text("workflow_id", workflow_id)}
        return [workflow_signal(row) for row in self._sql.fetch_all(sql.LOAD_SIGNALS, params)]
