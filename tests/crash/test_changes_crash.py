"""The server dies and recovers: what a stream delivered stays, and nothing that comes later is taken for it.

A crash forgets transactions that left nothing on disk, and their numbers are given out again: to changes that a
careless cursor has "seen". The servers here write their WAL as late as they may, so that there is much to forget.
"""

from __future__ import annotations

import threading

import psycopg
import pytest
from _waiting import until

from promin_postgres.changes import AsyncPgChangeStream, Offset, PgChangeStream
from promin_postgres.errors import CursorInvalid
from promin_postgres.migrator import migrate
from promin_postgres.testing import postgres_server

CRASHES, WRITERS = 3, 4


SUITE_RUNS = "async"


@pytest.fixture
def server():
    settings = {"synchronous_commit": "on", "wal_writer_delay": "10s", "bgwriter_delay": "10s"}
    with postgres_server(server="own", durable=True, settings=settings) as server:
        yield server


@pytest.fixture
def dsn(server):
    dsn = server.create_database()
    migrate(dsn)
    execute(dsn, "CREATE TABLE item (id bigint PRIMARY KEY, created_at timestamptz DEFAULT clock_timestamp())")
    return dsn


def execute(dsn, query, *params):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(query, params)


def roll_back(dsn, count):
    """Transactions that get numbers and leave nothing on disk."""
    with psycopg.connect(dsn) as connection:
        for _ in range(count):
            connection.execute("SELECT pg_current_xact_id()")
            connection.rollback()


@pytest.fixture
def source(twin, dsn):
    with twin.pick(PgChangeStream, AsyncPgChangeStream)(dsn, table="item", poll_interval=0.2) as source:
        source.install_trigger()
        yield source


def since(source, offset, count, consumer=None):
    with source.changes(offset, consumer=consumer) as changes:
        return changes.take(count).collect()


def insert(dsn, number, commit="on"):
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO item (id) VALUES (%s)", [number])
        connection.execute("SELECT set_config('synchronous_commit', %s, true)", [commit])


def numbers(changes):
    return [change.new["id"] for change in changes]


def test_numbers_given_out_again_are_not_taken_for_seen(source, server, dsn):
    begin = source.position()
    insert(dsn, 0)
    roll_back(dsn, 40)
    (change,) = since(source, Offset.cursor(begin), 1)
    roll_back(dsn, 40)
    (row,) = since(source, Offset.earliest(), 1)
    roll_back(dsn, 40)
    with source.changes(Offset.timestamp(change.changed_at), consumer="billing") as changes:
        next(changes).ack()
    roll_back(dsn, 40)
    end = source.position()
    server.restart("immediate")
    for number in range(1, 301):
        insert(dsn, number)
    after = [*range(1, 301)]
    for position in (change.position, row.position, end):
        assert numbers(since(source, Offset.cursor(position), 300)) == after
    assert numbers(since(source, Offset.latest(), 300, "billing")) == after
    assert numbers(since(source, Offset.cursor(begin), 301)) == [0, *after]


def test_a_reader_outlives_crashes(source, server, dsn):
    got = []
    with source.changes(Offset.cursor(source.position())) as changes:
        reader = threading.Thread(target=follow, args=(changes, got))
        reader.start()
        for number in range(1, CRASHES + 1):
            work(dsn, 1000 * number)
            roll_back(dsn, 100)
            insert(dsn, -number, commit="off")  # on disk only because it was delivered
            until(lambda number=number: -number in got)
            server.restart("immediate")
        work(dsn, 0)
        source.notify("end")
        reader.join(60)
    with psycopg.connect(dsn) as connection:
        committed = [identity for (identity,) in connection.execute("SELECT id FROM item ORDER BY id")]
    assert sorted(got) == committed


def follow(changes, got):
    for change in changes:
        if change.op == "notify":
            return
        got.append(change.new["id"])


def work(dsn, first):
    """Writers side by side; two of three transactions come to nothing."""
    writers = [threading.Thread(target=write, args=(dsn, first + 100 * number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


def write(dsn, first):
    with psycopg.connect(dsn) as connection:
        for number in range(first, first + 100):
            connection.execute("INSERT INTO item (id) VALUES (%s)", [number])
            connection.commit() if number % 3 == 0 else connection.rollback()


def test_a_cursor_of_another_cluster(source, dsn):
    with postgres_server(server="own") as other:
        elsewhere = other.create_database()
        migrate(elsewhere)
        execute(elsewhere, "CREATE TABLE item (id bigint PRIMARY KEY, created_at timestamptz DEFAULT now())")
        with PgChangeStream(elsewhere, table="item") as foreign:
            foreign.install_trigger()
            position = foreign.position()
        with pytest.raises(CursorInvalid, match="cluster"):
            since(source, Offset.cursor(position), 1)
        with pytest.raises(CursorInvalid, match="cluster"):
            since(source, Offset.cursor(position), 1, "billing")
