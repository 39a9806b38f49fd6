"""What the streams of changes pull from."""

from __future__ import annotations

import logging
import time
from collections import deque
from datetime import datetime
from typing import Generic, TypeVar

import psycopg

from promin_postgres._retry import RECONNECT, jittered
from promin_postgres.bell import AsyncEar, async_open_ear
from promin_postgres.changes import _statements as sql
from promin_postgres.changes._async_change import AsyncChange
from promin_postgres.changes._async_core import AsyncReader
from promin_postgres.changes._async_feeds import AsyncFeed, AsyncLogFeed, AsyncPollFeed, AsyncTableFeed
from promin_postgres.changes._cursor import Beginning, Cursor, Offset, Place, Polled, parse
from promin_postgres.changes._records import Opened
from promin_postgres.errors import CodecError, ConfigurationError, CursorInvalid

T = TypeVar("T")

logger = logging.getLogger(__name__)

_BUSY, _CALM = 0.05, 0.02
"""Seconds: what is asked for so soon after the last changes is looked for a little later, without waiting for the bell.
Under steady traffic nobody waits then, so that writers need not ring, and batches are larger."""


class AsyncChanges(Generic[T]):
    """Changes one by one, fetched in batches; waits for them without end."""

    def __init__(self, reader: AsyncReader[T], offset: Offset) -> None:
        self._reader = reader
        self._offset = offset
        self._ahead: deque[AsyncChange[T]] = deque()
        self._feed: AsyncFeed[T] | None = None
        self._channel = ""
        self._ear: AsyncEar | None = None
        self._closed = False
        self._got_at = 0.0

    def __aiter__(self) -> AsyncChanges[T]:
        return self

    @property
    def has_ahead(self) -> bool:
        """Whether the next change is here already."""
        return bool(self._ahead)

    async def ack(self, change: AsyncChange[T]) -> None:
        await self._reader.ack(change)

    async def __anext__(self) -> AsyncChange[T]:
        while not self._closed:
            if self._reader.lost:
                raise self._reader.loss()
            if self._ahead:
                return self._ahead.popleft()
            if not await self._refill():
                break
        await self._let_go()  # of what was taken while it was being closed
        raise StopAsyncIteration

    async def close(self) -> None:
        """A wait under way ends; the consumer is free."""
        self._closed = True
        ear, self._ear = self._ear, None
        if ear is not None:
            await ear.close()
        await self._let_go()

    async def _let_go(self) -> None:
        await self._reader.close()
        if self._feed is not None:
            await self._feed.close()

    async def _refill(self) -> bool:
        """Fetch the next changes, waiting for them; False when there will be none."""
        failures = 0
        while not (self._closed or self._reader.lost):
            if self._feed is not None and self._feed.caught_up and time.monotonic() - self._got_at < _BUSY:
                await self._reader.pause(_CALM)
            if self._ear is not None:
                self._ear.clear()
            try:
                if failures and self._feed is not None:
                    self._check(self._feed.place, await self._reader.open())
                if self._feed is None:
                    self._feed = await self._begin()
                if self._feed is None:
                    await self._reader.pause(min(1.0, self._reader.settings.lease / 3))
                    continue
                changes = await self._feed.fetch()
            except psycopg.OperationalError as error:
                if self._closed:
                    return False
                if self._feed is not None and not self._feed.resumes:
                    raise
                failures += 1
                logger.warning("reading changes of %s failed, trying again: %s", self._reader.settings.label, error)
                await self._reader.pause(RECONNECT.pause(failures, draw=1.0))
                continue
            failures = 0
            if changes:
                self._got_at = time.monotonic()
                self._ahead.extend(changes)
                return True
            await self._wait()
        return not self._closed

    async def _wait(self) -> None:
        # The jitter keeps readers that started together from polling together.
        pause = jittered(self._reader.settings.poll_interval)
        if not self._channel:
            await self._reader.pause(pause)
            return
        ear = self._ear
        if ear is None:
            ear = self._ear = await async_open_ear(self._reader.db, self._channel)
            if self._closed:
                await ear.close()
        await ear.wait(pause)

    async def _begin(self) -> AsyncFeed[T] | None:
        """Find the place to begin at; None when another reader holds the consumer."""
        opened = await self._reader.open()
        if opened.stream is None:
            return self._polling(opened)
        self._channel = opened.channel or ""
        place = await self._start(opened)
        if self._reader.consumer is not None:
            saved = await self._reader.take(place)
            if saved is None:
                return None
            place = parse(saved)
        self._check(place, opened)
        if isinstance(place, Cursor):
            return AsyncLogFeed(self._reader, place)
        return AsyncTableFeed(self._reader, opened)

    async def _start(self, opened: Opened) -> Place:
        offset = self._offset
        if offset.place is not None:
            return offset.place
        if offset.kind == "earliest":
            return Beginning(opened.system)
        snapshot = opened.snapshot
        if offset.moment is not None:
            params = {"stream": opened.stream, "moment": offset.moment, "now": snapshot}
            row = await self._reader.sql.fetch_one(sql.FIND_START, params)
            assert row is not None
            snapshot = row["snapshot"]
        return Cursor(opened.system, snapshot, snapshot)

    def _check(self, place: Place, opened: Opened) -> None:
        if place.system != opened.system:
            raise CursorInvalid(place.text, f"it is of the cluster {place.system}, and this is {opened.system}")
        if isinstance(place, Cursor) and place.ahead > int(opened.snapshot.split(":")[1]):
            raise CursorInvalid(place.text, "this server is behind it: was it restored from a backup?")
        if isinstance(place, Polled) != (opened.stream is None):
            raise CursorInvalid(place.text, "it is of another kind: triggers were installed or removed since")

    def _polling(self, opened: Opened) -> AsyncFeed[T]:
        settings = self._reader.settings
        if self._reader.consumer is not None:
            raise ConfigurationError(f"a named consumer needs triggers on {settings.label}: call install_trigger")
        if settings.timestamp_column is None or settings.sequence_column is None:
            raise ConfigurationError(
                f"{settings.label} has no triggers (install_trigger), and without timestamp_column and "
                "sequence_column it cannot be polled"
            )
        place = self._offset.place
        if place is not None:
            self._check(place, opened)
            assert isinstance(place, Polled)
            return AsyncPollFeed(self._reader, place, overlapping=True, skip_present=False)
        if self._offset.kind == "earliest":
            return AsyncPollFeed(self._reader, None, overlapping=False, skip_present=False)
        latest = self._offset.moment is None
        moment: datetime = opened.now if self._offset.moment is None else self._offset.moment
        start = Polled(opened.system, moment, 0)
        return AsyncPollFeed(self._reader, start, overlapping=latest, skip_present=latest)


class AsyncValues(Generic[T]):
    """The values of changes. What was handed out counts as done when the next one is asked for.

    For a consumer that is written down when a batch is used up, and at the end: after a crash, the values of one batch
    may come again.
    """

    def __init__(self, changes: AsyncChanges[T], *, acks: bool) -> None:
        self._changes = changes
        self._acks = acks
        self._given: AsyncChange[T] | None = None
        self._done: AsyncChange[T] | None = None

    def __aiter__(self) -> AsyncValues[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            self._done = self._given
            if not self._changes.has_ahead:
                await self._ack()
            change = self._given = await self._changes.__anext__()
            if change.op == "truncate":
                continue
            try:
                return change.value
            except CodecError as error:
                logger.error("skipped, for it does not decode: %s", error)

    async def close(self) -> None:
        try:
            await self._ack()
        finally:
            await self._changes.close()

    async def _ack(self) -> None:
        if self._acks and self._done is not None:
            await self._changes.ack(self._done)
