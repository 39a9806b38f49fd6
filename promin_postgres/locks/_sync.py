# Generated from _async.py by tools/twins.py. Do not edit: edit that and generate again.
"""SessionLocks: many advisory locks, one connection."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
from psycopg import Connection

from promin_postgres._wait import RLock
from promin_postgres.database import Database
from promin_postgres.locks._statements import KEEPALIVE, TRY_LOCK, UNLOCK


class SessionLocks:
    """Session advisory locks held on one dedicated connection, whatever their number.

    They end with the connection: at once when this process dies. A session lock can be taken twice by its own session,
    so the keys held here are remembered: `try_lock` refuses them.

    Source: sql/locks/try_lock.sql. At most one session of the database holds a key.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._sql = db.executor()
        self._connection: Connection[Any] | None = None
        self._held: set[int] = set()
        self._lock = RLock()

    def try_lock(self, key: int) -> bool:
        """Take the lock; False when anybody holds it, this object included."""
        with self._lock:
            connection = self._connect()
            if key in self._held:
                return False
            row = self._sql.fetch_one(TRY_LOCK, {"key": key}, connection=connection)
            if row is not None and row["locked"]:
                self._held.add(key)
                return True
            return False

    def unlock(self, key: int) -> None:
        """Give the lock back; does nothing when it is not held any more."""
        with self._lock:
            if key in self._held:
                self._held.discard(key)
                with suppress(psycopg.OperationalError):  # a broken connection has given it back already
                    self._sql.fetch_one(UNLOCK, {"key": key}, connection=self._connection)

    def holds(self, key: int) -> bool:
        """Whether the lock is held, as far as can be told without asking the server."""
        return key in self._held and self._connection is not None and not self._connection.closed

    def close(self) -> None:
        """Close the connection, and give every lock back with it."""
        with self._lock:
            self._held.clear()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connect(self) -> Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._held.clear()
            self._connection = self._db.dedicated()
            self._sql.fetch_one(KEEPALIVE, connection=self._connection)
        return self._connection
