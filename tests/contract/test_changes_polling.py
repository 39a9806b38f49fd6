"""A table that may not be altered is polled: at least once for rows that commit within the overlap."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from promin_postgres.changes import AsyncPgChangeStream, Offset, PgChangeStream
from promin_postgres.errors import ConfigurationError, CursorInvalid


@pytest.fixture
def sql(promin_dsn):
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE orders (id bigint PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
        yield connection.execute


@pytest.fixture
def make(twin, promin_dsn, sql):
    def make_stream(**options):
        return twin.pick(PgChangeStream, AsyncPgChangeStream)(promin_dsn, table="orders", poll_interval=0.05, **options)

    return make_stream


def add(sql, *ids):
    for one in ids:
        sql("INSERT INTO orders (id) VALUES (%s)", [one])


def ids(changes):
    return [change.new["id"] for change in changes]


def test_each_row_once_and_late_ones_too(make, sql, promin_dsn):
    add(sql, 1, 2)
    with make(batch_size=2) as stream, psycopg.connect(promin_dsn) as late:
        late.execute("INSERT INTO orders (id) VALUES (3)")
        add(sql, 4, 5)
        with stream.changes(Offset.earliest()) as changes:
            assert ids([next(changes) for _ in range(4)]) == [1, 2, 4, 5]
            late.commit()
            assert ids([next(changes)]) == [3]
            add(sql, 6)
            last = next(changes)
            assert (last.op, ids([last])) == ("read", [6])
        with stream.changes(Offset.cursor(last.position)) as again:
            assert ids([next(again) for _ in range(6)]) == [1, 2, 3, 4, 5, 6]


def test_without_overlap_what_commits_late_is_lost(make, sql, promin_dsn):
    with make(overlap=0) as stream, psycopg.connect(promin_dsn) as late:
        late.execute("INSERT INTO orders (id) VALUES (1)")
        add(sql, 2)
        with stream.changes(Offset.earliest()) as changes:
            assert ids([next(changes)]) == [2]
            late.commit()
            add(sql, 3)
            assert ids([next(changes)]) == [3]


def test_from_a_moment_on(make, sql):
    add(sql, 1)
    moment = datetime.now(UTC)
    add(sql, 2)
    with make() as stream:
        assert ids(stream.changes(Offset.timestamp(moment)).take(1).collect()) == [2]


def test_what_polling_cannot_do(make, sql):
    with make() as stream:
        with pytest.raises(ConfigurationError, match="install_trigger"):
            next(stream.subscribe(consumer="billing"))
        with pytest.raises(ConfigurationError, match="install_trigger"):
            stream.notify(1)
        with pytest.raises(ConfigurationError, match="install_trigger"):
            stream.prune(1)
        with pytest.raises(CursorInvalid, match="kind"):
            next(stream.changes(Offset.cursor(stream.position())))
    with make(sequence_column=None) as stream, pytest.raises(ConfigurationError, match="sequence_column"):
        next(stream.changes())
