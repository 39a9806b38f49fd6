"""Partitioned tables: whatever partition a row is in, and whichever way it was written."""

from __future__ import annotations

import pytest
from _changes import ALL, since, streams, table_of_orders

from promin_postgres.changes import Offset

SUITE_RUNS = "async"


@pytest.fixture
def sql(promin_dsn):
    with table_of_orders(promin_dsn) as execute:
        yield execute


@pytest.fixture
def make(twin, promin_dsn, sql):
    with streams(twin, promin_dsn) as make_stream:
        yield make_stream


def test_partitions(make, sql):
    sql("CREATE TABLE event (id bigint, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    sql("CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
    sql("CREATE TABLE event_2 (id bigint, at date, PRIMARY KEY (id, at))")
    stream = make("event", timestamp_column=None)
    stream.install_trigger(operations=ALL)
    start = stream.position()
    sql("INSERT INTO event VALUES (1, '2026-01-05')")
    sql("INSERT INTO event_1 VALUES (2, '2026-01-06')")
    sql("ALTER TABLE event ATTACH PARTITION event_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')")
    sql("INSERT INTO event VALUES (3, '2026-02-05')")
    sql("UPDATE event SET at = '2026-02-01' WHERE id = 1")  # to another partition
    stream.install_trigger(operations=ALL)
    sql("INSERT INTO event_2 VALUES (4, '2026-02-07')")
    sql("TRUNCATE event_1")
    changes = since(stream, start, 6)
    assert [(c.op, c.key and c.key.get("id")) for c in changes] == [
        ("insert", 1), ("insert", 2), ("insert", 3), ("update", 1), ("insert", 4), ("truncate", None)
    ]  # fmt: skip
    assert (changes[3].old["at"], changes[3].new["at"]) == ("2026-01-05", "2026-02-01")
    assert changes[5].key == {"schema": "public", "table": "event_1"}
    assert sorted(stream.changes(Offset.earliest()).map(lambda c: c.new["id"]).take(3).collect()) == [1, 3, 4]


def test_attaching_and_detaching(make, sql):
    """A partition has triggers of its own from the next `install_trigger` on, and loses them likewise."""
    sql("CREATE TABLE event (id bigint PRIMARY KEY, note text) PARTITION BY RANGE (id)")
    sql("CREATE TABLE event_1 (note text, id bigint PRIMARY KEY)")
    sql("INSERT INTO event_1 VALUES ('came along', 1)")
    stream = make("event", timestamp_column=None)
    stream.install_trigger(operations=ALL)
    start = stream.position()
    sql("ALTER TABLE event ATTACH PARTITION event_1 FOR VALUES FROM (0) TO (10)")
    assert triggers(sql) == {("event", op) for op in ALL}
    sql("INSERT INTO event_1 VALUES ('directly, too early', 2)")
    sql("INSERT INTO event VALUES (3, 'through the table')")
    sql("UPDATE event SET note = note || '!' WHERE id < 3")
    stream.install_trigger(operations=ALL)
    assert triggers(sql) == {(table, op) for op in ALL for table in ("event", "event_1")}
    sql("INSERT INTO event_1 VALUES ('directly', 4)")
    sql("ALTER TABLE event DETACH PARTITION event_1")
    sql("INSERT INTO event_1 VALUES ('no longer of it, but logged', 5)")
    stream.install_trigger(operations=ALL)
    assert triggers(sql) == {("event", op) for op in ALL}
    sql("INSERT INTO event_1 VALUES ('alone', 6)")
    stream.notify("end")
    changes = since(stream, start, 6)
    assert [(c.op, c.new and c.new["id"], c.new and c.new["note"]) for c in changes] == [
        ("insert", 3, "through the table"),
        ("update", 1, "came along!"),
        ("update", 2, "directly, too early!"),
        ("insert", 4, "directly"),
        ("insert", 5, "no longer of it, but logged"),
        ("notify", None, None),
    ]


def triggers(sql):
    return {
        (table, name.split("_")[2])
        for table, name in sql("SELECT tgrelid::regclass::text, tgname::text FROM pg_trigger").fetchall()
    }


def test_a_row_that_is_swallowed_between_partitions(make, sql):
    sql("CREATE TABLE event (id bigint PRIMARY KEY) PARTITION BY RANGE (id)")
    sql("CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10)")
    sql("CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (10) TO (20)")
    sql("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    sql("CREATE TRIGGER swallow BEFORE INSERT ON event_2 FOR EACH ROW EXECUTE FUNCTION swallow()")
    sql("INSERT INTO event VALUES (4), (8), (1)")
    stream = make("event", timestamp_column=None)
    stream.install_trigger(operations=ALL)
    start = stream.position()
    sql("UPDATE event SET id = id + 2")
    changes = since(stream, start, 5)
    assert [(change.op, change.key["id"]) for change in changes] == [
        ("delete", 4), ("delete", 8), ("delete", 1), ("insert", 6), ("insert", 3)
    ]  # fmt: skip
