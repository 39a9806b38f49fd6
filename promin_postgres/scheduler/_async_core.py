"""AsyncSchedulerCore: firing, in transactions that are right whoever runs them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg

from promin_postgres._statement import Statement
from promin_postgres.database import AsyncDatabase
from promin_postgres.scheduler import _statements as sql
from promin_postgres.scheduler._async_bindings import AsyncBindings
from promin_postgres.scheduler._plan import CANCELLED, Firing, plan
from promin_postgres.scheduler._rows import in_utc
from promin_postgres.scheduler._settings import SchedulerSettings, check_instant

BATCH = 250
"""Schedules fired in one transaction."""

logger = logging.getLogger(__name__)


class AsyncSchedulerCore:
    """One namespace on one database. Safe to share between threads and tasks."""

    def __init__(
        self,
        db: AsyncDatabase,
        settings: SchedulerSettings,
        *,
        schema: str | None,
        table_prefix: str | None,
        clock: Callable[[], datetime] | None,
    ) -> None:
        self.db = db
        self.settings = settings
        self.sql = db.executor(schema=schema, table_prefix=table_prefix)
        self.namespace = {"namespace": settings.namespace}
        self.channel, door = settings.bell_of(self.sql.names.schema, self.sql.names.table_prefix)
        self._door = door
        self._clock = clock
        self._token = uuid.uuid4()
        self.bindings = AsyncBindings(self.sql, self.namespace)

    def bell(self, connection: Any) -> dict[str, Any]:
        """The parameters with which a statement rings; in a caller's transaction it rings without trying the door."""
        return {"channel": self.channel, "door": self._door, "ring": connection is not None}

    def patience(self, connection: Any) -> dict[str, str | None]:
        """For how long the server lets a transaction of ours sit on locks; a caller's keeps its own setting."""
        return {"patience": None if connection is not None else f"{self.settings.lease // timedelta(milliseconds=1)}ms"}

    @property
    def clock(self) -> dict[str, datetime | None]:
        """The moment that statements take for now; None for the server's own."""
        return {"clock": None if self._clock is None else check_instant("clock", self._clock())}

    @asynccontextmanager
    async def joined(self, connection: Any) -> AsyncIterator[Any]:
        """The caller's transaction, or one of our own."""
        if connection is not None:
            yield connection
        else:
            async with self.db.transaction() as own:
                yield own

    async def fetch(
        self, statement: Statement, params: Mapping[str, Any], *, connection: Any = None
    ) -> list[dict[str, Any]]:
        """The rows of a statement, their moments in UTC."""
        return [in_utc(row) for row in await self.sql.fetch_all(statement, params, connection=connection)]

    async def poll(self) -> dict[str, Any]:
        """One look: who leads, and what is due when."""
        settings = self.settings
        (row,) = await self.fetch(
            sql.POLL,
            self.namespace
            | self.clock
            | {
                "token": self._token,
                "instance_id": settings.instance_id,
                "lease": settings.lease,
                "poll_interval": timedelta(seconds=settings.poll_interval),
            },
        )
        return row

    async def release(self) -> None:
        await self.sql.execute(sql.RELEASE_LEASE, self.namespace | {"token": self._token})

    async def fire_due(self) -> tuple[int, int]:
        """Fire what is due; how many ticks that made, and of how many schedules.

        A schedule that cannot be evaluated is set aside, alone.
        """
        try:
            return await self._fire(None)
        except Exception as error:
            if not _is_of_a_schedule(error):
                raise
            logger.warning("firing together failed, so one by one: %s", error)
        fired = found = 0
        for row in await self.fetch(sql.FIND_DUE, self.namespace | self.clock | {"limit": BATCH}):
            try:
                made, of = await self._fire([row["id"]])
                fired, found = fired + made, found + of
            except Exception as error:
                if not _is_of_a_schedule(error):
                    raise
                logger.exception("schedule number %d cannot be evaluated, and is set aside", row["id"])
                text = f"{type(error).__name__}: {error}".replace("\x00", "\\x00")[:10_000]
                await self.sql.execute(sql.QUARANTINE, {"id": row["id"], "error": text})
                found += 1
        return fired, found

    async def _fire(self, ids: Sequence[int] | None) -> tuple[int, int]:
        async with self.db.transaction() as connection:
            params = self.namespace | self.clock | self.patience(None) | {"ids": ids, "limit": BATCH}
            rows = await self.fetch(sql.LOCK_DUE, params, connection=connection)
            firings = [self._firing(row) for row in rows]
            made = await self.make(firings, connection, self.bell(None))
        return sum(tick["status"] != "skipped" for tick in made), len(rows)

    def _firing(self, row: Mapping[str, Any]) -> Firing:
        planned = plan(row, row["present"], self.settings.grace)
        return Firing(
            row=row, fires=planned.fires, policy=row["overlap_policy"], next=planned.next, missed=planned.missed
        )

    async def make(self, firings: Sequence[Firing], connection: Any, bell: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Make the ticks of schedules that this transaction has locked, start their runs, and move the schedules on."""
        if not firings:
            return []
        rows = {firing.row["id"]: firing.row for firing in firings}
        counted = [firing.row["id"] for firing in firings if firing.policy != "allow" and firing.fires]
        opened: dict[int, dict[str, Any]] = {}
        if counted:
            bound = [rows[one]["schedule_id"] for one in counted if rows[one]["workflow"] is not None]
            if bound:
                await self.bindings.settle_ended(connection, bound)
            found = await self.fetch(sql.COUNT_OPEN, {"ids": counted}, connection=connection)
            opened = {row["schedule"]: row for row in found}
        cancels = []
        for firing in firings:
            counts = opened.get(firing.row["id"], {"ready": 0, "queued": 0})
            if firing.decide(counts["ready"], counts["queued"]):
                cancels.append(firing.row["id"])
        if cancels:
            params = {"ids": cancels, "reason": CANCELLED}
            for row in await self.fetch(sql.CANCEL_OPEN, params, connection=connection):
                await self.bindings.cancel(rows[row["schedule"]]["schedule_id"], row["workflow_id"], connection)
        made = await self.fetch(
            sql.FIRE, self.namespace | self.clock | dict(bell) | _columns(firings), connection=connection
        )
        for tick in made:
            if rows[tick["schedule"]]["workflow"] is not None:
                await self.bindings.start(rows[tick["schedule"]], tick, connection)
        return made

    async def sweep(self) -> None:
        """Look after the ticks that start runs of the workflows known here."""
        async with self.db.transaction() as connection:
            await self.bindings.settle_ended(connection)
            # Also when none was settled here: a firing settles too, and what it queues at that moment waits for nobody.
            params = self.namespace | self.bell(None) | {"schedule": None}
            await self.fetch(sql.PROMOTE, params, connection=connection)
            await self.bindings.sweep(connection)


def _is_of_a_schedule(error: Exception) -> bool:
    """Whether an error comes from what a row holds, and not from the server or the way to it."""
    return not isinstance(error, psycopg.Error) or isinstance(error, psycopg.DataError | psycopg.IntegrityError)


def _columns(firings: Sequence[Firing]) -> dict[str, Any]:
    """What is to be written, as the columns of ticks and of schedules."""
    ticks = [tick for firing in firings for tick in firing.ticks()]
    moves = [firing.move() for firing in firings]
    tick_columns = ("schedules", "numbers", "kinds", "catch_ups", "moments", "previous", "statuses", "reasons")
    move_columns = ("ids", "next_at", "due_at", "last_at", "ticks", "fires", "missed")
    return {name: [tick[n] for tick in ticks] for n, name in enumerate(tick_columns)} | {
        name: [move[n] for move in moves] for n, name in enumerate(move_columns)
    }
