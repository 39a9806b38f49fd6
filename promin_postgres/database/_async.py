"""AsyncDatabase: one way to a server, whatever the caller has."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar, cast

import psycopg
from psycopg import AsyncConnection, AsyncCursor, pq
from psycopg.adapt import AdaptersMap
from psycopg.rows import AsyncRowFactory, dict_row, tuple_row
from psycopg_pool import AsyncConnectionPool

from promin_postgres._statement import SqlNames, Statement
from promin_postgres._wait import AsyncRLock, async_sleep
from promin_postgres.database._adapt import async_driver_connection
from promin_postgres.database._adapters import ADAPTERS
from promin_postgres.database._conninfo import check_conninfo, conninfo_of
from promin_postgres.database._cursors import Cursors
from promin_postgres.database._loss import LOOK_EVERY, may_be_dead, retry_pause
from promin_postgres.errors import ConfigurationError, InvalidArgument

R = TypeVar("R")


class AsyncDatabase:
    """A psycopg pool, or a single connection, as every component takes it.

    Args:
        source: A pool or a connection; borrowed, never closed. A connection that is in a transaction keeps it: what
            is written joins it. On an idle one each operation commits itself.
        schema: Where the tables are; the default of every component made on this database.
        table_prefix: How the names of the tables begin; likewise.
        listen_dsn: A direct conninfo for LISTEN and session locks, for when `source` leads to a transaction pooler.

    Raises:
        ConfigurationError: The table prefix is malformed.
        InvalidArgument: `source` is of another kind.
    """

    def __init__(
        self,
        source: AsyncConnectionPool[Any] | AsyncConnection[Any],
        *,
        schema: str = "public",
        table_prefix: str = "wf_",
        listen_dsn: str | None = None,
    ) -> None:
        self._pool = source if isinstance(source, AsyncConnectionPool) else None
        self._connection = source if isinstance(source, AsyncConnection) else None
        if self._pool is None and self._connection is None:
            # Only the type is shown: a string is a conninfo in the wrong place, password and all.
            raise InvalidArgument(
                "db", type(source), "must be an AsyncConnectionPool or an AsyncConnection (`connect` takes a conninfo)"
            )
        self.names = SqlNames(schema, table_prefix)
        self._listen_dsn = None if listen_dsn is None else check_conninfo("listen_dsn", listen_dsn)
        self._owned = False
        self._cursors: Cursors[AsyncCursor[Any]] = Cursors()
        self._lock = AsyncRLock()
        self._pid = os.getpid()

    @classmethod
    def connect(
        cls,
        conninfo: str,
        *,
        schema: str = "public",
        table_prefix: str = "wf_",
        listen_dsn: str | None = None,
        min_size: int = 1,
        max_size: int = 10,
        timeout: float = 30.0,
        prepare_threshold: int | None = 5,
    ) -> AsyncDatabase:
        """A database with an autocommit pool of its own, opened at its first use and closed by `close`.

        Args:
            conninfo: A libpq connection string or URL.
            min_size: Connections kept open.
            max_size: Connections open at most.
            timeout: Seconds to wait for a free connection.
            prepare_threshold: After how many executions a statement is prepared; None behind an old pooler.
        """
        check_conninfo("conninfo", conninfo)
        db = cls(
            _make_pool(
                conninfo,
                min_size=min_size,
                max_size=max_size,
                timeout=timeout,
                kwargs={"autocommit": True, "prepare_threshold": prepare_threshold},
            ),
            schema=schema,
            table_prefix=table_prefix,
            listen_dsn=listen_dsn,
        )
        db._owned = True
        return db

    @classmethod
    def of(cls, db: AsyncDatabaseSource) -> AsyncDatabase:
        """`db` itself, or a new database around what it is. A conninfo string gets a pool of its own."""
        if isinstance(db, AsyncDatabase):
            return db
        return cls.connect(db) if isinstance(db, str) else cls(db)

    @classmethod
    @asynccontextmanager
    async def borrow(cls, db: AsyncDatabaseSource) -> AsyncIterator[AsyncDatabase]:
        """As `of`, for one piece of work: what was made for a conninfo string is closed at the end of the block."""
        if isinstance(db, str):
            async with cls.connect(db, max_size=1) as made:
                yield made
        else:
            yield cls.of(db)

    @property
    def conninfo(self) -> str:
        """How to reach the server, password included."""
        return conninfo_of(self._pool if self._pool is not None else cast(AsyncConnection[Any], self._connection))

    @property
    def listen_conninfo(self) -> str:
        """How to reach the server directly, for LISTEN and session locks."""
        return self._listen_dsn or self.conninfo

    @property
    def is_connection(self) -> bool:
        """Whether this is a single borrowed connection, shared by everything that runs on it."""
        return self._connection is not None

    async def __aenter__(self) -> AsyncDatabase:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pool, if it is our own. A new one is opened at the next use."""
        if self._owned and self._pid == os.getpid():
            old = cast(AsyncConnectionPool[Any], self._pool)
            self._pool = _pool_like(old)
            self._cursors.clear()
            await old.close()

    def executor(self, *, schema: str | None = None, table_prefix: str | None = None) -> AsyncExecutor:
        """Runs statements with these names, or with the names of this database."""
        if schema is None and table_prefix is None:
            return AsyncExecutor(self, self.names)
        names = SqlNames(
            self.names.schema if schema is None else schema,
            self.names.table_prefix if table_prefix is None else table_prefix,
        )
        return AsyncExecutor(self, names)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Borrow a connection. Raise domain errors only after it was given back: an exception inside rolls back."""
        if self._connection is not None:
            self._check_process()
            async with self._lock:
                yield self._connection
        else:
            pool = await self._open()
            async with pool.connection() as connection:
                yield connection

    @asynccontextmanager
    async def _lend(self) -> AsyncIterator[AsyncConnection[Any]]:
        """As `connection`, a quarter of a round trip cheaper: who begins a transaction in the block ends it there."""
        if self._connection is not None:
            async with self.connection() as connection:
                yield connection
        else:
            pool = await self._open()
            connection = await pool.getconn()
            try:
                yield connection
            finally:
                await pool.putconn(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Borrow a connection with a transaction open on it; a savepoint where the caller has one open already."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def dedicated(self) -> AsyncConnection[Any]:
        """A new autocommit connection outside the pool, for LISTEN and session locks. The caller closes it."""
        return await AsyncConnection.connect(self.listen_conninfo, autocommit=True)

    async def _open(self) -> AsyncConnectionPool[Any]:
        self._check_process()
        pool = cast(AsyncConnectionPool[Any], self._pool)
        if self._owned and pool.closed:
            async with self._lock:
                if pool.closed:
                    # A pool keeps the reason of a failure to itself until it times out; this tells it at once.
                    probe = await AsyncConnection.connect(
                        cast(str, pool.conninfo), **cast("dict[str, Any]", pool.kwargs)
                    )
                    await probe.close()
                    # Filled before it is used, it does not grow at once: a loop that ends while a connection is being
                    # made can hang in psycopg_pool.
                    await pool.open(wait=True, timeout=pool.timeout)
        return pool

    def _check_process(self) -> None:
        """After a fork the child shares sockets with its parent: two processes would read each other's answers."""
        if self._pid == os.getpid():
            return
        if not self._owned:
            raise ConfigurationError(
                "this database was opened before the process forked, and its connections belong to the parent: "
                "make a new pool or connection in the child (in gunicorn: in post_fork)"
            )
        with _AFTER_FORK:
            if self._pid != os.getpid():
                _PARENTS_POOLS.append(self._pool)
                self._pool = _pool_like(cast(AsyncConnectionPool[Any], self._pool))
                self._lock = AsyncRLock()
                self._pid = os.getpid()


