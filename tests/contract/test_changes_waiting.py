"""How a reader that waits hears of a change, and what becomes of it when its connections break."""

from __future__ import annotations

import re
import threading
import time

import psycopg
import pytest
from _waiting import until

from promin_postgres.changes import AsyncPgChangeStream, Offset, PgChangeStream

TRY = re.compile(r"pg_catalog\.pg_try_advisory_xact_lock_shared\([^)]*\)")
WAITS = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture
def sql(promin_dsn):
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id bigint PRIMARY KEY, created_at timestamptz DEFAULT now())")
        yield connection.execute


@pytest.fixture
def reading(twin, promin_dsn, sql):
    """`reading(poll_interval)` begins to read in a thread; gives the list of ids that arrived."""
    begun = []

    def begin(poll_interval):
        stream = twin.pick(PgChangeStream, AsyncPgChangeStream)(promin_dsn, table="orders", poll_interval=poll_interval)
        stream.install_trigger()
        changes = stream.changes(Offset.cursor(stream.position()))
        got = []
        reader = threading.Thread(target=collect, args=(changes, got))
        reader.start()
        begun.append((changes, reader, stream))
        return got

    yield begin
    for changes, reader, stream in begun:
        changes.close()
        reader.join(60)
        stream.close()
        assert not reader.is_alive()


def collect(changes, got):
    for change in changes:
        got.append(change.new["id"])


def add(sql, number):
    sql("INSERT INTO orders (id) VALUES (%s)", [number])


def waits(sql, other_than=None):
    """Until a reader waits for the bell; the process that listens for it."""
    return until(lambda: [row[0] for row in sql(WAITS).fetchall() if row[0] != other_than])[0]


def test_the_bell_wakes_a_reader(reading, sql):
    got = reading(60)
    for number in range(3):
        waits(sql)
        add(sql, number)
        until(lambda number=number: number in got, timeout=10)


def test_without_the_bell_it_polls(reading, sql):
    got = reading(0.3)
    mute(sql)
    waits(sql)
    add(sql, 1)
    committed = time.monotonic()
    until(lambda: got == [1], timeout=10)
    assert time.monotonic() - committed < 0.3 + 1.0  # the interval, and the pace of a busy machine


def mute(sql):
    (body,) = sql("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE starts_with(proname, 'wf_log_')").fetchone()
    silent, tries = TRY.subn("true", body)
    assert tries > 1
    sql(silent)


def test_broken_connections_are_mended(reading, sql):
    got = reading(60)
    add(sql, 1)
    until(lambda: got == [1])
    listener = waits(sql)
    sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    add(sql, 2)
    until(lambda: got == [1, 2])
    waits(sql, other_than=listener)
    add(sql, 3)
    until(lambda: got == [1, 2, 3])


def test_a_transaction_that_stays_open_delays_nobody_for_long(reading, sql, promin_dsn):
    got = reading(60)
    waits(sql)
    with psycopg.connect(promin_dsn) as slow:
        slow.execute("INSERT INTO orders (id) VALUES (1)")
        for number in (2, 3, 4):
            add(sql, number)
            until(lambda number=number: number in got, timeout=10)
        slow.commit()
        until(lambda: got == [2, 3, 4, 1], timeout=10)


def test_rows_that_were_there_are_read_again_after_a_break(twin, promin_dsn, sql):
    sql("INSERT INTO orders SELECT generate_series(1, 10)")
    with twin.pick(PgChangeStream, AsyncPgChangeStream)(promin_dsn, table="orders", batch_size=2) as stream:
        stream.install_trigger()
        with stream.changes(Offset.earliest(), consumer="copy") as changes:
            next(changes).ack()
            sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            with pytest.raises(psycopg.OperationalError):
                changes.drain()
        with stream.changes(consumer="copy") as changes:
            assert [change.new["id"] for change in changes.take(10)] == [*range(1, 11)]
