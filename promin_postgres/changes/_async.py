"""AsyncPgChangeStream: the changes of one table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Generic, Self, TypeVar

from promin_postgres._time import Seconds, check_seconds
from promin_postgres.changes import _statements as sql
from promin_postgres.changes._async_change import AsyncChange
from promin_postgres.changes._async_core import AsyncReader, async_open
from promin_postgres.changes._async_install import AsyncInstallation
from promin_postgres.changes._async_sources import AsyncChanges, AsyncValues
from promin_postgres.changes._cursor import Cursor, Offset, Place, parse
from promin_postgres.changes._records import ConsumerState, Lag, Opened
from promin_postgres.changes._settings import ChangeSettings, check_columns, check_consumer, check_operations
from promin_postgres.codec import JSON, Codec
from promin_postgres.database import AsyncDatabase, AsyncDatabaseSource
from promin_postgres.errors import ConfigurationError, InvalidArgument, NotFound
from promin_postgres.streams import AsyncStream

T = TypeVar("T")

_LATEST = Offset.latest()
_FOR_EVER = "9223372036854775807"


class AsyncPgChangeStream(Generic[T]):
    """What happens to a table, from any saved position on: every committed change once per position, none missing.

    `install_trigger` has each statement on the table appended to a log. Readers of that log see a transaction when it
    has committed, whatever other transactions are open meanwhile, and is on disk. A change comes after all that it was
    made upon: applied one after another, changes give the table.

    Without triggers the table is polled by (`timestamp_column`, `sequence_column`): each row once per reader, at least
    once over several; one that is committed more than `overlap` after the newest row by then is missed; updates that do
    not change the timestamp, and deletes, are not seen. Use it where the table may not be altered.

    Safe to share between threads and tasks; each stream has one consumer at a time.

    Args:
        db: A database, pool, connection or conninfo, of the primary. A conninfo gets a pool of its own, which `close`
            closes.
        table: A plain or partitioned table, as "name" (in the schema below) or "schema.name", unquoted; the first dot
            divides.
        channel: On which the triggers ring; by default made from the name of the table.
        payload_column: What `value` is; None for the whole row as a dict.
        timestamp_column: When a row was made; None if there is no such column.
        sequence_column: An integer that orders rows of one timestamp; None if there is no such column.
        codec: How the payload, or the row, is decoded, and what `notify` takes is encoded.
        poll_interval: Between two looks while nothing rings, in seconds or as a timedelta.
        batch_size: Changes fetched at once, until they come to about 16 MB; those that one statement made may be up to
            127 more.
        schema: Where the log is, and the table if it has no schema; by default that of `db`.
        table_prefix: How the names of the log begin; by default that of `db`.
        overlap: How late a row may be committed to be found by polling, in seconds or as a timedelta.
        lease: For how long a consumer stays taken after its reader died, in seconds or as a timedelta.

    Raises:
        InvalidArgument, ConfigurationError
    """

    def __init__(
        self,
        db: AsyncDatabaseSource,
        *,
        table: str,
        channel: str | None = None,
        payload_column: str | None = None,
        timestamp_column: str | None = "created_at",
        sequence_column: str | None = "id",
        codec: Codec[T] = JSON,
        poll_interval: Seconds = 5.0,
        batch_size: int = 500,
        schema: str | None = None,
        table_prefix: str | None = None,
        overlap: Seconds = 60.0,
        lease: Seconds = 15.0,
    ) -> None:
        self._db = AsyncDatabase.of(db)
        self._owns_db = isinstance(db, str)
        self._sql = self._db.executor(schema=schema, table_prefix=table_prefix)
        self._codec = codec
        self._settings = ChangeSettings.checked(
            schema=self._sql.names.schema, table_prefix=self._sql.names.table_prefix, table=table, channel=channel,
            payload_column=payload_column, timestamp_column=timestamp_column, sequence_column=sequence_column,
            poll_interval=poll_interval, overlap=overlap, lease=lease, batch_size=batch_size,
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what this object opened itself. Its streams are closed on their own."""
        if self._owns_db:
            await self._db.close()

    async def install_trigger(
        self,
        *,
        operations: Sequence[str] = ("insert",),
        columns: Sequence[str] | None = None,
        when: str | None = None,
    ) -> None:
        """Have changes of the table logged from now on; what was installed otherwise is replaced.

        Waits for transactions that write to the table, and holds up others until it has committed: so nothing falls
        between the rows that are there and the log. Replacing waits for those that read, too. Where the same is
        installed already it waits for nobody, so that every process may call it as it starts.

        Partitions get triggers too, for what is written to them directly; call it again after one was attached or
        detached, and after the primary key was changed. Rows that a partition brings along or takes away are not
        changes, nor is what is written under session_replication_role = replica. Where a column named here is dropped
        or renamed, writing to the table fails until it is called again. While a reader waits PREPARE TRANSACTION fails,
        which PostgreSQL refuses after NOTIFY.

        Args:
            operations: Of "insert", "update", "delete", "truncate"; none of them to log only what is notified. A
                truncate of a partition is logged under the name of the partition, beside that of the table if the whole
                was truncated.
            columns: Those to record, with the primary key and the payload column; None for all, later ones included.
            when: An SQL condition on each row, which may speak of `new` and `old`: `"new.total > 100"`. Of an insert
                `old` is all NULL, of a delete `new`. Names other than columns have to be qualified. Your own SQL, like
                the condition of a view: never a user's input.

        Raises:
            ConfigurationError: There is no such table, or it lacks a column.
            InvalidArgument
            psycopg.Error: The condition is faulty; nothing was changed.

        Source: sql/changes/create_function.sql. Safe when many processes start at once.
        """
        wanted, picked = check_operations(operations), check_columns(columns)
        if when is not None and not isinstance(when, str):
            raise InvalidArgument("when", when, "must be an SQL condition, or None")
        problem = None
        async with self._db.transaction() as connection:
            installation = AsyncInstallation(self._db, self._sql, self._settings, connection)
            table = await installation.lock()
            problem = installation.problem(table, picked)
            if table is not None and problem is None:
                await installation.install(table, wanted, picked, when)
        if problem is not None:
            raise ConfigurationError(problem)

    async def remove_trigger(self) -> None:
        """Remove the triggers with their function, the log of this table, and its consumers: nothing is left behind.

        Streams that are open raise ConfigurationError. Does nothing when there are none. Source:
        sql/changes/unregister.sql.
        """
        async with self._db.transaction() as connection:
            installation = AsyncInstallation(self._db, self._sql, self._settings, connection)
            await installation.remove(await installation.lock())

    def subscribe(self, *, consumer: str | None = None) -> AsyncStream[T]:
        """Values from now on: `subscribe_from(Offset.latest(), consumer=consumer)`."""
        return self.subscribe_from(_LATEST, consumer=consumer)

    def subscribe_from(self, offset: Offset, *, consumer: str | None = None) -> AsyncStream[T]:
        """Values as they come: the payload column, or the row as a dict; of deleted rows too.

        One that does not decode is logged and left out. What was handed out counts as done when the next one is asked
        for; that is written down once per batch, so that after a crash the values of a batch may come again.

        Args:
            offset: As in `changes`.
            consumer: As in `changes`.
        """
        return AsyncStream(AsyncValues(self._changes(offset, consumer), acks=consumer is not None))

    def changes(self, offset: Offset = _LATEST, *, consumer: str | None = None) -> AsyncStream[AsyncChange[T]]:
        """Changes as they come.

        Args:
            offset: Where to begin. The place is looked up when the first change is asked for; to fix it earlier, take
                `position()` and give `Offset.cursor(position)`.
            consumer: A name under which the position is kept: moved by `ack`, and used instead of `offset` from the
                second time on. One stream at a time reads for it, wherever it is; others wait, and take over when that
                one is closed, or `lease` after its process died.

        Raises (from the stream):
            CursorInvalid: The position is of another cluster, or older than what was pruned.
            LeaseLost: Another process reads for this consumer now, after this one was silent for `lease`.
            ConfigurationError: The triggers were removed, or the table has none and cannot be polled.

        Source: sql/changes/fetch.sql. A broken connection is mended, and reading goes on where it was; only while the
        rows of `Offset.earliest()` are read does it end the stream. A position saved before the last of those rows
        begins with all of them again.
        """
        return AsyncStream(self._changes(offset, consumer))

    def _changes(self, offset: Offset, consumer: str | None) -> AsyncChanges[T]:
        if not isinstance(offset, Offset):
            raise InvalidArgument("offset", offset, "must be an Offset")
        reader = AsyncReader(self._db, self._settings, self._codec, check_consumer(consumer))
        return AsyncChanges(reader, offset)

    async def notify(self, value: T, *, connection: Any = None) -> None:
        """Append a record of your own to the log of the table, of any size; readers get it as a change "notify".

        Args:
            connection: Append in this connection's transaction: rolled back means never sent.

        Raises:
            CodecError: The value does not encode; nothing was written.
            ConfigurationError: The table has no triggers, so nobody would read it.
        """
        params = {"value": self._codec.encode(value, subject="value"), "ring": connection is not None}
        if await self._sql.fetch_one(sql.NOTIFY, self._settings.where | params, connection=connection) is None:
            raise self._without_triggers()

    async def position(self) -> str:
        """The end of the log now, for `Offset.cursor`: what commits from now on comes after it."""
        opened = await self._open()
        return Cursor(opened.system, opened.snapshot, opened.snapshot).text

    async def lag(self, consumer: str) -> Lag:
        """How far a consumer is behind. Reads what it has not read yet; source: sql/changes/lag.sql.

        Before the rows of `Offset.earliest()` have been read, only what is in the log is counted.

        Raises:
            NotFound: There is no such consumer.
        """
        opened = await self._open()
        for state in await self.consumers():
            if state.consumer == consumer:
                place: Place = parse(state.position)
                if not isinstance(place, Cursor):
                    place = Cursor(opened.system, "1:1:", "1:1:")
                params = {
                    "stream": opened.stream, "low": place.low, "high": place.high,
                    "seq": place.seq, "item": place.item,
                }  # fmt: skip
                row = await self._sql.fetch_one(sql.LAG, params)
                assert row is not None
                return Lag(rows=row["rows"], seconds=row["age"].total_seconds() if row["rows"] else 0.0)
        raise NotFound("consumer", consumer)

    async def consumers(self) -> list[ConsumerState]:
        """The named consumers of this table, by name."""
        rows = await self._sql.fetch_all(sql.CONSUMERS, self._settings.where)
        return [ConsumerState(**row) for row in rows]

    async def prune(self, older_than: Seconds, force: bool = False) -> int:
        """Delete changes older than this from the log; returns how many.

        What a consumer has not acknowledged stays, unless forced; what an open transaction may still add to stays too.
        A cursor that may have had to read what is gone raises CursorInvalid.

        Args:
            older_than: Seconds or a timedelta.
            force: Do not spare slow consumers; they raise CursorInvalid then.

        Source: sql/changes/prune.sql.
        """
        age = timedelta(seconds=check_seconds("older_than", older_than))
        opened = await self._open()
        if opened.stream is None:
            raise self._without_triggers()
        floor = _FOR_EVER if force else await self._slowest()
        row = await self._sql.fetch_one(sql.PRUNE, {"stream": opened.stream, "older_than": age, "floor": floor})
        assert row is not None
        return int(row["rows"])

    async def _slowest(self) -> str:
        """The transaction before which every consumer has read everything; one that reads the table now has not."""
        places = [parse(state.position) for state in await self.consumers()]
        below = [place.seen_below if isinstance(place, Cursor) else 0 for place in places]
        return str(min(below)) if below else _FOR_EVER

    async def _open(self) -> Opened:
        return await async_open(self._sql, self._settings)

    def _without_triggers(self) -> ConfigurationError:
        return ConfigurationError(f"the table {self._settings.label} has no triggers: call install_trigger")
