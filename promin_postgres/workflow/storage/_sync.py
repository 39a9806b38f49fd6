# Generated from _async.py by tools/twins.py. Do not edit: edit that and generate again.
"""PostgresWorkflowStorage: everything that is durable about workflows."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from datetime import timedelta
from typing import Self

import psycopg

from promin_postgres._arguments import check_text
from promin_postgres._statement import SqlNames
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.database import Database, DatabaseSource
from promin_postgres.errors import InvalidArgument
from promin_postgres.locks import SessionLocks
from promin_postgres.lookups import seed_lookups, validate_lookups
from promin_postgres.workflow.storage._sync_elements import Elements
from promin_postgres.workflow.storage._sync_forks import Forks
from promin_postgres.workflow.storage._sync_overseer import Overseer
from promin_postgres.workflow.storage._sync_runs import Runs
from promin_postgres.workflow.storage._sync_steps import Steps
from promin_postgres.workflow.storage._sync_tasks import Tasks
from promin_postgres.workflow.storage._sync_waits import Waits
from promin_postgres.workflow.storage._sync_watch import Watch
from promin_postgres.workflow.storage._statements import RELEASE_LEASE


class PostgresWorkflowStorage(Runs, Steps, Elements, Tasks, Waits, Forks):
    """Workflows, their runs, steps, attempts, signals and leases, in one schema under one table prefix.

    Made by `create`. Safe to share between threads and tasks. Every writing method takes `connection=`, to write in the
    caller's own transaction, and those that a driver calls take `lease=`: the write is refused with LeaseLost when
    somebody else has taken that lease since.
    """

    def __init__(
        self,
        db: Database,
        *,
        owns_db: bool,
        table_prefix: str | None,
        schema: str | None,
        instance_id: str,
        use_advisory_locks: bool,
        lock_duration: float,
    ) -> None:
        self.db = db
        self.instance_id = instance_id
        self._owns_db = owns_db
        self._sql = db.executor(schema=schema, table_prefix=table_prefix)
        self.watch = Watch(self._sql)
        self.overseer = Overseer(self._sql)
        self._locks = SessionLocks(db) if use_advisory_locks else None
        self._lock_duration = timedelta(seconds=lock_duration)
        self._keeper = None if use_advisory_locks else self._make_keeper()

    @property
    def names(self) -> SqlNames:
        """Where the tables are and how their names begin."""
        return self._sql.names

    @classmethod
    def create(
        cls,
        db: DatabaseSource,
        *,
        table_prefix: str | None = None,
        schema: str | None = None,
        instance_id: str | None = None,
        use_advisory_locks: bool = True,
        lock_duration: Seconds = 30.0,
        auto_seed_lookups: bool = True,
    ) -> Self:
        """A storage on a migrated database.

        Args:
            db: A database, pool, connection or conninfo. A conninfo gets a pool of its own, which `close` closes.
            table_prefix: By default that of `db`, which is "wf_" unless said otherwise.
            schema: By default that of `db`, which is "public" unless said otherwise.
            instance_id: Names this process in leases and attempts. By default random: a host that comes back under its
                old name must not be taken for the one that died.
            use_advisory_locks: Leases are session advisory locks on one dedicated connection. False where no session
                can be held, as behind a transaction pooler without `listen_dsn`: leases are rows with an end then.
            lock_duration: How long such a row lasts without a renewal, in seconds or as a timedelta; at least 1.
            auto_seed_lookups: Write missing lookup rows; False: check that they are there.

        Raises:
            ConfigurationError: A malformed prefix or connection string.
            LookupMismatch: The lookup tables are not those of the code, or the database is not migrated.
        """
        seconds = check_seconds("lock_duration", lock_duration)
        if seconds < 1:
            raise InvalidArgument("lock_duration", lock_duration, "must be at least 1 second")
        database = Database.of(db)
        storage = cls(
            database,
            owns_db=isinstance(db, str),
            table_prefix=table_prefix,
            schema=schema,
            instance_id=check_text(
                "instance_id", instance_id or f"{socket.gethostname()}-{secrets.token_hex(6)}", limit=255
            ),
            use_advisory_locks=use_advisory_locks,
            lock_duration=seconds,
        )
        prepare = seed_lookups if auto_seed_lookups else validate_lookups
        try:
            prepare(database, schema=storage._sql.names.schema, table_prefix=storage._sql.names.table_prefix)
        except BaseException:
            storage.close()
            raise
        return storage

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give every lease back and close what this storage opened itself."""
        if self._keeper is not None and (tokens := self._keeper.close()):
            with suppress(psycopg.Error):  # they run out by themselves
                self._sql.execute(RELEASE_LEASE, {"tokens": tokens})
        self.watch.close()
        self.overseer.close()
        if self._locks is not None:
            self._locks.close()
        if self._owns_db:
            self.db.close()
