# Generated from _async_core.py by tools/twins.py. Do not edit: edit that and generate again.
"""QueueCore: the statements of one queue, fenced and decoded; what the queue and its streams are made of."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from promin_postgres._error_record import storable
from promin_postgres._time import Seconds, check_seconds, delay_of, moment_of
from promin_postgres._watermark import Watermark
from promin_postgres.codec import Codec
from promin_postgres.database import Database, Executor
from promin_postgres.errors import CodecError, LeaseLost
from promin_postgres.queue import _statements as sql
from promin_postgres.queue._records import Fetched
from promin_postgres.queue._settings import QueueSettings, queue_names
from promin_postgres.streams import Sinkable

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Envelope(Generic[T]):
    """A message that is leased to us: settle it before its visibility timeout has passed."""

    __slots__ = ("_core", "_created_at", "deliveries", "headers", "message_id", "receipt", "value")

    def __init__(self, core: QueueCore[T], fetched: Fetched, value: T) -> None:
        self._core = core
        self.value = value
        self.message_id, self.receipt, _, headers, self._created_at, self.deliveries, _ = fetched
        self.headers: dict[str, Any] | None = None if headers is None else json.loads(headers)

    @property
    def created_at(self) -> datetime:
        """When the message was published, by the clock of the server, in UTC."""
        return moment_of(self._created_at)

    def ack(self, *, connection: Any = None) -> None:
        """The message is done with: it is deleted, or archived.

        Raises:
            LeaseLost: The visibility timeout has passed; the message is, or will be, delivered again.
        """
        if not self._core.ack_one(self, connection=connection):
            raise self._lost()

    def take(self) -> bool:
        """Acknowledge; whether the message was still ours."""
        return self._core.ack_one(self)

    def nack(self, delay: Seconds = 0, error: object = None) -> None:
        """Give the message back, to be delivered again after `delay`, or buried if that was its last attempt.

        Args:
            delay: Seconds or a timedelta.
            error: Kept with the message: a text or an exception.

        Raises:
            LeaseLost
        """
        if not self._core.nack([self], delay=delay, error=error):
            raise self._lost()

    def extend(self, seconds: Seconds) -> None:
        """Hold the message for that long from now on.

        Raises:
            LeaseLost
        """
        if not self._core.extend([self], seconds):
            raise self._lost()

    def _lost(self) -> LeaseLost:
        return LeaseLost(f"message {self.message_id} of queue {self._core.settings.name!r}")

    def __repr__(self) -> str:
        return f"<message {self.message_id} of {self._core.settings.name!r}, delivery {self.deliveries}>"


class QueueCore(Generic[T]):
    """One queue on one database. Safe to share between threads and tasks."""

    def __init__(
        self,
        db: Database,
        settings: QueueSettings,
        schema: str,
        codec: Codec[T],
        dead_letter: Sinkable[T] | None,
    ) -> None:
        self.db = db
        self.settings = settings
        self.codec = codec
        self.sql = Executor(db, queue_names(settings.name, schema))
        self.channel, self._door = settings.bell_of(schema)
        self._dead_letter = dead_letter
        self._watermark = Watermark()
        deletes = settings.ack_mode == "delete"
        self._ack = sql.ACK if deletes else sql.ACK_TO_ARCHIVE
        self._ack_one = sql.ACK_ONE if deletes else sql.ACK_ONE_TO_ARCHIVE

    def encode(self, values: Sequence[T]) -> list[str]:
        subject = f"queue {self.settings.name!r}"
        return [self.codec.encode(value, subject=subject) for value in values]

    def bell(self, connection: Any) -> dict[str, Any]:
        """The parameters with which a statement rings; in a caller's transaction it rings without trying the door."""
        return {
            "notify": self.settings.notify,
            "ring": connection is not None,
            "door": self._door,
            "channel": self.channel,
        }

    def _durability(self, connection: Any) -> dict[str, bool]:
        """Whether settling waits for the disk; a caller's transaction keeps its own setting."""
        return {"durable": self.settings.durable_acks or connection is not None}

    def fetch(self, limit: int, visibility_timeout: float) -> list[Fetched]:
        """Lease up to `limit` messages, oldest first; what is found exhausted is buried on the way."""
        began = self._watermark.clock()
        after = self._watermark.after()
        rows = self._claim(after, limit, visibility_timeout, began)
        if not rows and after:
            rows = self._claim(0, limit, visibility_timeout, self._watermark.clock())
        dead = [row.message_id for row in rows if row.dead]
        if not dead:
            return rows
        self.send_dead(dead)
        if len(dead) == len(rows):
            self._watermark.reset()  # what comes next may stand before the watermark, as these did
            return self.fetch(limit, visibility_timeout)
        return [row for row in rows if not row.dead]

    def _claim(self, after: int, limit: int, visibility_timeout: float, began: float) -> list[Fetched]:
        if after == 0:
            self.sql.execute(sql.PROMOTE)
        params = {
            "after": after,
            "limit": limit,
            "visibility_timeout": timedelta(seconds=visibility_timeout),
            "receipt": secrets.randbits(62),
            "max_attempts": self.settings.max_attempts,
        }
        rows = sorted(self.sql.fetch_tuples(sql.CLAIM, params))  # by id, which stands first
        last = rows[-1][0] if rows else None
        self._watermark.looked(after=after, last=last, is_full=len(rows) >= limit, began=began)
        return list(map(Fetched._make, rows))

    def open(self, fetched: Fetched) -> Envelope[T] | None:
        """Decode a message; one that does not decode is buried with the reason, and None comes back."""
        try:
            value = self.codec.decode(fetched.text, subject=f"message {fetched.message_id}")
        except CodecError as error:
            logger.warning("queue %r: buried: %s", self.settings.name, error)
            self.nack([fetched], error=error, bury=True)
            return None
        return Envelope(self, fetched, value)

    def ack(self, messages: Sequence[Fetched | Envelope[T]], *, connection: Any = None) -> list[int]:
        """Settle; returns the ids that were still ours."""
        params = _fence(messages) | self._durability(connection)
        return [message_id for (message_id,) in self.sql.fetch_tuples(self._ack, params, connection=connection)]

    def ack_one(self, message: Envelope[T], *, connection: Any = None) -> bool:
        """As `ack`, for one message in half the time; whether it was still ours."""
        params = {"id": message.message_id, "receipt": message.receipt, **self._durability(connection)}
        return bool(self.sql.fetch_tuples(self._ack_one, params, connection=connection))

    def nack(
        self,
        messages: Sequence[Fetched | Envelope[T]],
        *,
        delay: Seconds = 0,
        error: object = None,
        bury: bool = False,
    ) -> list[int]:
        """Give back; returns the ids that were still ours."""
        params = (
            _fence(messages)
            | self._durability(None)
            | self.bell(None)
            | {
                "delay": delay_of(check_seconds("delay", delay))["delay"],
                "error": None if error is None else _text_of(error),
                "bury": bury,
                "max_attempts": self.settings.max_attempts,
            }
        )
        rows = self.sql.fetch_all(sql.NACK, params)
        self._watermark.reset()
        dead = [row["id"] for row in rows if row["dead"]]
        if dead and not bury:
            self.send_dead(dead)
        return [row["id"] for row in rows]

    def extend(self, messages: Sequence[Fetched | Envelope[T]], seconds: Seconds) -> list[int]:
        """Hold for longer; returns the ids that are still ours."""
        params = _fence(messages) | {"seconds": timedelta(seconds=check_seconds("seconds", seconds, positive=True))}
        return [row["id"] for row in self.sql.fetch_all(sql.EXTEND, params)]

    def release(self, messages: Sequence[Fetched | Envelope[T]]) -> int:
        """Give back what was not handed out, as if it had never been fetched; how many were still ours."""
        if not messages:
            return 0
        count = self.sql.execute(sql.RELEASE, _fence(messages))
        self._watermark.reset()
        return count

    def send_dead(self, ids: Sequence[int]) -> None:
        """Hand dead messages to the dead-letter sink, if there is one. What it refuses stays dead in the queue."""
        if self._dead_letter is None:
            return
        for message_id in ids:
            try:
                with self.db.transaction() as connection:
                    row = self.sql.fetch_one(sql.TAKE_DEAD, {"id": message_id}, connection=connection)
                    if row is not None:
                        self._dead_letter.publish(self.codec.decode(row["value"]))
            except Exception:
                logger.exception("queue %r: message %d stays dead", self.settings.name, message_id)


def _fence(messages: Sequence[Fetched | Envelope[Any]]) -> dict[str, Any]:
    """What shows that messages are ours. Arrays as texts, which take Python a tenth of the time of lists."""
    return {
        "ids": f"{{{','.join([str(message.message_id) for message in messages])}}}",
        "receipts": f"{{{','.join([str(message.receipt) for message in messages])}}}",
    }


def _text_of(error: object) -> str:
    return storable(f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error), 10_000)
