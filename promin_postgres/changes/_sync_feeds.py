# Generated from _async_feeds.py by tools/twins.py. Do not edit: edit that and generate again.
"""Where changes come from: the log, the rows that were there, or a table that is polled."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from psycopg import Connection

from promin_postgres.changes import _statements as sql
from promin_postgres.changes._sync_change import Change
from promin_postgres.changes._sync_core import Reader
from promin_postgres.changes._cursor import Beginning, Cursor, Place, Polled
from promin_postgres.changes._records import Opened, Record
from promin_postgres.changes._settings import first_count, next_count
from promin_postgres.database import Executor

T = TypeVar("T")


class Feed(Protocol[T]):
    """A way to get the next changes. `resumes`: after the connection broke it goes on as if nothing had been."""

    resumes: bool

    @property
    def caught_up(self) -> bool:
        """Whether nothing more was there at the last look."""
        ...

    @property
    def place(self) -> Place:
        """Where it stands."""
        ...

    def fetch(self) -> list[Change[T]]:
        """The next ones, in order; none when there are none now."""
        ...

    def close(self) -> None: ...


class LogFeed(Generic[T]):
    """The log from a cursor on."""

    resumes = True

    def __init__(self, reader: Reader[T], cursor: Cursor, ordinals: Iterator[int] | None = None) -> None:
        self._reader = reader
        self._cursor = cursor
        self._ordinals = count(1) if ordinals is None else ordinals
        self._skip = cursor.item

    @property
    def caught_up(self) -> bool:
        return self._cursor.is_fresh

    @property
    def place(self) -> Place:
        return self._cursor

    def fetch(self) -> list[Change[T]]:
        while True:
            before = self._cursor
            records, self._cursor = self._reader.fetch(before, self._reader.settings.batch_size)
            changes = self._opened(records, before)
            if changes or before.is_fresh:
                return changes

    def _opened(self, records: list[Record], before: Cursor) -> list[Change[T]]:
        """One change per row; of the record at the place where a saved cursor stands, those that were not read yet."""
        reader, ordinals = self._reader, self._ordinals
        changes = [
            Change(reader, record, index, next(ordinals)) for record in records for index in range(record.count)
        ]
        skip, self._skip = self._skip, 0
        return changes[skip:] if skip and records and records[0].seq == before.seq else changes

    def close(self) -> None:
        """Nothing is held."""


class TableFeed(Generic[T]):
    """The rows of the table as one snapshot shows them, then the log from that snapshot on.

    A transaction on a connection of its own stays open while the rows are read. When that breaks, the snapshot is gone.
    """

    resumes = False

    def __init__(self, reader: Reader[T], opened: Opened) -> None:
        self._reader = reader
        self._opened = opened
        self._ordinals = count(1)
        self._connection: Connection[Any] | None = None
        self._count = first_count(reader.settings.batch_size)
        self._next: list[Record] = []
        self._snapshot = ""
        self._log: LogFeed[T] | None = None

    @property
    def caught_up(self) -> bool:
        return self._log is not None and self._log.caught_up

    @property
    def place(self) -> Place:
        return Beginning(self._reader.system) if self._log is None else self._log.place

    def fetch(self) -> list[Change[T]]:
        if self._log is not None:
            return self._log.fetch()
        if self._connection is None:
            self._begin()
        # One batch ahead, because the last row is the one after which the log begins.
        records = self._next
        self._next = self._rows()
        cursor = Cursor(self._reader.system, self._snapshot, self._snapshot)
        if not self._next:
            self.close()
            self._log = LogFeed(self._reader, cursor, self._ordinals)
            self.resumes = True
        beginning = Beginning(self._reader.system)
        changes = [Change(self._reader, record, 0, next(self._ordinals), beginning) for record in records]
        if changes and not self._next:
            changes[-1].place = cursor
        return changes or self.fetch()

    def _begin(self) -> None:
        self._connection = self._reader.db.dedicated()
        executor = self._executor()
        executor.execute(sql.BEGIN_READING, connection=self._connection)
        row = executor.fetch_one(sql.SNAPSHOT, connection=self._connection)
        assert row is not None
        self._snapshot = row["snapshot"]
        self._reader.open()  # so that this snapshot is on disk, unless the server dies and our connection with it
        executor.execute(sql.DECLARE, connection=self._connection)
        self._next = self._rows()

    def _rows(self) -> list[Record]:
        rows = self._executor().fetch_all(sql.FETCH_ROWS, connection=self._connection)
        size = sum(len(row["new"]) for row in rows)
        self._count = next_count(self._count, size, self._reader.settings.batch_size)
        return [Record("read", None, [row["new"]]) for row in rows]

    def _executor(self) -> Executor:
        return Executor(self._reader.db, self._reader.settings.reading_names(self._opened, self._count))

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class PollFeed(Generic[T]):
    """The rows of a table without triggers, by their time and sequence, looked for again for as long as `overlap`."""

    resumes = True

    def __init__(self, reader: Reader[T], start: Polled | None, *, overlapping: bool, skip_present: bool) -> None:
        self._reader = reader
        self._sql = Executor(reader.db, reader.settings.poll_names())
        self._overlap = timedelta(seconds=reader.settings.overlap)
        self._high = start
        self._place: tuple[Any, int] | None = None
        self._first_at = None if start is None else start.moment - (self._overlap if overlapping else timedelta(0))
        self._skipping = skip_present
        self._seen: OrderedDict[tuple[Any, int], None] = OrderedDict()
        self._count = first_count(reader.settings.batch_size)
        self._ordinals = count(1)

    @property
    def caught_up(self) -> bool:
        return False  # it sleeps between two passes anyway

    @property
    def place(self) -> Place:
        return self._high or Polled(self._reader.system, _FIRST, 0)

    def fetch(self) -> list[Change[T]]:
        while True:
            limit = self._count
            moment, sequence = self._place or (self._from, _LEAST)
            params = {"moment": moment, "sequence": sequence, "limit": limit}
            rows = self._sql.fetch_all(sql.POLL, params)
            if len(rows) == limit:
                size = sum(len(row["new"]) for row in rows)
                self._count = next_count(limit, size, self._reader.settings.batch_size)
            fresh = [row for row in rows if (row["moment"], row["sequence"]) not in self._seen]
            self._remember(fresh)
            self._place = (rows[-1]["moment"], rows[-1]["sequence"]) if len(rows) == limit else None
            if fresh and not self._skipping:
                return [self._change(row) for row in fresh]
            if self._place is None:
                self._skipping = False
                return []

    @property
    def _from(self) -> Any:
        if self._first_at is not None:
            return self._first_at
        return _FIRST if self._high is None else self._high.moment - self._overlap

    def _remember(self, rows: Iterable[dict[str, Any]]) -> None:
        self._first_at = None
        for row in rows:
            self._seen[row["moment"], row["sequence"]] = None
            if self._high is None or row["moment"] > self._high.moment:
                self._high = Polled(self._reader.system, row["moment"], row["sequence"])
        while self._high is not None and self._seen:
            oldest = next(iter(self._seen))
            if oldest[0] >= self._high.moment - self._overlap:
                break
            del self._seen[oldest]

    def _change(self, row: dict[str, Any]) -> Change[T]:
        record = Record("read", None, [row["new"]], changed_at=row["moment"])
        place = Polled(self._reader.system, row["moment"], row["sequence"])
        return Change(self._reader, record, 0, next(self._ordinals), place)

    def close(self) -> None:
        """Nothing is held."""


_LEAST = -(1 << 63)
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
