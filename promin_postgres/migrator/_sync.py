# Generated from _async.py by tools/twins.py. Do not edit: edit that and generate again.
"""Bring a database to the schema that the code expects."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import Connection, pq

from promin_postgres._retry import Retry
from promin_postgres._wait import sleep
from promin_postgres.database import Database, DatabaseSource, Executor
from promin_postgres.errors import ConfigurationError
from promin_postgres.migrator import _statements as statements
from promin_postgres.migrator._files import read_migrations
from promin_postgres.migrator._names import VersionTable
from promin_postgres.migrator._plan import check_target, failure_note, make_plan
from promin_postgres.migrator._records import AppliedMigration, Migration, MigrationStatus

_LOGGER = logging.getLogger("promin_postgres.migrator")
_POLL = Retry(base=0.02, factor=1.5, cap=0.5)


def migrate(
    db: DatabaseSource,
    *,
    schema: str | None = None,
    table_prefix: str | None = None,
    migrations_table: str | None = None,
    target: int | None = None,
    dry_run: bool = False,
    logger: logging.Logger | None = None,
) -> list[AppliedMigration]:
    """Apply the migrations that are missing. Safe when many processes start at once: each is applied by one of them.

    Each migration runs in a transaction of its own, which also records it, and gives up after waiting five seconds for
    a table that is in use. One that cannot run in a transaction runs on a second connection, made from the conninfo of
    `db` or from its `listen_dsn`.

    Args:
        schema: Where the tables are; created when it is missing. None: that of `db` ("public").
        table_prefix: How the names of the tables begin. None: that of `db` ("wf_").
        migrations_table: The name of the version table, in the same schema; `{table_prefix}migrations` by default.
        target: The version to stop at; the newest by default. There is no way down.
        dry_run: Write nothing, and return what would be applied.
        logger: Hears of each migration at INFO; "promin_postgres.migrator" by default.

    Returns:
        What this call applied, in order; empty when there was nothing to do.

    Raises:
        MigrationError: A file was changed after it was applied, the database is newer than the code, or a migration is
            half-applied. Nothing was written.
        ConfigurationError: `db` is a connection with an open transaction.
        InvalidArgument: `target` is no version of a migration.
        psycopg.errors.LockNotAvailable: A table was in use for too long; that migration was rolled back.
    """
    known = read_migrations()
    check_target(known, target)
    with Database.borrow(db) as database:
        migrator = Migrator(database, schema, table_prefix, migrations_table, known, logger or _LOGGER)
        return migrator.preview(target) if dry_run else migrator.apply(target)


def migration_status(
    db: DatabaseSource,
    *,
    schema: str | None = None,
    table_prefix: str | None = None,
    migrations_table: str | None = None,
) -> MigrationStatus:
    """What was applied, what is pending and what is wrong. Writes nothing.

    Args:
        schema: Where the tables are. None: that of `db` ("public").
        table_prefix: How the names of the tables begin. None: that of `db` ("wf_").
        migrations_table: The name of the version table; `{table_prefix}migrations` by default.
    """
    known = read_migrations()
    with Database.borrow(db) as database:
        applied = Migrator(database, schema, table_prefix, migrations_table, known, _LOGGER).load()
    plan = make_plan(known, applied)
    return MigrationStatus(
        applied=tuple(applied), pending=plan.pending, problems=tuple(str(problem) for problem in plan.problems)
    )


class Migrator:
    """One call of `migrate` or `migration_status`."""

    def __init__(
        self,
        db: Database,
        schema: str | None,
        table_prefix: str | None,
        migrations_table: str | None,
        known: Sequence[Migration],
        logger: logging.Logger,
    ) -> None:
        names = db.executor(schema=schema, table_prefix=table_prefix).names
        self._db = db
        self._table = VersionTable(names.schema, names.table_prefix, migrations_table)
        self._executor = Executor(db, self._table.names)
        self._known = known
        self._logger = logger

    def load(self, *, connection: Connection[Any] | None = None) -> list[AppliedMigration]:
        """The rows of the version table; none when it does not exist."""
        found = self._find(connection)
        if not found["has_table"]:
            return []
        rows = self._executor.fetch_all(statements.LOAD, connection=connection)
        return [AppliedMigration(**row) for row in rows]

    def preview(self, target: int | None) -> list[AppliedMigration]:
        """What `apply` would do."""
        plan = make_plan(self._known, self.load(), target=target)
        plan.check()
        return [
            AppliedMigration(
                version=migration.version,
                name=migration.name,
                checksum=migration.checksum,
                applied_at=None,
                duration=None,
            )
            for migration in plan.pending
        ]

    def apply(self, target: int | None) -> list[AppliedMigration]:
        """Apply what is pending, one after the other."""
        self._refuse_open_transaction()
        self._create_version_table()
        done: list[AppliedMigration] = []
        while True:
            plan = make_plan(self._known, self.load(), target=target)
            if not plan.pending and not plan.problems:
                return done
            applied = self._apply_next(target)
            if applied is not None:
                done.append(applied)

    def _apply_next(self, target: int | None) -> AppliedMigration | None:
        """Apply the first pending migration, if there still is one once the lock is ours."""
        applied = None
        with self._locked() as connection:
            # Read again: whoever had the lock before may have applied it. And only now does a row without applied_at
            # mean that nobody works on it.
            plan = make_plan(self._known, self.load(connection=connection), target=target)
            if plan.pending and not plan.problems:
                applied = self._apply(plan.pending[0], connection)
        plan.check()
        if applied is not None:
            label = plan.pending[0].label
            self._logger.info("applied migration %s in %s (%s)", label, applied.duration, self._table.label)
        return applied

    def _apply(self, migration: Migration, connection: Connection[Any]) -> AppliedMigration:
        try:
            if migration.transactional:
                return self._run(migration, connection)
            self._executor.execute(statements.IDLE, connection=connection)
            with self._db.dedicated() as outside:
                self._executor.execute(statements.START, _identity(migration), connection=outside)
                return self._run(migration, outside)
        except psycopg.Error as error:
            error.add_note(failure_note(migration, error))
            raise

    def _run(self, migration: Migration, connection: Connection[Any]) -> AppliedMigration:
        started = time.monotonic()
        for text in migration.statements:
            # Never prepared: a script of several statements cannot be.
            connection.execute(self._table.names.fill(text).encode(), prepare=False)
        duration = timedelta(seconds=time.monotonic() - started)
        row = self._executor.fetch_one(
            statements.RECORD, {**_identity(migration), "duration": duration}, connection=connection
        )
        assert row is not None
        return AppliedMigration(**_identity(migration), applied_at=row["applied_at"], duration=duration)

    def _create_version_table(self) -> None:
        if (self._find())["has_table"]:
            return
        # IF NOT EXISTS is no help: of two that create the same thing at once one fails, on a unique index of a catalog.
        with self._locked() as connection:
            found = self._find(connection)
            if not found["has_schema"]:
                self._executor.execute(statements.CREATE_SCHEMA, connection=connection)
            if not found["has_table"]:
                self._executor.execute(statements.CREATE_TABLE, connection=connection)

    def _find(self, connection: Connection[Any] | None = None) -> dict[str, Any]:
        names = {"schema": self._table.schema, "table": self._table.name}
        row = self._executor.fetch_one(statements.FIND, names, connection=connection)
        assert row is not None
        return row

    @contextmanager
    def _locked(self) -> Iterator[Connection[Any]]:
        """A transaction that holds the lock of the version table."""
        attempt = 0
        while True:
            attempt += 1
            with self._db.transaction() as connection:
                self._executor.execute(statements.READ_COMMITTED, connection=connection)
                row = self._executor.fetch_one(
                    statements.TRY_LOCK, {"key": self._table.lock_key}, connection=connection
                )
                if row is not None and row["locked"]:
                    self._executor.execute(statements.SETTINGS, connection=connection)
                    yield connection
                    return
            if attempt == 1:
                self._logger.info("another process is migrating (%s); waiting for it", self._table.label)
            sleep(_POLL.pause(attempt))

    def _refuse_open_transaction(self) -> None:
        if not self._db.is_connection:
            return
        with self._db.connection() as connection:
            idle = connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
        if not idle:
            raise ConfigurationError(
                "db is a connection with an open transaction, and each migration needs one of its own: "
                "commit or roll back first"
            )


def _identity(migration: Migration) -> dict[str, Any]:
    return {"version": migration.version, "name": migration.name, "checksum": migration.checksum}
