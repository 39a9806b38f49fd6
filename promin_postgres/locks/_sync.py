# Generated from _async.py by tools/twins.py. Do not edit: edit that and generate again.
"""SessionLocks: many advisory locks, one connection."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import Connection

from promin_postgres._wait import RLock, sleep
from promin_postgres.database import Database
from promin_postgres.database._loss import may_be_dead, retry_pause
from promin_postgres.locks._statements import KEEPALIVE, TRY_LOCK, UNLOCK, UNLOCK_ALL

logger = logging.getLogger(__name__)


class SessionLocks:
    """Session advisory locks held on one dedicated connection, whatever their number.

    They end with the connection: at once when this process dies. A session lock can be taken twice by its own session,
    so the keys held here are remembered, with their owners: `try_lock` refuses them, and who lost a lock with the
    connection cannot give back what another owner took since.

    Source: sql/locks/try_lock.sql. At most one session of the database holds a key.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._sql = db.executor()
        self._forget()

    def _forget(self) -> None:
        self._connection: Connection[Any] | None = None
        self._owners: dict[int, str] = {}
        self._lock = RLock()
        self._pid = os.getpid()

    def try_lock(self, key: int, *, owner: str) -> bool:
        """Take the lock; False when anybody holds it, this object included.

        For up to 30 seconds it is tried again when the connection breaks, or cannot be made.
        """
        self._check_process()
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._try_once(key, owner)
            except psycopg.Error as error:
                pause = retry_pause(error, idempotent=True, attempt=attempt, elapsed=time.monotonic() - started)
                if pause is None:
                    raise
            sleep(pause)

    def _try_once(self, key: int, owner: str) -> bool:
        with self._lock:
            connection = self._connect()
            if key in self._owners:
                return False
            try:
                row = self._sql.fetch_one(TRY_LOCK, {"key": key}, connection=connection)
            except BaseException:  # cancelled, perhaps: nobody knows whether it was granted
                self._give_back(key)
                raise
            if row is not None and row["locked"]:
                self._owners[key] = owner
            return key in self._owners

    def unlock(self, key: int, *, owner: str) -> None:
        """Give the lock back; does nothing when this owner does not hold it any more."""
        if self.holds(key, owner=owner):
            with self._lock:
                if self._owners.get(key) == owner:
                    del self._owners[key]
                    self._give_back(key)

    def holds(self, key: int, *, owner: str) -> bool:
        """Whether the owner holds the lock, as far as can be told without asking the server."""
        return (
            self._owners.get(key) == owner
            and self._connection is not None
            and not self._connection.closed
            and self._pid == os.getpid()
        )

    def check(self, key: int, *, owner: str) -> bool:
        """Whether the owner holds the lock; asks the server when the connection looks broken."""
        if self.holds(key, owner=owner):
            with self._lock:
                self._drop_broken()
        return self.holds(key, owner=owner)

    def close(self) -> None:
        """Give every lock back, and close the connection."""
        self._check_process()
        with self._lock:
            self._owners.clear()
            if self._connection is not None:
                with suppress(psycopg.OperationalError):  # a broken connection has given them back already
                    self._sql.fetch_one(UNLOCK_ALL, connection=self._connection)
                self._connection.close()
                self._connection = None

    def _give_back(self, key: int) -> None:
        if self._connection is not None:
            with suppress(psycopg.OperationalError):  # a broken connection has given it back already
                self._sql.fetch_one(UNLOCK, {"key": key}, connection=self._connection)

    def _connect(self) -> Connection[Any]:
        self._drop_broken()
        if self._connection is None:
            self._connection = self._db.dedicated()
            self._sql.fetch_one(KEEPALIVE, connection=self._connection)
        return self._connection

    def _drop_broken(self) -> None:
        """Notice that the connection broke, which it says only when it is used."""
        connection = self._connection
        if connection is None:
            return
        if not connection.closed and may_be_dead(connection):
            with suppress(psycopg.OperationalError):
                self._sql.fetch_one(KEEPALIVE, connection=connection)
        if connection.closed:
            if self._owners:
                logger.warning("the connection that held %d locks broke, and they are lost", len(self._owners))
            self._owners.clear()
            self._connection = None

    def _check_process(self) -> None:
        """After a fork the connection is the parent's, and its locks too: leave both alone."""
        if self._pid != os.getpid():
            _PARENTS_CONNECTIONS.append(self._connection)
            self._forget()


_PARENTS_CONNECTIONS: list[Any] = []
"""Connections of the parent of this process: kept, because one that is collected complains that it was not closed."""
