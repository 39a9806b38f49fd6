# Generated from _async_ticks.py by tools/twins.py. Do not edit: edit that and generate again.
"""Ticks: ticks as a queue; TickEnvelope: one of them, under a lease."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from promin_postgres._time import Seconds, check_seconds
from promin_postgres.errors import LeaseLost
from promin_postgres.scheduler import _statements as sql
from promin_postgres.scheduler._sync_core import SchedulerCore
from promin_postgres.scheduler._records import ScheduleTick
from promin_postgres.scheduler._rows import tick_of


class TickEnvelope:
    """A tick that is leased to us: settle it before its visibility timeout has passed.

    Until it is settled the overlap policy of its schedule takes the work that it started for not over.
    """

    __slots__ = ("_ticks", "deliveries", "message_id", "number", "receipt", "schedule", "value")

    def __init__(self, ticks: Ticks, row: Mapping[str, Any]) -> None:
        self._ticks = ticks
        self.value: ScheduleTick = tick_of(row, row)
        self.message_id: int = row["id"]
        self.schedule: int = row["schedule"]
        self.number: int = row["number"]
        self.receipt: int = row["receipt"]
        self.deliveries: int = row["deliveries"]

    @property
    def created_at(self) -> datetime:
        return self.value.fired_at

    @property
    def headers(self) -> Mapping[str, Any] | None:
        """The metadata of the schedule."""
        return self.value.metadata

    def ack(self, *, connection: Any = None) -> None:
        """The work that the tick started is over.

        Args:
            connection: Settle in this connection's transaction.

        Raises:
            LeaseLost: The visibility timeout has passed, or the tick was cancelled, or its schedule removed.
        """
        if not self._ticks.settle(self, connection=connection):
            raise self._lost()

    def nack(self, delay: Seconds = 0, error: object = None) -> None:
        """The work failed: hand the tick out again after `delay`. Pauses a schedule that has `pause_on_failure`.

        Args:
            delay: Seconds or a timedelta.
            error: Kept with the tick, and as the reason of a pause: a text or an exception.

        Raises:
            LeaseLost
        """
        if not self._ticks.nack(self, delay=delay, error=error):
            raise self._lost()

    def extend(self, seconds: Seconds) -> None:
        """Hold the tick for that long from now on.

        Raises:
            LeaseLost: Among other reasons because the tick was cancelled.
        """
        if not self._ticks.extend(self, seconds):
            raise self._lost()

    def _lost(self) -> LeaseLost:
        return LeaseLost(f"tick {self.number} of schedule {self.value.schedule_id!r}")

    def __repr__(self) -> str:
        return f"<tick {self.number} of {self.value.schedule_id!r}, delivery {self.deliveries}>"


class Ticks:
    """The ticks of a namespace, or of one schedule, to be claimed and settled."""

    def __init__(self, core: SchedulerCore, schedule_id: str | None) -> None:
        self.core = core
        self._schedule_id = schedule_id
        self._promoted_at = 0.0

    def claim(self, visibility_timeout: float) -> TickEnvelope | None:
        """Lease the oldest tick that is ready."""
        core = self.core
        if time.monotonic() - self._promoted_at >= core.settings.poll_interval:
            # Settling lets the next of a queue go, but for one that is queued at that very moment.
            self._promoted_at = time.monotonic()
            self._promote(None)
        params = core.namespace | {
            "visibility_timeout": timedelta(seconds=visibility_timeout),
            "receipt": secrets.randbits(62),
        }
        if self._schedule_id is None:
            rows = core.fetch(sql.CLAIM, params)
        else:
            rows = core.fetch(sql.CLAIM_OF, params | {"schedule_id": self._schedule_id})
        return TickEnvelope(self, rows[0]) if rows else None

    def settle(self, envelope: TickEnvelope, *, connection: Any = None) -> bool:
        """Whether it was still ours."""
        row = self.core.sql.fetch_one(sql.SETTLE, _fence(envelope), connection=connection)
        if row is not None and row["followed"]:
            self._promote(envelope.schedule, connection=connection)
        return row is not None

    def nack(self, envelope: TickEnvelope, *, delay: Seconds, error: object) -> bool:
        """Whether it was still ours."""
        core = self.core
        text = None if error is None else _storable(error)
        params = {"delay": timedelta(seconds=check_seconds("delay", delay)), "error": text}
        row = core.sql.fetch_one(sql.NACK, _fence(envelope) | params)
        if row is not None and row["pause_on_failure"]:
            pause = {"schedule_id": envelope.value.schedule_id, "reason": text, "failed": True}
            core.sql.execute(sql.PAUSE, core.namespace | pause)
        return row is not None

    def extend(self, envelope: TickEnvelope, seconds: Seconds) -> bool:
        """Whether it is still ours."""
        params = {"seconds": timedelta(seconds=check_seconds("seconds", seconds, positive=True))}
        return self.core.sql.fetch_one(sql.EXTEND, _fence(envelope) | params) is not None

    def release(self, envelope: TickEnvelope) -> None:
        """Give back what nobody has worked on."""
        self.core.sql.fetch_one(sql.RELEASE, _fence(envelope))

    def _promote(self, schedule: int | None, *, connection: Any = None) -> None:
        core = self.core
        params = core.namespace | core.bell(connection) | {"schedule": schedule}
        core.sql.fetch_all(sql.PROMOTE, params, connection=connection)


def _fence(envelope: TickEnvelope) -> dict[str, int]:
    return {"schedule": envelope.schedule, "number": envelope.number, "receipt": envelope.receipt}


def _storable(error: object) -> str:
    text = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()[:10_000]
