"""migrate, both twins: what it applies, what it refuses, and what a failure leaves behind."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import psycopg
import pytest
from _migrations import INDEX, Folder
from _twins import Twin

from promin_postgres.database import AsyncDatabase, Database
from promin_postgres.errors import ConfigurationError, InvalidArgument, MigrationError
from promin_postgres.migrator import async_migrate, async_migration_status, migrate, migration_sql, migration_status

SCHEMA = "scratch"


class Subject:
    """The functions under test, in sync form, on a schema that is not there yet."""

    def __init__(self, twin: Twin, db: Any) -> None:
        self._migrate = twin.pick(migrate, async_migrate)
        self._status = twin.pick(migration_status, async_migration_status)
        self.db = db

    def migrate(self, db: Any = None, **options: Any) -> list[int]:
        return [applied.version for applied in self._migrate(db or self.db, **{"schema": SCHEMA, **options})]

    def status(self, **options: Any) -> Any:
        return self._status(self.db, **{"schema": SCHEMA, **options})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    folder = Folder(tmp_path)
    folder.use(monkeypatch)
    return folder


@pytest.fixture
def subject(twin: Twin, twin_db: Any, folder: Folder) -> Subject:
    folder.write("0001_a", "-- The first.\nCREATE TABLE {prefix}a (x integer);\n")
    folder.write("0002_b", "CREATE TABLE {prefix}b (x integer);\nCREATE TABLE {prefix}c (x integer);\n")
    return Subject(twin, twin_db)


@pytest.fixture
def sql(promin_dsn: str) -> Any:
    """Runs a query on a connection of its own and returns its rows."""
    with psycopg.connect(promin_dsn, autocommit=True) as connection:

        def run(query: str) -> list[Any]:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

        yield run


def exists(sql: Any, table: str) -> bool:
    [[found]] = sql(f"SELECT to_regclass('{table}') IS NOT NULL")
    return bool(found)


def test_applies_once_and_records(subject: Subject, sql: Any) -> None:
    assert subject.migrate() == [1, 2]
    assert subject.migrate() == []
    assert exists(sql, "scratch.wf_c")
    assert sql(
        "SELECT version, name, length(checksum), applied_at <= now(), duration >= '0' FROM scratch.wf_migrations"
    ) == [
        (1, "a", 64, True, True),
        (2, "b", 64, True, True),
    ]


def test_goes_up_to_a_target(subject: Subject, sql: Any) -> None:
    assert subject.migrate(target=1) == [1]
    assert not exists(sql, "scratch.wf_b")
    assert subject.migrate() == [2]
    assert subject.migrate(target=1) == []
    with pytest.raises(InvalidArgument, match="target=3"):
        subject.migrate(target=3)


def test_dry_run_writes_nothing(subject: Subject, sql: Any) -> None:
    assert subject.migrate(dry_run=True) == [1, 2]
    assert sql("SELECT FROM pg_namespace WHERE nspname = 'scratch'") == []
    subject.migrate(target=1)
    assert subject.migrate(dry_run=True) == [2]
    assert not exists(sql, "scratch.wf_b")


def test_status(subject: Subject, folder: Folder) -> None:
    empty = subject.status()
    assert (empty.version, empty.is_current, [file.version for file in empty.pending]) == (0, False, [1, 2])
    subject.migrate()
    current = subject.status()
    assert (current.version, current.is_current, current.pending) == (2, True, ())
    assert [row.name for row in current.applied] == ["a", "b"]
    folder.write("0001_a", "SELECT 'changed'")
    changed = subject.status()
    assert not changed.is_current
    assert "0001 (a) was changed" in changed.problems[0]


def test_refuses_a_file_that_was_changed_after_it_was_applied(subject: Subject, folder: Folder, sql: Any) -> None:
    subject.migrate()
    folder.write("0001_a", "-- The very first.\nCREATE TABLE {prefix}a (x integer);\n")
    folder.write("0003_c", "CREATE TABLE {prefix}d (x integer)")
    for options in ({}, {"dry_run": True}):
        with pytest.raises(MigrationError, match=r"0001 .*restore the file") as caught:
            subject.migrate(**options)
        assert caught.value.version == 1
    assert not exists(sql, "scratch.wf_d")


def test_refuses_a_database_that_is_newer_than_the_code(subject: Subject, folder: Folder) -> None:
    subject.migrate()
    (folder.path / "0002_b.sql").unlink()
    with pytest.raises(MigrationError, match=r"0002 \(b\).*upgrade promin_postgres") as caught:
        subject.migrate()
    assert caught.value.version == 2


def test_a_migration_that_fails_leaves_nothing_and_is_tried_again(subject: Subject, folder: Folder, sql: Any) -> None:
    folder.write("0002_b", "CREATE TABLE {prefix}b (x integer);\nSELECT 1/0;\n")
    with pytest.raises(psycopg.errors.DivisionByZero) as caught:
        subject.migrate()
    assert caught.value.__notes__ == ["migration 0002 (b) failed and was rolled back; nothing of it was applied"]
    assert not exists(sql, "scratch.wf_b")
    folder.write("0002_b", "CREATE TABLE {prefix}b (x integer);\n")
    assert subject.migrate() == [2]


def test_an_index_is_created_concurrently(subject: Subject, folder: Folder, sql: Any) -> None:
    folder.write("0003_index", INDEX)
    folder.write("0004_d", "CREATE TABLE {prefix}d (x integer)")
    assert subject.migrate() == [1, 2, 3, 4]
    assert sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'scratch.wf_a_by_x'::regclass") == [(True,)]
    assert subject.status().is_current


def test_a_half_applied_migration_is_run_again_when_it_is_restartable(
    subject: Subject,
    folder: Folder,
    sql: Any,
) -> None:
    subject.migrate()
    sql("INSERT INTO scratch.wf_a VALUES (1), (1)")
    folder.write("0003_index", INDEX.replace("CREATE INDEX", "CREATE UNIQUE INDEX"))
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        subject.migrate()
    assert "runs it again" in caught.value.__notes__[0]
    invalid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'scratch.wf_a_by_x'::regclass"
    assert sql(invalid) == [(False,)]
    sql("DELETE FROM scratch.wf_a")
    assert subject.migrate() == [3]
    assert sql(invalid) == [(True,)]


def test_a_half_applied_migration_is_refused_when_it_is_not_restartable(
    subject: Subject,
    folder: Folder,
    sql: Any,
) -> None:
    folder.write("0003_half", "-- promin: no-transaction\nCREATE TABLE {prefix}d ();\n-- promin: next\nSELECT 1/0\n")
    with pytest.raises(psycopg.errors.DivisionByZero, match="division") as failure:
        subject.migrate()
    assert "half-applied" in failure.value.__notes__[0]
    with pytest.raises(MigrationError, match=r"0003 .*half-applied.*delete its row") as caught:
        subject.migrate()
    assert caught.value.version == 3
    assert not subject.status().is_current
    folder.write("0003_half", "-- promin: no-transaction\nCREATE TABLE {prefix}d ();\n")
    sql("DROP TABLE scratch.wf_d")
    sql("DELETE FROM scratch.wf_migrations WHERE version = 3")
    assert subject.migrate() == [3]


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_single_connection_is_enough(
    subject: Subject,
    twin: Twin,
    folder: Folder,
    promin_dsn: str,
    sql: Any,
    autocommit: bool,
) -> None:
    folder.write("0003_index", INDEX)
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with connect(promin_dsn, autocommit=autocommit) as connection:
        assert subject.migrate(connection) == [1, 2, 3]
        assert connection.autocommit is autocommit
    assert exists(sql, "scratch.wf_a_by_x")


def test_a_connection_with_an_open_transaction_is_refused(
    subject: Subject, twin: Twin, promin_dsn: str, sql: Any
) -> None:
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with connect(promin_dsn) as connection:
        connection.execute("SELECT 1")
        with pytest.raises(ConfigurationError, match="open transaction"):
            subject.migrate(connection)
    assert not exists(sql, "scratch.wf_migrations")


def test_a_pool_of_one_connection_is_enough(subject: Subject, twin: Twin, folder: Folder, promin_dsn: str) -> None:
    folder.write("0003_index", INDEX)
    with twin.pick(Database, AsyncDatabase).connect(promin_dsn, max_size=1, schema="of_db") as db:
        assert subject.migrate(db, schema=None) == [1, 2, 3]
        assert subject.migrate(promin_dsn, schema="of_db") == []


def test_a_role_that_may_not_create_schemas_gets_by_with_one(
    subject: Subject, twin: Twin, promin_dsn: str, sql: Any
) -> None:
    sql("CREATE ROLE promin_limited")
    try:
        connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
        with connect(promin_dsn, autocommit=True) as connection:
            connection.execute("SET ROLE promin_limited")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                subject.migrate(connection)
            sql("CREATE SCHEMA scratch AUTHORIZATION promin_limited")
            assert subject.migrate(connection) == [1, 2]
    finally:
        sql("DROP OWNED BY promin_limited")
        sql("DROP ROLE promin_limited")


def test_prefixes_and_schemas_live_side_by_side(subject: Subject, sql: Any) -> None:
    places = [("one", "wf_"), ("one", "x_"), ('tw"o', "wf_")]
    for schema, prefix in places:
        assert subject.migrate(schema=schema, table_prefix=prefix) == [1, 2]
    assert subject.migrate(schema="one", table_prefix="y_", migrations_table='Ver"sions', target=1) == [1]
    for schema, prefix in places:
        assert subject.status(schema=schema, table_prefix=prefix).is_current
    assert not subject.status(schema="one", table_prefix="y_", migrations_table='Ver"sions').is_current
    assert exists(sql, "one.x_c")
    assert exists(sql, '"tw""o".wf_c')
    assert not exists(sql, "one.y_migrations")


def test_logs_each_migration(subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.migrate")
    with caplog.at_level(logging.INFO, logger.name):
        subject.migrate(logger=logger)
    assert [record.args[0] for record in caplog.records] == ["0001 (a)", "0002 (b)"]  # type: ignore[index]


def test_the_script_does_what_migrate_does(subject: Subject, folder: Folder, sql: Any) -> None:
    folder.write("0003_last", "SELECT 1 -- no semicolon")
    sql(migration_sql(schema=SCHEMA))
    assert subject.migrate() == []
    assert subject.status().is_current
    assert exists(sql, "scratch.wf_c")