_AFTER_FORK = threading.Lock()

_PARENTS_POOLS: list[Any] = []
"""Pools of the parent of this process: kept, because one that is collected asks its threads, left behind, to stop."""

AsyncDatabaseSource: TypeAlias = AsyncDatabase | AsyncConnectionPool[Any] | AsyncConnection[Any] | str
"""What every component takes as `db`."""


class AsyncExecutor:
    """Runs statements by name on a database: one round trip each, in autocommit.

    Every method takes `connection=`: given one, the statement runs there, in the caller's transaction, and is neither
    committed nor sent again. Without one, an idempotent statement is sent again for up to 30 seconds when the
    connection breaks, and any statement is after a deadlock.
    """

    def __init__(self, db: AsyncDatabase, names: SqlNames) -> None:
        self.db = db
        self.names = names

    async def execute(
        self, statement: Statement, params: Mapping[str, Any] | None = None, *, connection: Any = None
    ) -> int:
        """Run it; returns the number of rows touched."""
        count, _ = await self._run(statement, params, connection, tuple_row)
        return count

    async def fetch_all(
        self, statement: Statement, params: Mapping[str, Any] | None = None, *, connection: Any = None
    ) -> list[dict[str, Any]]:
        """Run it; returns its rows in the order it gives them."""
        _, rows = await self._run(statement, params, connection, dict_row)
        return rows

    async def fetch_tuples(
        self, statement: Statement, params: Mapping[str, Any] | None = None, *, connection: Any = None
    ) -> list[tuple[Any, ...]]:
        """As `fetch_all`, its rows as tuples: half the price, for where they are many or each microsecond counts."""
        _, rows = await self._run(statement, params, connection, tuple_row)
        return rows

    async def fetch_one(
        self, statement: Statement, params: Mapping[str, Any] | None = None, *, connection: Any = None
    ) -> dict[str, Any] | None:
        """Run it; returns its first row, or None."""
        _, rows = await self._run(statement, params, connection, dict_row)
        return rows[0] if rows else None

    async def _run(
        self,
        statement: Statement,
        params: Mapping[str, Any] | None,
        connection: Any,
        rows_as: AsyncRowFactory[R],
    ) -> tuple[int, list[R]]:
        given = params or {}
        if given.keys() != statement.parameters:
            raise TypeError(f"{statement.name} takes {sorted(statement.parameters)}, was given {sorted(given)}")
        query = self.names.render(statement)
        if connection is not None:
            return await _send(await async_driver_connection(connection), query, params, statement.prepare, rows_as)
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._send_once(statement, query, params, rows_as)
            except psycopg.Error as error:
                pause = retry_pause(
                    error, idempotent=statement.idempotent, attempt=attempt, elapsed=time.monotonic() - started
                )
                if pause is None or self.db.is_connection:
                    raise
            await async_sleep(pause)

    async def _send_once(
        self, statement: Statement, query: bytes, params: Mapping[str, Any] | None, rows_as: AsyncRowFactory[R]
    ) -> tuple[int, list[R]]:
        prepare = statement.prepare
        async with self.db._lend() as connection:
            if not connection.autocommit and connection.pgconn.transaction_status == pq.TransactionStatus.IDLE:
                async with connection.transaction():
                    return await _send(connection, query, params, prepare, rows_as)
            try:
                if rows_as is not tuple_row:
                    return await _send(connection, query, params, prepare, rows_as)
                cursors, name = self.db._cursors, statement.name
                cursor = cursors.take(connection, name) or _Cursor(connection, row_factory=rows_as)
                count, rows = await _fetch(cursor, query, params, prepare)
                cursors.keep(connection, name, cursor, rows=len(rows))
                return count, rows
            except psycopg.Error as error:
                # Raised inside the block it would cost this connection all its prepared statements.
                if connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                    raise
                failure = error
        raise failure


