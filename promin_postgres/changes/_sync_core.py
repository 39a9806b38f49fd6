# Generated from _async_core.py by tools/twins.py. Do not edit: edit that and generate again.
"""Reader: the statements that one reader of a log sends, and its hold on a named consumer."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

import psycopg

from promin_postgres._wait import Background, Signal
from promin_postgres.changes import _statements as sql
from promin_postgres.changes._sync_change import Change
from promin_postgres.changes._cursor import Cursor, Place
from promin_postgres.changes._records import Opened, Record
from promin_postgres.changes._settings import MAX_BYTES, ChangeSettings
from promin_postgres.codec import Codec
from promin_postgres.database import Database, Executor
from promin_postgres.errors import ConfigurationError, CursorInvalid, LeaseLost, MigrationError

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Reader(Generic[T]):
    """What a reader sends, for itself and for its consumer."""

    def __init__(self, db: Database, settings: ChangeSettings, codec: Codec[T], consumer: str | None) -> None:
        self.db = db
        self.settings = settings
        self.codec = codec
        self.payload_column = settings.payload_column
        self.consumer = consumer
        self.sql = db.executor(schema=settings.schema, table_prefix=settings.table_prefix)
        self.system = ""
        self.stream: int | None = None
        self.key_columns: tuple[str, ...] = ()
        self.lost = False
        self._token = uuid.uuid4()
        self._held = False
        self._acked = 0
        self._stop = Signal()
        self._renewal: Background | None = None

    def open(self) -> Opened:
        """Learn where we are; again after the connection broke, for it may lead to another server now."""
        opened = open(self.sql, self.settings)
        if self.system not in ("", opened.system):
            raise CursorInvalid(f"log/{self.system}/...", f"the server is another cluster now, {opened.system}")
        self.system, self.stream, self.key_columns = opened.system, opened.stream, opened.key_columns
        return opened

    def fetch(self, cursor: Cursor, limit: int) -> tuple[list[Record], Cursor]:
        """The next records, and the cursor after them."""
        rows = self.sql.fetch_all(
            sql.FETCH,
            {
                "stream": self.stream,
                "low": cursor.low,
                "high": None if cursor.is_fresh else cursor.high,
                "seq": cursor.seq,
                "limit": limit,
                "max_bytes": MAX_BYTES,
            },
        )
        marker = rows.pop(0)
        if marker["pruned"] is None:
            raise ConfigurationError(f"the triggers of {self.settings.label} were removed while a stream was open")
        if cursor.seen_below <= marker["pruned"]:
            raise CursorInvalid(cursor.text, "changes after it have been pruned")
        high = marker["high"]
        records = [
            Record(
                row["op"], row["old"], row["new"],
                changed_at=row["changed_at"], seq=row["seq"], low=cursor.low, high=high,
            )
            for row in rows
        ]  # fmt: skip
        if rows and rows[-1]["is_full"]:
            return records, Cursor(self.system, cursor.low, high, records[-1].seq + 1)
        return records, Cursor(self.system, high, high)

    def take(self, start: Place) -> str | None:
        """Take the consumer if nobody holds it; returns the position where it goes on, `start` when it is new."""
        row = self.sql.fetch_one(
            sql.TAKE_CONSUMER,
            self._mine
            | {"position": start.text, "holder": f"{socket.gethostname()}:{os.getpid()}", "duration": self._duration},
        )
        if row is None:
            return None
        self._held = True
        if self._renewal is None:
            self._renewal = Background(self._renew, "promin-consumer")
        return str(row["position"])

    def ack(self, change: Change[T], *, connection: Any = None) -> None:
        if self.consumer is None:
            raise ConfigurationError("this stream has no consumer to acknowledge for: open it with consumer=...")
        if change.ordinal <= self._acked:
            return
        params = self._mine | {"position": change.position}
        if self.sql.fetch_one(sql.ACK, params, connection=connection) is None:
            raise self.loss()
        if connection is None:
            self._acked = change.ordinal

    def close(self) -> None:
        """Let go of the consumer."""
        self._stop.set()
        if self._renewal is not None:
            self._renewal.join(self.settings.lease)
        if self._held:
            self._held = False
            try:
                self.sql.execute(sql.RELEASE_CONSUMER, self._mine)
            except psycopg.Error as error:
                logger.warning("consumer %r was not released; its lease runs out: %s", self.consumer, error)

    def pause(self, seconds: float) -> None:
        """Sleep, but not past `close`."""
        self._stop.wait(seconds)

    def loss(self) -> LeaseLost:
        return LeaseLost(f"consumer {self.consumer!r} of {self.settings.label}")

    def _renew(self) -> None:
        while not self._stop.wait(self.settings.lease / 3):
            try:
                row = self.sql.fetch_one(sql.RENEW_CONSUMER, self._mine | {"duration": self._duration})
            except psycopg.Error as error:
                logger.warning("renewing the lease on consumer %r failed, trying again: %s", self.consumer, error)
                continue
            if row is None:
                self.lost = True
                self._held = False
                return

    @property
    def _mine(self) -> dict[str, Any]:
        return {"stream": self.stream, "consumer": self.consumer, "token": self._token}

    @property
    def _duration(self) -> timedelta:
        return timedelta(seconds=self.settings.lease)


def open(executor: Executor, settings: ChangeSettings) -> Opened:
    """The cluster, a snapshot of now, and the stream of the table."""
    try:
        row = executor.fetch_one(sql.OPEN, settings.where)
    except psycopg.errors.UndefinedTable as error:
        problem = f"the tables of change streams are missing, run migrate: {error.diag.message_primary}"
        raise MigrationError(problem) from None
    assert row is not None
    return Opened(
        system=row["system"],
        snapshot=row["snapshot"],
        now=row["now"],
        stream=row["id"],
        channel=row["channel"],
        key_columns=tuple(row["key_columns"] or ()),
        columns=_tuple(row["columns"]),
        condition=row["condition"],
    )


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
