# Generated from _async_watch.py by tools/twins.py. Do not edit: edit that and generate again.
"""Watch: who waits for runs to end."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from promin_postgres._retry import jittered
from promin_postgres._wait import Signal, sleep
from promin_postgres.bell import Ear, open_ear, workflows_channel
from promin_postgres.database import Executor
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow.storage._statements import FIND_ENDED

_POLL = 1.0
"""Seconds between two looks when nothing rings."""


class End(NamedTuple):
    """How a run ended: `status` is None when there is no such run, `result` as JSON."""

    status: WorkflowStatus | None
    result: str | None


class _Waiter:
    def __init__(self, workflow_id: str) -> None:
        self.workflow_id = workflow_id
        self.end: End | None = None
        self.signal = Signal()
        """Set when the run has ended, or when somebody else has to look."""


class Watch:
    """Those who wait for runs to end. However many they are, one of them looks for all."""

    def __init__(self, executor: Executor) -> None:
        self._sql = executor
        self._waiters: set[_Waiter] = set()
        self._is_led = False
        self._ear: Ear | None = None
        self._lock = threading.Lock()  # never held across a wait, so that it serves tasks as well

    def wait(self, workflow_id: str, timeout: float | None) -> End | None:
        """Wait for the run to end; None after `timeout` seconds."""
        waiter = _Waiter(workflow_id)
        until = float("inf") if timeout is None else time.monotonic() + timeout
        with self._lock:
            self._waiters.add(waiter)
        try:
            self._look([waiter])  # what has ended already rings no more
            while waiter.end is None and time.monotonic() < until:
                if self._takes_lead():
                    try:
                        self._lead(waiter, until)
                    finally:
                        self._is_led = False
                elif waiter.signal.wait(min(until - time.monotonic(), threading.TIMEOUT_MAX)):
                    waiter.signal.clear()
        finally:
            self._leave(waiter)
        return waiter.end

    def close(self) -> None:
        """Stop listening."""
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()

    def _takes_lead(self) -> bool:
        with self._lock:
            if self._is_led:
                return False
            self._is_led = True
            return True

    def _leave(self, waiter: _Waiter) -> None:
        """One less; another one looks if it was he who did, or was to."""
        with self._lock:
            self._waiters.discard(waiter)
            if not self._is_led:
                heir = next((one for one in self._waiters if one.end is None), None)
                if heir is not None:
                    heir.signal.set()

    def _lead(self, leader: _Waiter, until: float) -> None:
        """Look for all, until the leader's own run has ended."""
        if self._ear is None:
            names = self._sql.names
            channel = workflows_channel(names.schema, names.table_prefix)
            self._ear = open_ear(self._sql.db, channel)
        ear = self._ear
        while True:
            ear.clear()
            with self._lock:
                waiting = [one for one in self._waiters if one.end is None]
            began = time.monotonic()
            self._look(waiting)
            now = time.monotonic()
            if leader.end is not None or now >= until:
                return
            if len(waiting) > 1:
                sleep(now - began)  # runs that end one by one are not to take the server's time
            ear.wait(min(jittered(_POLL), max(until - time.monotonic(), 0.0)))

    def _look(self, waiting: Sequence[_Waiter]) -> None:
        """Tell those of them whose run has ended."""
        ids = list({one.workflow_id for one in waiting})
        rows = self._sql.fetch_tuples(FIND_ENDED, {"workflow_ids": ids})
        ends = {
            workflow_id: End(None if status is None else WorkflowStatus(status), result)
            for workflow_id, status, result in rows
        }
        for one in waiting:
            one.end = ends.get(one.workflow_id)
            if one.end is not None:
                one.signal.set()
