"""Many processes migrate at once, and processes die while they do."""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from _migrations import INDEX, Folder
from _schema import DUMP, describe
from _waiting import until

from promin_postgres.migrator import migrate, migration_status
from promin_postgres.migrator._names import VersionTable

CONTEXT = multiprocessing.get_context("forkserver")  # imports once, and forks before there is any connection
CONTEXT.set_forkserver_preload(["pytest", "promin_postgres.migrator"])
PROCESSES = 20
_start: Any = None


@pytest.fixture
def empty_dsn(promin_server: Any) -> Iterator[str]:
    """A database with nothing in it."""
    name = promin_server.new_name()
    yield promin_server.create_database(name)
    promin_server.drop_database(name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    folder = Folder(tmp_path)
    folder.use(monkeypatch)
    return folder


def _set_start(barrier: Any) -> None:
    global _start
    _start = barrier


def _migrate_together(dsn: str, schema: str) -> list[int]:
    _start.wait()
    return [applied.version for applied in migrate(dsn, schema=schema)]


def _migrate_from(path: Path, dsn: str) -> None:
    Folder(path).use()
    migrate(dsn, schema="scratch")


def test_each_migration_is_applied_by_one_of_twenty_processes(empty_dsn: str) -> None:
    versions = [applied.version for applied in migrate(empty_dsn, schema="crowd", dry_run=True)]
    with ProcessPoolExecutor(
        PROCESSES, mp_context=CONTEXT, initializer=_set_start, initargs=(CONTEXT.Barrier(PROCESSES),)
    ) as pool:
        calls = [pool.submit(_migrate_together, empty_dsn, "crowd") for _ in range(PROCESSES)]
        applied = [call.result() for call in calls]
    assert Counter(version for one in applied for version in one) == dict.fromkeys(versions, 1)
    with psycopg.connect(empty_dsn) as connection:
        assert describe(connection, "crowd") == DUMP.read_text()


def test_a_strict_isolation_and_an_index_built_concurrently_do_not_get_in_the_way(
    folder: Folder,
    promin_dsn: str,
) -> None:
    folder.write("0001_a", "CREATE TABLE {prefix}a (x integer)")
    folder.write("0002_index", INDEX)
    folder.write("0003_b", "CREATE TABLE {prefix}b (x integer)")
    dsn = psycopg.conninfo.make_conninfo(
        promin_dsn, options="-c default_transaction_isolation=serializable -c statement_timeout=20s"
    )
    start = threading.Barrier(6)

    def run(_: int) -> list[int]:
        start.wait()
        return [applied.version for applied in migrate(dsn, schema="scratch")]

    with ThreadPoolExecutor(6) as pool:
        applied = list(pool.map(run, range(6)))
    assert Counter(version for one in applied for version in one) == {1: 1, 2: 1, 3: 1}


def _waits_for_a_lock(connection: psycopg.Connection[Any], query: str) -> int | None:
    row = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND query LIKE %s AND pid <> pg_backend_pid()",
        [f"%{query}%"],
    ).fetchone()
    return None if row is None else row[0]


@pytest.mark.parametrize("index", [False, True], ids=["transactional", "index built concurrently"])
def test_the_next_migrate_completes_what_a_killed_process_began(
    folder: Folder,
    tmp_path: Path,
    promin_dsn: str,
    index: bool,
) -> None:
    folder.write("0001_a", "CREATE TABLE {prefix}a (x integer)")
    migrate(promin_dsn, schema="scratch")
    script = INDEX if index else "CREATE TABLE {prefix}a_by_x (x integer);\nLOCK TABLE {prefix}a;\n"
    folder.write("0002_killed", script)
    folder.write("0003_b", "CREATE TABLE {prefix}b (x integer)")
    with psycopg.connect(promin_dsn, autocommit=True) as watcher, psycopg.connect(promin_dsn) as writer:
        writer.execute("INSERT INTO scratch.wf_a VALUES (1)")  # a lock that both kinds of migration wait for
        child = CONTEXT.Process(target=_migrate_from, args=(tmp_path, promin_dsn))
        child.start()
        backend = until(lambda: _waits_for_a_lock(watcher, "wf_a"))
        child.kill()
        child.join()
        # The server notices only when it next has something to say to the client; here it is told.
        watcher.execute("SELECT pg_terminate_backend(%s)", [backend])
        writer.rollback()
        valid = watcher.execute("SELECT bool_and(indisvalid) FROM pg_index").fetchone()
        assert valid == (not index,)
        before = migration_status(promin_dsn, schema="scratch")
        assert [row.version for row in before.applied] == ([1, 2] if index else [1])
        assert [migration.version for migration in before.pending] == [2, 3]
        assert [applied.version for applied in migrate(promin_dsn, schema="scratch")] == [2, 3]
        assert migration_status(promin_dsn, schema="scratch").is_current
        assert watcher.execute("SELECT bool_and(indisvalid) FROM pg_index").fetchone() == (True,)


def test_a_migration_gives_up_on_a_busy_table_and_blocks_nobody_for_long(folder: Folder, promin_dsn: str) -> None:
    folder.write("0001_a", "CREATE TABLE {prefix}a (x integer)")
    migrate(promin_dsn, schema="scratch")
    folder.write("0002_y", "ALTER TABLE {prefix}a ADD COLUMN y integer")
    with psycopg.connect(promin_dsn) as reader:
        reader.execute("SELECT FROM scratch.wf_a")
        with pytest.raises(psycopg.errors.LockNotAvailable) as caught:
            migrate(promin_dsn, schema="scratch")
    assert "0002 (y) gave up waiting" in caught.value.__notes__[0]
    assert [applied.version for applied in migrate(promin_dsn, schema="scratch")] == [2]


def test_the_limits_of_a_role_cut_neither_the_wait_for_another_migrate_nor_a_migration(
    folder: Folder, promin_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write("0001_slow", "SELECT pg_sleep(1.5)")
    key = VersionTable("scratch", "wf_", None).lock_key
    limited = psycopg.conninfo.make_conninfo(promin_dsn, options="-c lock_timeout=1 -c statement_timeout=1000")
    caplog.set_level(logging.INFO)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(promin_dsn) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [key])
        waiting = pool.submit(migrate, limited, schema="scratch")
        until(lambda: "waiting for it" in caplog.text)
        other.rollback()
        assert [applied.version for applied in waiting.result()] == [1]
