"""What the tests of change streams share: a table of orders, and streams on it."""

from __future__ import annotations

from contextlib import contextmanager

import psycopg

from promin_postgres.changes import AsyncPgChangeStream, Offset, PgChangeStream

ALL = ("insert", "update", "delete", "truncate")


@contextmanager
def table_of_orders(dsn):
    """`execute` of a connection to a database with the table."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE orders (id bigint PRIMARY KEY, payload jsonb, created_at timestamptz DEFAULT now())"
        )
        yield connection.execute


@contextmanager
def streams(twin, dsn):
    """`make(table="orders", **options)`; what it made is closed."""
    made = []

    def make_stream(table="orders", **options):
        made.append(twin.pick(PgChangeStream, AsyncPgChangeStream)(dsn, table=table, **options))
        return made[-1]

    yield make_stream
    for stream in made:
        stream.close()


def add(sql, *ids):
    """Orders in one statement."""
    sql(
        "INSERT INTO orders (id, payload) SELECT n, jsonb_build_object('total', n) FROM unnest(%s::int[]) AS n",
        [list(ids)],
    )


def since(stream, position, count):
    """The next so many changes after a position."""
    with stream.changes(Offset.cursor(position)) as changes:
        return changes.take(count).collect()


def ids(changes):
    return [(change.new or change.old)["id"] for change in changes]
