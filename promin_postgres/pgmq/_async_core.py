"""AsyncPgmqCore: the messages of one queue, decoded; what the queue and its streams are made of."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from promin_postgres._statement import Statement
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.codec import JSON, Codec
from promin_postgres.database import AsyncDatabase
from promin_postgres.errors import CodecError, LeaseLost
from promin_postgres.pgmq._async_calls import AsyncPgmq
from promin_postgres.pgmq._async_messages import (
    async_archive_batch,
    async_delete_batch,
    async_read_rows,
    async_set_vt_rows,
)
from promin_postgres.pgmq._records import AckMode, Fetched
from promin_postgres.pgmq._settings import ReadMode, channel_of, queue_table
from promin_postgres.pgmq._statements import ENABLE_NOTIFY, MEND_NOTIFY

T = TypeVar("T")

logger = logging.getLogger(__name__)


class AsyncEnvelope(Generic[T]):
    """A message that is leased to us: settle it before its visibility timeout has passed.

    pgmq knows messages by their id alone, and not who holds them. So an ack that comes late still counts, as long as
    the message is there, even while another consumer works on it; `nack` and `extend`, which would take it from that
    one, are refused here as soon as our own time is over.
    """

    __slots__ = ("_ack_mode", "_core", "_held_until", "created_at", "deliveries", "headers", "message_id", "value")

    def __init__(
        self, core: AsyncPgmqCore[T], fetched: Fetched, value: T, headers: dict[str, Any] | None, ack_mode: AckMode
    ) -> None:
        self._core = core
        self._ack_mode: AckMode = ack_mode
        self._held_until = fetched.held_until
        self.value = value
        self.message_id = fetched.message_id
        self.deliveries = fetched.deliveries
        self.created_at: datetime = fetched.created_at
        self.headers = headers

    async def ack(self, *, connection: Any = None) -> None:
        """The message is done with: it is deleted, or archived.

        Raises:
            LeaseLost: The message is gone: another consumer had it after our visibility timeout, and settled it.
        """
        if not await self.take(connection=connection):
            raise self._lost()

    async def take(self, *, connection: Any = None) -> bool:
        """Acknowledge; whether the message was still there. Of several who try, one is told so."""
        return bool(await self._core.ack([self.message_id], self._ack_mode, connection=connection))

    async def nack(self, delay: Seconds = 0, error: object = None) -> None:
        """Give the message back, to be delivered again after `delay`. How often is for the consumer to bound.

        Args:
            delay: Seconds or a timedelta.
            error: A text or an exception, for the log: pgmq has no place for it.

        Raises:
            LeaseLost: Our visibility timeout has passed, or the message is gone.
        """
        check_seconds("delay", delay)
        if error is not None:
            logger.warning("queue %r: message %d given back: %s", self._core.name, self.message_id, error)
        await self._move(delay)

    async def extend(self, seconds: Seconds) -> None:
        """Hold the message for that long from now on.

        Raises:
            LeaseLost: Our visibility timeout has passed, or the message is gone.
        """
        self._held_until = await self._move(check_seconds("seconds", seconds, positive=True))

    async def _move(self, seconds: Seconds) -> float:
        asked = time.monotonic()
        if asked >= self._held_until or not await self._core.set_vt([self.message_id], seconds):
            raise self._lost()
        return asked + check_seconds("seconds", seconds)

    def _lost(self) -> LeaseLost:
        return LeaseLost(f"message {self.message_id} of queue {self._core.name!r}")

    def __repr__(self) -> str:
        return f"<message {self.message_id} of {self._core.name!r}, delivery {self.deliveries}>"


class AsyncPgmqCore(Generic[T]):
    """One queue on one database. Safe to share between threads and tasks."""

    def __init__(self, db: AsyncDatabase, name: str, codec: Codec[T]) -> None:
        self.db = db
        self.name = name
        self.channel = channel_of(name)
        self.codec = codec
        # The listener reads it whenever it connects; it holds no database, and so may outlive this one there.
        self._mending: dict[str, Any] = {"queue": name, "table": queue_table(name), "throttle_ms": None}

    def ring(self, throttle_ms: int | None) -> None:
        """What `greeting` is to bring about: at most one ring in so many milliseconds, or what the queue had."""
        self._mending["throttle_ms"] = throttle_ms

    @property
    def throttle(self) -> float:
        """Seconds in which a second message may have come without a ring."""
        # Not less than what is mended with by those who do not know better, which a listener elsewhere may have done.
        return max(self._mending["throttle_ms"] or 0, 250) / 1000

    async def greeting(self) -> tuple[Statement, Mapping[str, Any]] | None:
        """What a listener says to a queue that should ring. Before pgmq 1.8 nothing silences one."""
        statement = await AsyncPgmq(self.db, self.db).find(ENABLE_NOTIFY)
        return None if statement is None else (MEND_NOTIFY, self._mending)

    async def fetch(self, mode: ReadMode) -> list[Fetched]:
        """Lease messages, in the order in which to hand them out."""
        assert mode.vt is not None
        asked = time.monotonic()
        rows = await async_read_rows(self.db, self.name, mode)
        at_least = timedelta(seconds=mode.vt)
        return [
            Fetched(
                message_id=row["msg_id"],
                text=row["message"],
                headers=row["headers"],
                created_at=row["enqueued_at"],
                deliveries=row["read_ct"],
                held_until=asked + row.get("lease", at_least).total_seconds(),
            )
            for row in rows
        ]

    async def open(self, fetched: Fetched, ack_mode: AckMode) -> AsyncEnvelope[T] | None:
        """Decode a message; one that does not decode goes to the archive, and None comes back."""
        subject = f"message {fetched.message_id}"
        try:
            value = self.codec.decode(fetched.text or "null", subject=subject)
            headers = None if fetched.headers is None else JSON.decode(fetched.headers, subject=f"{subject}, headers")
        except CodecError as error:
            logger.warning("queue %r: moved to the archive: %s", self.name, error)
            await self.ack([fetched.message_id], "archive")
            return None
        return AsyncEnvelope(self, fetched, value, headers, ack_mode)

    async def ack(self, ids: Iterable[int], ack_mode: AckMode, *, connection: Any = None) -> list[int]:
        """Settle; returns the ids that were there."""
        settle = async_delete_batch if ack_mode == "delete" else async_archive_batch
        return await settle(self.db, self.name, ids, connection=connection)

    async def set_vt(self, ids: list[int], seconds: Seconds) -> list[int]:
        """Lease anew, or for 0 seconds give back; returns the ids that were there."""
        return [row["msg_id"] for row in await async_set_vt_rows(self.db, self.name, ids, seconds)]

    async def release(self, messages: Iterable[Fetched | AsyncEnvelope[T]]) -> None:
        """Give back what was not handed out and is surely still ours. Its count of reads stays."""
        now = time.monotonic()
        await self.set_vt([message.message_id for message in messages if now < _held_until(message)], 0)


def _held_until(message: Fetched | AsyncEnvelope[Any]) -> float:
    return message.held_until if isinstance(message, Fetched) else message._held_until
