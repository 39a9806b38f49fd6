"""AsyncPgmqQueue: a typed message queue on the pgmq extension."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from promin_postgres._time import Seconds, check_seconds
from promin_postgres.codec import JSON, Codec
from promin_postgres.database import AsyncDatabase, AsyncDatabaseSource
from promin_postgres.errors import InvalidArgument
from promin_postgres.pgmq._async_calls import AsyncPgmq
from promin_postgres.pgmq._async_core import AsyncEnvelope, AsyncPgmqCore
from promin_postgres.pgmq._async_messages import async_send, async_send_batch
from promin_postgres.pgmq._async_queues import (
    async_create_partitioned_queue,
    async_create_queue,
    async_create_unlogged_queue,
    async_disable_notify,
    async_drop_queue,
    async_enable_notify,
    async_metrics,
    async_purge_queue,
)
from promin_postgres.pgmq._async_sources import AsyncEnvelopes, AsyncValues
from promin_postgres.pgmq._records import AckMode, PgmqMetrics
from promin_postgres.pgmq._settings import (
    FifoMessage,
    Headers,
    Partitions,
    ReadMode,
    check_ack_mode,
    check_queue_name,
    milliseconds,
)
from promin_postgres.pgmq._statements import LIST_QUEUES
from promin_postgres.streams import AsyncStream

T = TypeVar("T")
V = TypeVar("V")  # of what `create` makes: type checkers do not solve T there


class AsyncPgmqQueue(Generic[T]):
    """A durable message queue of pgmq. Made by `create` or `wrap`.

    Delivery is at least once: a message is handed to one consumer at a time, for `vt` after it was read, and comes
    again unless it is acknowledged by then. pgmq counts reads but bounds them by nothing, and does not know who holds a
    message (see AsyncEnvelope for what late acks do). Any other client of pgmq may work on the same queue.

    Safe to share between threads and tasks.
    """

    def __init__(
        self, core: AsyncPgmqCore[T], *, mode: ReadMode, poll_interval: float, ack_mode: AckMode, owns_db: bool
    ) -> None:
        self._core = core
        self._mode = mode
        self._poll_interval = poll_interval
        self._ack_mode: AckMode = ack_mode
        self._owns_db = owns_db

    @classmethod
    async def create(
        cls,
        db: AsyncDatabaseSource,
        name: str,
        *,
        codec: Codec[V] = JSON,
        vt: Seconds = 30,
        qty: int = 10,
        poll_interval: Seconds = 1.0,
        ack_mode: AckMode = "delete",
        unlogged: bool = False,
        partitioned: Partitions | None = None,
    ) -> AsyncPgmqQueue[V]:
        """The queue of this name, made if it is missing. One that is there stays of the kind that it is.

        Args:
            db: A database, pool, connection or conninfo. A conninfo gets a pool of its own, which `close` closes.
            name: 1 to 47 of a-z, 0-9, _ and -.
            codec: How values become JSON text and come back. pgmq keeps them as jsonb, which forgets the order of keys,
                and that 1e16 was a float.
            vt: For how long a message that was read is its consumer's, in seconds or as a timedelta; pgmq counts in
                whole seconds, rounded up.
            qty: Messages read ahead by a stream.
            poll_interval: Between two looks while nothing rings, in seconds or as a timedelta. Nothing rings before
                `enable_notify`, and for messages that were delayed.
            ack_mode: "delete", or "archive" to keep what was acknowledged.
            unlogged: Make it faster, and empty after a crash of the server. From PostgreSQL 15 on its ids begin anew
                then: let no consumer acknowledge what it had read before.
            partitioned: Make it in partitions; needs pg_partman.

        Raises:
            InvalidArgument
            ConfigurationError: This database has no pgmq; says what can be done.
        """
        if unlogged and partitioned is not None:
            raise InvalidArgument("unlogged", unlogged, "a partitioned queue cannot be unlogged")
        queue = await cls.wrap(db, name, codec=codec, vt=vt, qty=qty, poll_interval=poll_interval, ack_mode=ack_mode)
        try:
            await queue._ensure(unlogged=unlogged, partitioned=partitioned)
        except BaseException:
            await queue.close()
            raise
        return queue

    @classmethod
    async def wrap(
        cls,
        db: AsyncDatabaseSource,
        name: str,
        *,
        codec: Codec[V] = JSON,
        vt: Seconds = 30,
        qty: int = 10,
        poll_interval: Seconds = 1.0,
        ack_mode: AckMode = "delete",
    ) -> AsyncPgmqQueue[V]:
        """As `create`, for a queue that is there: nothing is sent to the server."""
        check_queue_name("name", name)
        mode = ReadMode.standard(vt=vt, qty=qty)
        interval = check_seconds("poll_interval", poll_interval, positive=True)
        check_ack_mode(ack_mode)
        core = AsyncPgmqCore(AsyncDatabase.of(db), name, codec)
        return AsyncPgmqQueue(core, mode=mode, poll_interval=interval, ack_mode=ack_mode, owns_db=isinstance(db, str))

    async def _ensure(self, *, unlogged: bool, partitioned: Partitions | None) -> None:
        db = self._core.db
        # Making a queue that is there would wait for everybody who uses it.
        if await AsyncPgmq(db, db).run(LIST_QUEUES, {"queue": self.name}):
            return
        if partitioned is not None:
            await async_create_partitioned_queue(db, self.name, partitioned)
        elif unlogged:
            await async_create_unlogged_queue(db, self.name)
        else:
            await async_create_queue(db, self.name)

    @property
    def name(self) -> str:
        return self._core.name

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what this queue opened itself. Its streams are closed on their own."""
        if self._owns_db:
            await self._core.db.close()

    async def publish(
        self,
        value: T | FifoMessage[T],
        *,
        delay: Seconds | datetime = 0,
        headers: Headers = None,
        connection: Any = None,
    ) -> int:
        """Append a message; returns its id.

        Args:
            value: What the codec takes; wrapped by `fifo_message` if it belongs to a group.
            delay: Seconds or a timedelta to wait before it is delivered, or the aware moment to wait for (pgmq 1.5).
            headers: A JSON object that travels with it (pgmq 1.5).
            connection: Publish in this connection's transaction: rolled back means never published.

        Raises:
            CodecError: The value or the headers do not encode; nothing was written.
            InvalidArgument, ConfigurationError

        Source: sql/pgmq/send.sql. Once this has returned outside a transaction, the message is on disk.
        """
        return await async_send(
            self._core.db, self.name, value,
            delay=delay, headers=headers, codec=self._core.codec, connection=connection,
        )  # fmt: skip

    async def publish_batch(
        self,
        values: Iterable[T | FifoMessage[T]],
        *,
        delay: Seconds | datetime = 0,
        headers: Headers | Sequence[Headers] = None,
        connection: Any = None,
    ) -> list[int]:
        """Append messages in one statement, all or none; returns their ids in the order of `values`. As `publish`.

        Args:
            headers: A mapping for all of them, or a sequence with the headers of each.
        """
        return await async_send_batch(
            self._core.db, self.name, values,
            delay=delay, headers=headers, codec=self._core.codec, connection=connection,
        )  # fmt: skip

    def subscribe(self, *, until_empty: bool = False) -> AsyncStream[T]:
        """Values as they come; each is acknowledged as it is handed out, and never earlier.

        What was read ahead and is not handed out is given back when the stream closes. That it was read stays counted
        in its `deliveries`: pgmq has no way to take that back. To an operator that pulls ahead (par_map, merge,
        batched) a value is handed out when it is pulled. What it still holds when the stream closes is published anew,
        without its headers.

        Args:
            until_empty: End when no message is visible.
        """
        return AsyncStream(AsyncValues(self._envelopes(None, None, None, until_empty), self.publish))

    def subscribe_ack(
        self,
        *,
        read_mode: ReadMode | None = None,
        poll_interval: Seconds | None = None,
        ack_mode: AckMode | None = None,
        until_empty: bool = False,
    ) -> AsyncStream[AsyncEnvelope[T]]:
        """Envelopes as they come; settle each with `ack` or `nack`.

        What was read ahead is given back as in `subscribe`.

        Args:
            read_mode: By default the oldest messages; `vt` and `qty` are those of the queue where it has none. Within
                a group, messages keep their order over a `nack` only if they are read one by one (`qty=1`, or
                `grouped_head`).
            poll_interval: By default that of the queue. A mode that waits on the server has its own.
            ack_mode: By default that of the queue.
            until_empty: End when no message is visible.
        """
        return AsyncStream(self._envelopes(read_mode, poll_interval, ack_mode, until_empty))

    def _envelopes(
        self,
        read_mode: ReadMode | None,
        poll_interval: Seconds | None,
        ack_mode: AckMode | None,
        until_empty: bool,
    ) -> AsyncEnvelopes[T]:
        own = self._mode
        assert own.vt is not None
        assert own.qty is not None
        return AsyncEnvelopes(
            self._core,
            mode=own if read_mode is None else read_mode.completed(own.vt, own.qty),
            poll_interval=self._poll_interval
            if poll_interval is None
            else check_seconds("poll_interval", poll_interval, positive=True),
            ack_mode=self._ack_mode if ack_mode is None else check_ack_mode(ack_mode),
            until_empty=until_empty,
        )

    async def metrics(self) -> PgmqMetrics:
        """How many messages there are. Reads the whole queue. Source: sql/pgmq/metrics.sql."""
        return await async_metrics(self._core.db, self.name)

    async def purge(self) -> int:
        """Delete every message, but not the archive; returns how many. Waits for whoever uses the queue."""
        return await async_purge_queue(self._core.db, self.name)

    async def drop(self) -> bool:
        """Drop the queue and its archive; False when it is gone already."""
        return await async_drop_queue(self._core.db, self.name)

    async def enable_notify(self, throttle: Seconds = 0.25) -> None:
        """Let the queue ring, so that consumers need not wait for their next poll (pgmq 1.7).

        It stays so until `disable_notify`, for producers and consumers everywhere. A crash of the server silences
        pgmq's notification; streams notice when they connect again, and mend it.

        Args:
            throttle: Ring not more often than that, in seconds or as a timedelta; 0 for no bound (before pgmq 1.8 it
                must be). Producers wait for each other's commit at the row of the throttle.
        """
        await async_enable_notify(self._core.db, self.name, throttle=throttle)
        self._core.ring(milliseconds("throttle", throttle))

    async def disable_notify(self) -> None:
        """Let the queue ring no more: consumers poll (pgmq 1.7)."""
        await async_disable_notify(self._core.db, self.name)
        self._core.ring(None)
