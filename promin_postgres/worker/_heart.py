"""What keeps a worker alive, whatever its handlers and its event loop do."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import psycopg

from promin_postgres._retry import RECONNECT
from promin_postgres._statement import SqlNames
from promin_postgres.database import Database, Executor
from promin_postgres.steps._statements import HEARTBEAT

logger = logging.getLogger(__name__)

_BEATS = 3
"""Beats in the time of a lease."""


class Life:
    """One lease of a worker, under one name. Once it is over it is over for ever."""

    __slots__ = ("_until", "me")

    def __init__(self, me: str, until: float) -> None:
        self.me = me
        self._until = until

    @property
    def expires_in(self) -> float:
        return self._until - time.monotonic()

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._until

    def renew(self, until: float) -> None:
        if self.is_over:
            self.end()
        else:
            self._until = until

    def end(self) -> None:
        self._until = -math.inf


class Heart:
    """Renews the lease of a worker, in a thread of its own and over a connection of its own.

    Args:
        wake: Called, in that thread, when the server says that the lease ran out.
    """

    def __init__(self, conninfo: str, names: SqlNames, lease: float, wake: Callable[[], None]) -> None:
        self._conninfo = conninfo
        self._names = names
        self._lease = lease
        self._wake = wake
        self._life: Life | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def keep(self, life: Life) -> None:
        """Keep this one alive from now on, instead of any other."""
        self._life = life
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="promin-heart", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Let it end; who waits for that waits for a second at most."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                with psycopg.connect(
                    self._conninfo,
                    autocommit=True,
                    prepare_threshold=None,
                    connect_timeout=max(2, math.ceil(self._lease / _BEATS)),
                    tcp_user_timeout=math.ceil(1000 * self._lease / _BEATS),
                ) as connection:
                    executor = Database(connection).executor(
                        schema=self._names.schema, table_prefix=self._names.table_prefix
                    )
                    while not self._stopped.is_set():
                        self._beat(executor)
                        failures = 0
                        self._stopped.wait(self._lease / _BEATS)
            except psycopg.Error as error:
                failures += 1
                if failures == 1:
                    logger.warning("the lease cannot be renewed, trying on: %s", error)
                self._stopped.wait(min(RECONNECT.pause(failures, draw=1.0), self._lease / _BEATS))

    def _beat(self, executor: Executor) -> None:
        life = self._life
        if life is None or life.is_over:
            return
        began = time.monotonic()
        if executor.fetch_one(HEARTBEAT, {"me": life.me, "lease": timedelta(seconds=self._lease)}) is None:
            life.end()
            self._wake()
        else:
            life.renew(began + self._lease)
