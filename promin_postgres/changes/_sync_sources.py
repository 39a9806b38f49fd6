# Generated from _async_sources.py by tools/twins.py. Do not edit: edit that and generate again.
"""What the streams of changes pull from."""

from __future__ import annotations

import logging
import time
from collections import deque
from datetime import datetime
from typing import Generic, TypeVar

import psycopg

from promin_postgres._retry import RECONNECT, jittered
from promin_postgres.bell import Ear, open_ear
from promin_postgres.changes import _statements as sql
from promin_postgres.changes._sync_change import Change
from promin_postgres.changes._sync_core import Reader
from promin_postgres.changes._sync_feeds import Feed, LogFeed, PollFeed, TableFeed
from promin_postgres.changes._cursor import Beginning, Cursor, Offset, Place, Polled, parse
from promin_postgres.changes._records import Opened
from promin_postgres.errors import CodecError, ConfigurationError, CursorInvalid

T = TypeVar("T")

logger = logging.getLogger(__name__)

_BUSY, _CALM = 0.05, 0.02
"""Seconds: what is asked for so soon after the last changes is looked for a little later, without waiting for the bell.
Under steady traffic nobody waits then, so that writers need not ring, and batches are larger."""


class Changes(Generic[T]):
    """Changes one by one, fetched in batches; waits for them without end."""

    def __init__(self, reader: Reader[T], offset: Offset) -> None:
        self._reader = reader
        self._offset = offset
        self._ahead: deque[Change[T]] = deque()
        self._feed: Feed[T] | None = None
        self._channel = ""
        self._ear: Ear | None = None
        self._closed = False
        self._got_at = 0.0

    def __iter__(self) -> Changes[T]:
        return self

    @property
    def has_ahead(self) -> bool:
        """Whether the next change is here already."""
        return bool(self._ahead)

    def ack(self, change: Change[T]) -> None:
        self._reader.ack(change)

    def __next__(self) -> Change[T]:
        while not self._closed:
            if self._reader.lost:
                raise self._reader.loss()
            if self._ahead:
                return self._ahead.popleft()
            if not self._refill():
                break
        self._let_go()  # of what was taken while it was being closed
        raise StopIteration

    def close(self) -> None:
        """A wait under way ends; the consumer is free."""
        self._closed = True
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()
        self._let_go()

    def _let_go(self) -> None:
        self._reader.close()
        if self._feed is not None:
            self._feed.close()

    def _refill(self) -> bool:
        """Fetch the next changes, waiting for them; False when there will be none."""
        failures = 0
        while not (self._closed or self._reader.lost):
            if self._feed is not None and self._feed.caught_up and time.monotonic() - self._got_at < _BUSY:
                self._reader.pause(_CALM)
            if self._ear is not None:
                self._ear.clear()
            try:
                if failures and self._feed is not None:
                    self._check(self._feed.place, self._reader.open())
                if self._feed is None:
                    self._feed = self._begin()
                if self._feed is None:
                    self._reader.pause(min(1.0, self._reader.settings.lease / 3))
                    continue
                changes = self._feed.fetch()
            except psycopg.OperationalError as error:
                if self._closed:
                    return False
                if self._feed is not None and not self._feed.resumes:
                    raise
                failures += 1
                logger.warning("reading changes of %s failed, trying again: %s", self._reader.settings.label, error)
                self._reader.pause(RECONNECT.pause(failures, draw=1.0))
                continue
            failures = 0
            if changes:
                self._got_at = time.monotonic()
                self._ahead.extend(changes)
                return True
            self._wait()
        return not self._closed

    def _wait(self) -> None:
        # The jitter keeps readers that started together from polling together.
        pause = jittered(self._reader.settings.poll_interval)
        if not self._channel:
            self._reader.pause(pause)
            return
        ear = self._ear
        if ear is None:
            ear = self._ear = open_ear(self._reader.db, self._channel)
            if self._closed:
                ear.close()
        ear.wait(pause)

    def _begin(self) -> Feed[T] | None:
        """Find the place to begin at; None when another reader holds the consumer."""
        opened = self._reader.open()
        if opened.stream is None:
            return self._polling(opened)
        self._channel = opened.channel or ""
        place = self._start(opened)
        if self._reader.consumer is not None:
            saved = self._reader.take(place)
            if saved is None:
                return None
            place = parse(saved)
        self._check(place, opened)
        if isinstance(place, Cursor):
            return LogFeed(self._reader, place)
        return TableFeed(self._reader, opened)

    def _start(self, opened: Opened) -> Place:
        offset = self._offset
        if offset.place is not None:
            return offset.place
        if offset.kind == "earliest":
            return Beginning(opened.system)
        snapshot = opened.snapshot
        if offset.moment is not None:
            params = {"stream": opened.stream, "moment": offset.moment, "now": snapshot}
            row = self._reader.sql.fetch_one(sql.FIND_START, params)
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

    def _polling(self, opened: Opened) -> Feed[T]:
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
            return PollFeed(self._reader, place, overlapping=True, skip_present=False)
        if self._offset.kind == "earliest":
            return PollFeed(self._reader, None, overlapping=False, skip_present=False)
        latest = self._offset.moment is None
        moment: datetime = opened.now if self._offset.moment is None else self._offset.moment
        start = Polled(opened.system, moment, 0)
        return PollFeed(self._reader, start, overlapping=latest, skip_present=latest)


class Values(Generic[T]):
    """The values of changes. What was handed out counts as done when the next one is asked for.

    For a consumer that is written down when a batch is used up, and at the end: after a crash, the values of one batch
    may come again.
    """

    def __init__(self, changes: Changes[T], *, acks: bool) -> None:
        self._changes = changes
        self._acks = acks
        self._given: Change[T] | None = None
        self._done: Change[T] | None = None

    def __iter__(self) -> Values[T]:
        return self

    def __next__(self) -> T:
        while True:
            self._done = self._given
            if not self._changes.has_ahead:
                self._ack()
            change = self._given = self._changes.__next__()
            if change.op == "truncate":
                continue
            try:
                return change.value
            except CodecError as error:
                logger.error("skipped, for it does not decode: %s", error)

    def close(self) -> None:
        try:
            self._ack()
        finally:
            self._changes.close()

    def _ack(self) -> None:
        if self._acks and self._done is not None:
            self._changes.ack(self._done)
