# Generated from _async_loop.py by tools/twins.py. Do not edit: edit that and generate again.
"""Loop: looks for what is due, and fires it."""

from __future__ import annotations

import logging
from datetime import datetime

import psycopg

from promin_postgres._retry import RECONNECT, jittered
from promin_postgres._wait import Signal
from promin_postgres.errors import ConfigurationError
from promin_postgres.scheduler._sync_core import SchedulerCore
from promin_postgres.scheduler._records import SchedulerHealth

_LOCKED_ELSEWHERE = 0.05
"""Seconds after which to look again for what is due, and locked by somebody else at the moment."""

logger = logging.getLogger(__name__)


class Loop:
    """The loop of one scheduler object, and how it is doing."""

    def __init__(self, core: SchedulerCore) -> None:
        self._core = core
        self._wake = Signal()
        self._stopping = False
        self._running = False
        self._leads = False
        self._leader: str | None = None
        self._polled_at: datetime | None = None
        self._fired = 0
        self._failures = 0
        self._error: str | None = None

    def begin(self) -> None:
        """From now on `stop` ends the loop, which may not have begun yet."""
        if self._running:
            raise ConfigurationError("this scheduler runs already")
        self._running, self._stopping = True, False

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    def wake(self) -> None:
        """Look now, and not when it was meant to."""
        self._wake.set()

    @property
    def health(self) -> SchedulerHealth:
        return SchedulerHealth(
            instance_id=self._core.settings.instance_id,
            running=self._running,
            is_leader=self._leads,
            leader=self._leader,
            polled_at=self._polled_at,
            fired=self._fired,
            failures=self._failures,
            error=self._error,
        )

    def run(self) -> None:
        """Look and fire until `stop`; whatever the server does, try again."""
        try:
            while not self._stopping:
                self._wake.clear()
                pause = self._turn()
                if not self._stopping and pause > 0:
                    self._wake.wait(pause)
        finally:
            self._running = self._leads = False
            try:
                self._core.release()
            except psycopg.Error as error:
                logger.warning("the lease was not released, and runs out by itself: %s", error)

    def _turn(self) -> float:
        """Look once, fire what is due; seconds until the next look."""
        try:
            pause = self._look()
        except Exception as error:  # noqa: BLE001 - the clock of a caller may fail too; whatever it is, go on
            self._leads = False
            self._failures += 1
            self._error = f"{type(error).__name__}: {error}"
            logger.warning("the scheduler failed, trying again: %s", error)
            return RECONNECT.pause(self._failures, draw=1.0)
        self._failures, self._error = 0, None
        return pause

    def _look(self) -> float:
        seen = self._core.poll()
        self._leads, self._leader, self._polled_at = seen["leads"], seen["leader"], seen["present"]
        poll_interval = self._core.settings.poll_interval
        if self._core.bindings.is_due(poll_interval):
            self._core.sweep()
        if not self._leads:
            apart = 2 * poll_interval - jittered(poll_interval)  # no sooner than the poll interval, and not together
            return apart if seen["lease_left"] is None else float(min(apart, seen["lease_left"]))
        if not seen["due"]:
            return poll_interval if seen["wait"] is None else float(seen["wait"])
        fired, found = self._core.fire_due()
        self._fired += fired
        return 0.0 if found else _LOCKED_ELSEWHERE
