# Generated from _async.py by tools/twins.py. Do not edit: edit that and generate again.
"""PgQueue: a typed message queue on plain tables."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from promin_postgres._advisory import advisory_key
from promin_postgres._time import Seconds, check_seconds, delay_of
from promin_postgres.bell import Ear, open_ear
from promin_postgres.codec import JSON, Codec
from promin_postgres.database import Database, DatabaseSource
from promin_postgres.errors import InvalidArgument
from promin_postgres.queue import _statements as sql
from promin_postgres.queue._sync_core import Envelope, QueueCore
from promin_postgres.queue._sync_sources import Envelopes, Values
from promin_postgres.queue._records import AckMode, DeadMessage, QueueMetrics
from promin_postgres.queue._settings import QueueSettings, check_batch
from promin_postgres.streams import Sinkable, Stream

T = TypeVar("T")
V = TypeVar("V")  # of what `create` makes: type checkers do not solve T there


class PgQueue(Generic[T]):
    """A durable message queue in two tables, `pgq_<name>` and its archive. Made by `create` or `wrap`.

    Delivery is at least once, in the order of publication among the messages that wait; one that comes back, or whose
    transaction commits late, may be overtaken for up to a second. A message is handed to one consumer at a time: for
    `visibility_timeout` after it was fetched it is that consumer's, and nobody else's settling counts. After
    `max_attempts` deliveries without an ack it is dead: it stays with its last error until `requeue_dead`, or goes to
    the `dead_letter` sink.

    Safe to share between threads and tasks.
    """

    def __init__(self, core: QueueCore[T], *, schema: str, owns_db: bool) -> None:
        self._core = core
        self._schema = schema
        self._owns_db = owns_db
        self._ear: Ear | None = None

    @classmethod
    def create(
        cls,
        db: DatabaseSource,
        name: str,
        *,
        schema: str | None = None,
        codec: Codec[V] = JSON,
        visibility_timeout: Seconds = 30.0,
        batch_size: int = 10,
        poll_interval: Seconds = 1.0,
        max_attempts: int = 3,
        ack_mode: AckMode = "delete",
        notify: bool = True,
        durable_acks: bool = False,
        dead_letter: Sinkable[V] | None = None,
    ) -> PgQueue[V]:
        """The queue of this name, its tables made if they are missing.

        Args:
            db: A database, pool, connection or conninfo. A conninfo gets a pool of its own, which `close` closes.
            name: Must match [a-z][a-z0-9_]{0,46}.
            schema: Where the tables are; by default that of `db`. It must exist.
            codec: How values become JSON text and come back.
            visibility_timeout: For how long a fetched message is its consumer's, in seconds or as a timedelta.
            batch_size: Messages fetched ahead by a stream.
            poll_interval: Between two looks while nothing rings, in seconds or as a timedelta.
            max_attempts: Deliveries after which a message that was not acknowledged is dead.
            ack_mode: "delete", or "archive" to keep what was acknowledged.
            notify: Wake consumers that wait, by NOTIFY. Without it they poll.
            durable_acks: Let an ack or a nack wait for the disk. Without it a crash of the server, though not of a
                process, may deliver once more what was acknowledged in the last half second.
            dead_letter: Where dead messages go: anything with `publish`.

        Raises:
            InvalidArgument, ConfigurationError

        Source: sql/queue/create_table.sql. Safe when many processes start at once.
        """
        queue = cls._make(
            db, name, schema, codec, dead_letter,
            visibility_timeout=visibility_timeout, batch_size=batch_size, poll_interval=poll_interval,
            max_attempts=max_attempts, ack_mode=ack_mode, notify=notify, durable_acks=durable_acks,
        )  # fmt: skip
        try:
            queue._ensure_tables()
        except BaseException:
            queue.close()
            raise
        return queue

    @classmethod
    def wrap(
        cls,
        db: DatabaseSource,
        name: str,
        *,
        schema: str | None = None,
        codec: Codec[V] = JSON,
        visibility_timeout: Seconds = 30.0,
        batch_size: int = 10,
        poll_interval: Seconds = 1.0,
        max_attempts: int = 3,
        ack_mode: AckMode = "delete",
        notify: bool = True,
        durable_acks: bool = False,
        dead_letter: Sinkable[V] | None = None,
    ) -> PgQueue[V]:
        """As `create`, for a queue whose tables are there: nothing is sent to the server."""
        return cls._make(
            db, name, schema, codec, dead_letter,
            visibility_timeout=visibility_timeout, batch_size=batch_size, poll_interval=poll_interval,
            max_attempts=max_attempts, ack_mode=ack_mode, notify=notify, durable_acks=durable_acks,
        )  # fmt: skip

    @classmethod
    def _make(
        cls,
        db: DatabaseSource,
        name: str,
        schema: str | None,
        codec: Codec[V],
        dead_letter: Sinkable[V] | None,
        **settings: Any,
    ) -> PgQueue[V]:
        checked = QueueSettings.checked(name=name, **settings)
        database = Database.of(db)
        where = database.names.schema if schema is None else schema
        core = QueueCore(database, checked, where, codec, dead_letter)
        return PgQueue(core, schema=where, owns_db=isinstance(db, str))

    def _ensure_tables(self) -> None:
        tables = {token: self._core.sql.names.fill(f"{{{token}}}") for token in ("queue", "archive")}
        row = self._core.sql.fetch_one(sql.EXISTS, tables)
        if row is not None and row["found"]:
            return
        with self._core.db.transaction() as connection:
            key = advisory_key("create queue", self._schema)
            self._core.sql.execute(sql.LOCK_CREATION, {"key": key}, connection=connection)
            for statement in sql.CREATE:
                self._core.sql.execute(statement, connection=connection)

    @property
    def name(self) -> str:
        return self._core.settings.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and close what this queue opened itself. Its streams are closed on their own."""
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()
        if self._owns_db:
            self._core.db.close()

    def publish(
        self,
        value: T,
        *,
        delay: Seconds | datetime = 0,
        headers: Mapping[str, Any] | None = None,
        connection: Any = None,
    ) -> int:
        """Append a message; returns its id.

        Args:
            delay: Seconds or a timedelta to wait before it is delivered, or the aware moment to wait for.
            headers: A JSON object that travels with it.
            connection: Publish in this connection's transaction: rolled back means never published.

        Raises:
            CodecError: The value or the headers do not encode; nothing was written.
            InvalidArgument

        Source: sql/queue/publish.sql. Once this has returned outside a transaction, the message is on disk.
        """
        return (self.publish_many([value], delay=delay, headers=headers, connection=connection))[0]

    def publish_many(
        self,
        values: Iterable[T],
        *,
        delay: Seconds | datetime = 0,
        headers: Mapping[str, Any] | None = None,
        connection: Any = None,
    ) -> list[int]:
        """Append messages in one statement, all or none; returns their ids in the order of `values`. As `publish`."""
        texts = self._core.encode(list(values))
        if not texts:
            return []
        if headers is not None and not isinstance(headers, Mapping):
            raise InvalidArgument("headers", headers, "must be a mapping")
        params = (
            {"texts": texts, "headers": None if headers is None else JSON.encode(dict(headers), subject="headers")}
            | delay_of(delay)
            | self._core.bell(connection)
        )
        return [row["id"] for row in self._core.sql.fetch_all(sql.PUBLISH, params, connection=connection)]

    def subscribe(self, *, batch_size: int | None = None, until_empty: bool = False) -> Stream[T]:
        """Values as they come; each is acknowledged as it is handed out, and never earlier.

        To an operator that pulls ahead (par_map, merge, batched) a value is handed out when it is pulled. What it still
        holds when the stream closes is published anew.

        Args:
            batch_size: Messages fetched ahead; what is not handed out is given back when the stream closes.
            until_empty: End when no message waits.
        """
        return Stream(Values(self._envelopes(batch_size, None, until_empty), self.publish))

    def subscribe_ack(
        self,
        *,
        visibility_timeout: Seconds | None = None,
        batch_size: int | None = None,
        until_empty: bool = False,
    ) -> Stream[Envelope[T]]:
        """Envelopes as they come; settle each with `ack` or `nack`.

        Args:
            visibility_timeout: By default that of the queue.
            batch_size: Messages fetched ahead; what is not handed out is given back when the stream closes, and that
                costs no delivery.
            until_empty: End when no message waits.
        """
        return Stream(self._envelopes(batch_size, visibility_timeout, until_empty))

    def _envelopes(
        self, batch_size: int | None, visibility_timeout: Seconds | None, until_empty: bool
    ) -> Envelopes[T]:
        return Envelopes(
            self._core,
            batch_size=self._core.settings.batch_size if batch_size is None else check_batch("batch_size", batch_size),
            visibility_timeout=self._timeout(visibility_timeout),
            until_empty=until_empty,
        )

    def receive(
        self, max_messages: int = 1, *, visibility_timeout: Seconds | None = None, wait: Seconds = 0
    ) -> list[Envelope[T]]:
        """Lease up to `max_messages`, oldest first.

        Args:
            visibility_timeout: By default that of the queue.
            wait: For how long to wait for the first one, in seconds or as a timedelta.

        Source: sql/queue/claim.sql. No message is handed to two consumers within its visibility timeout.
        """
        limit = check_batch("max_messages", max_messages)
        timeout = self._timeout(visibility_timeout)
        ends = time.monotonic() + check_seconds("wait", wait)
        while True:
            if self._ear is not None:
                self._ear.clear()
            fetched = self._core.fetch(limit, timeout)
            opened = [self._core.open(message) for message in fetched]
            envelopes = [envelope for envelope in opened if envelope is not None]
            left = ends - time.monotonic()
            if envelopes or (left <= 0 and not fetched):
                return envelopes
            if not fetched:
                if self._ear is None:
                    self._ear = open_ear(self._core.db, self._core.channel)
                self._ear.wait(min(left, self._core.settings.poll_interval))

    def pop(self, max_messages: int = 1) -> list[T]:
        """Take up to `max_messages` out of the queue, oldest first, acknowledged at once: at most once delivery."""
        envelopes = self.receive(max_messages)
        acked = set(self._core.ack(envelopes)) if envelopes else set()
        return [envelope.value for envelope in envelopes if envelope.message_id in acked]

    def ack_many(self, envelopes: Iterable[Envelope[T]], *, connection: Any = None) -> list[int]:
        """Acknowledge in one statement; returns the ids whose lease was lost, which were left alone."""
        given = list(envelopes)
        return _lost(given, self._core.ack(given, connection=connection) if given else [])

    def nack_many(
        self, envelopes: Iterable[Envelope[T]], *, delay: Seconds = 0, error: object = None
    ) -> list[int]:
        """Give back in one statement; returns the ids whose lease was lost, which were left alone."""
        given = list(envelopes)
        return _lost(given, self._core.nack(given, delay=delay, error=error) if given else [])

    def metrics(self) -> QueueMetrics:
        """How many messages there are, by state. Reads the whole queue. Source: sql/queue/metrics.sql."""
        row = self._core.sql.fetch_one(sql.METRICS)
        assert row is not None
        counts = {state: row[state] for state in ("pending", "processing", "completed", "dead")}
        return QueueMetrics(**counts, total=sum(counts.values()), oldest_age=row["oldest_age"])

    def dead_messages(self, limit: int = 100) -> list[DeadMessage]:
        """Dead messages with their last errors, oldest first. Source: sql/queue/peek_dead.sql."""
        rows = self._core.sql.fetch_all(sql.PEEK_DEAD, {"limit": check_batch("limit", limit)})
        return [
            DeadMessage(
                message_id=row["id"],
                text=row["value"],
                headers=None if row["headers"] is None else JSON.decode(row["headers"]),
                created_at=row["created_at"],
                deliveries=row["deliveries"],
                dead_at=row["dead_at"],
                error=row["error"],
            )
            for row in rows
        ]

    def requeue_dead(self) -> int:
        """Let dead messages, and those whose lease ran out, wait again with all their attempts; returns how many."""
        return self._core.sql.execute(sql.REQUEUE_DEAD)

    def purge(self) -> int:
        """Delete every message, the archive's included; returns how many."""
        row = self._core.sql.fetch_one(sql.PURGE)
        return 0 if row is None else int(row["purged"])

    def drop(self) -> None:
        """Drop the tables of the queue."""
        self._core.sql.execute(sql.DROP)

    def _timeout(self, given: Seconds | None) -> float:
        if given is None:
            return self._core.settings.visibility_timeout
        return check_seconds("visibility_timeout", given, positive=True)


def _lost(envelopes: Sequence[Envelope[Any]], settled: list[int]) -> list[int]:
    kept = set(settled)
    return [envelope.message_id for envelope in envelopes if envelope.message_id not in kept]
