"""Installing triggers while others read, write and install."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from promin_postgres.changes import AsyncPgChangeStream, Offset, PgChangeStream

SUITE_RUNS = "async"

OPERATIONS = (("insert", "update"), ("insert",))


@pytest.fixture
def sql(promin_dsn):
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE event (id bigint, n int, PRIMARY KEY (id)) PARTITION BY HASH (id)")
        for number in range(4):
            connection.execute(
                f"CREATE TABLE event_{number} PARTITION OF event FOR VALUES WITH (MODULUS 4, REMAINDER {number})"
            )
        yield connection.execute


@pytest.fixture
def make(twin, promin_dsn, sql):
    def make_stream(dsn=promin_dsn):
        return twin.pick(PgChangeStream, AsyncPgChangeStream)(dsn, table="event", timestamp_column=None)

    return make_stream


def test_once_more_waits_for_nobody(make, sql, promin_dsn):
    with make() as first, make(f"{promin_dsn}&options=-c%20lock_timeout%3D2s") as second:
        first.install_trigger(operations=OPERATIONS[0])
        with psycopg.connect(promin_dsn) as other:
            other.execute("SELECT FROM event")
            other.execute("INSERT INTO event VALUES (1)")
            second.install_trigger(operations=OPERATIONS[0])
            with pytest.raises(psycopg.errors.LockNotAvailable):
                second.install_trigger(operations=OPERATIONS[1])
            with pytest.raises(psycopg.errors.LockNotAvailable):
                second.remove_trigger()
        sql("ALTER TABLE event_3 DISABLE TRIGGER USER")
        start = first.position()
        first.install_trigger(operations=OPERATIONS[0])
        sql("INSERT INTO event_3 SELECT id FROM generate_series(1, 100) AS id WHERE satisfies_hash_partition("
            "'event'::regclass, 4, 3, id::bigint)")  # fmt: skip
        with first.changes(Offset.cursor(start)) as changes:
            assert next(changes).op == "insert"


def test_writers_and_installers_do_not_deadlock(make, sql, promin_dsn):
    ending = threading.Event()

    def write(first):
        with psycopg.connect(promin_dsn) as connection:
            for number in range(first, 1_000_000, 4):
                connection.execute("SELECT count(*) FROM event WHERE id < %s", [number % 50])
                connection.execute("INSERT INTO event VALUES (%s, 0), (-%s, 0)", [number, number])
                connection.execute("UPDATE event SET n = 1 WHERE id = %s", [number])
                connection.commit()
                if ending.is_set():
                    return

    def install(number):
        with make() as source:
            for turn in range(6):
                source.install_trigger(operations=OPERATIONS[(number + turn) % 2])

    with ThreadPoolExecutor(5) as pool, make() as source:
        source.install_trigger()
        start = source.position()
        writers = [pool.submit(write, first) for first in range(1, 4)]
        installers = [pool.submit(install, number) for number in range(2)]
        for installer in installers:
            installer.result()
        ending.set()
        for writer in writers:
            writer.result()
        source.notify("end")
        with source.changes(Offset.cursor(start)) as changes:
            inserted = {c.new["id"] for c in changes.take_while(lambda c: c.op != "notify") if c.op == "insert"}
    assert inserted == {identity for (identity,) in sql("SELECT id FROM event").fetchall()}
