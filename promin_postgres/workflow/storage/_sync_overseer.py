# Generated from _async_overseer.py by tools/twins.py. Do not edit: edit that and generate again.
"""Overseer: tells those who drive runs that these were cancelled."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import psycopg

from promin_postgres._wait import Background, Signal
from promin_postgres.database import Executor
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow.storage._statements import FIND_ENDED

_LOG = logging.getLogger(__name__)
_INTERVAL = 1.0
"""Seconds between two looks."""


class Overseer:
    """One look a second at all runs that are driven under one storage, for as long as there are any."""

    def __init__(self, executor: Executor) -> None:
        self._sql = executor
        self._driven: dict[object, tuple[str, Callable[[], None]]] = {}
        self._lock = threading.Lock()  # never held across a wait, so that it serves tasks as well
        self._round: Background | None = None
        self._stop = Signal()

    def add(self, key: object, workflow_id: str, on_cancel: Callable[[], None]) -> None:
        """Have `on_cancel` called when the run is cancelled."""
        if self._sql.db.is_connection:
            return  # it is the caller's, and may be in a transaction
        with self._lock:
            self._driven[key] = (workflow_id, on_cancel)
            if self._round is None or not self._round.running:
                self._stop = Signal()
                self._round = Background(self._look, "promin-overseer")

    def discard(self, key: object) -> None:
        with self._lock:
            self._driven.pop(key, None)

    def close(self) -> None:
        self._stop.set()
        if self._round is not None:
            self._round.join(5.0)

    def _look(self) -> None:
        while not self._stop.wait(_INTERVAL):
            with self._lock:
                driven = list(self._driven.values())
                if not driven:
                    self._round = None
                    return
            try:
                rows = self._sql.fetch_tuples(FIND_ENDED, {"workflow_ids": [one[0] for one in driven]})
            except psycopg.Error as error:
                _LOG.warning("no news of %d runs that are driven here: %s", len(driven), error)
                continue
            ended = {workflow_id for workflow_id, status, _ in rows if status in (None, WorkflowStatus.CANCELLED)}
            for workflow_id, on_cancel in driven:
                if workflow_id in ended:
                    on_cancel()