async def _send(
    connection: AsyncConnection[Any],
    query: bytes,
    params: Mapping[str, Any] | None,
    prepare: bool | None,
    rows_as: AsyncRowFactory[R],
) -> tuple[int, list[R]]:
    async with _Cursor(connection, row_factory=rows_as) as cursor:
        return await _fetch(cursor, query, params, prepare)


async def _fetch(
    cursor: AsyncCursor[R], query: bytes, params: Mapping[str, Any] | None, prepare: bool | None
) -> tuple[int, list[R]]:
    # Binary, because a caller's connection may have a DateStyle that psycopg does not read.
    await cursor.execute(query, params or None, prepare=prepare, binary=True)
    return cursor.rowcount, [] if cursor.rownumber is None else await cursor.fetchall()


class _Connection(AsyncConnection[Any]):
    looked_at = 0.0
    """When (monotonic) its socket was looked at."""


class _Cursor(AsyncCursor[R]):
    @property
    def adapters(self) -> AdaptersMap:
        return ADAPTERS


def _make_pool(conninfo: str, **options: Any) -> AsyncConnectionPool[Any]:
    return AsyncConnectionPool(conninfo, connection_class=_Connection, open=False, check=_check_connection, **options)


def _pool_like(old: AsyncConnectionPool[Any]) -> AsyncConnectionPool[Any]:
    return _make_pool(
        cast(str, old.conninfo), min_size=old.min_size, max_size=old.max_size, timeout=old.timeout, kwargs=old.kwargs
    )


async def _check_connection(connection: _Connection) -> None:
    now = time.monotonic()
    if now - connection.looked_at >= LOOK_EVERY:
        connection.looked_at = now
        if may_be_dead(connection):
            await AsyncConnectionPool.check_connection(connection)
