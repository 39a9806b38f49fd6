"""Names, rows and alterations of the table that a change stream must bear."""

from __future__ import annotations

import psycopg
import pytest
from _changes import ALL, add, ids, since, streams, table_of_orders

from promin_postgres.codec import JSON
from promin_postgres.errors import CodecError

SUITE_RUNS = "async"


@pytest.fixture
def sql(promin_dsn):
    with table_of_orders(promin_dsn) as execute:
        yield execute


@pytest.fixture
def make(twin, promin_dsn, sql):
    with streams(twin, promin_dsn) as make_stream:
        yield make_stream


HOSTILE = ['a "quoted" per%cent %s {prefix}', "new", "old", "chunk", "$$; DROP TABLE x --", "Ünï.code", "op"]


def test_hostile_names(make, sql):
    name = psycopg.sql.Identifier('t"a.b %s {bare}; DROP')
    columns = [psycopg.sql.Identifier(column) for column in HOSTILE]
    listed = psycopg.sql.SQL(", ").join(psycopg.sql.SQL("{} int").format(column) for column in columns)
    sql(psycopg.sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(name, listed, columns[0]))
    stream = make(
        'public.t"a.b %s {bare}; DROP', timestamp_column=None, sequence_column=None, payload_column=HOSTILE[1]
    )
    for picked in (None, HOSTILE[1:3]):
        stream.install_trigger(operations=ALL, columns=picked, when='coalesce(new."new", old."new") > 0 -- %s {image}')
        start = stream.position()
        sql(psycopg.sql.SQL("INSERT INTO {} VALUES (1, 2, 3, 4, 5, 6, 7), (2, 0, 0, 0, 0, 0, 0)").format(name))
        sql(psycopg.sql.SQL('UPDATE {} SET "old" = 9').format(name))
        sql(psycopg.sql.SQL("DELETE FROM {}").format(name))
        changes = since(stream, start, 3)
        assert [change.op for change in changes] == ["insert", "update", "delete"]
        assert [change.value for change in changes] == [2, 2, 2]
        assert {tuple(change.key.items()) for change in changes} == {((HOSTILE[0], 1),)}
        row = dict(zip(HOSTILE, range(1, 8), strict=True))
        assert changes[0].new == ({n: row[n] for n in (*picked, HOSTILE[0])} if picked else row)
        assert (changes[1].old["old"], changes[1].new["old"]) == (3, 9)


@pytest.mark.parametrize("size", [9_000, 1_500_000])
def test_long_payloads(make, sql, size):
    stream = make()
    stream.install_trigger()
    start = stream.position()
    sql(
        "INSERT INTO orders (id, payload)"
        " SELECT n, to_jsonb(repeat(md5(n::text), %s)) FROM generate_series(1, 20) AS n",
        [size // 32],
    )
    stream.notify("x" * size)
    changes = since(stream, start, 21)
    assert ids(changes[:20]) == list(range(1, 21))
    assert all(len(change.new["payload"]) == size // 32 * 32 for change in changes[:20])
    assert changes[20].value == "x" * size


def test_a_row_that_shrinks_on_disk_is_counted_at_its_full_size(make, sql):
    stream = make()
    stream.install_trigger()
    sql(
        "INSERT INTO orders (id, payload)"
        " SELECT n, to_jsonb(repeat('x', CASE WHEN n % 2 = 1 THEN 1000000 ELSE 1 END)) FROM generate_series(1, 40) AS n"
    )
    sql("UPDATE orders SET id = -id")
    stream.notify("x" * 1_000_000)
    sizes = sql(
        "SELECT bytes, octet_length(coalesce(old::text, '')) + octet_length(coalesce(new::text, '')) FROM wf_changes"
    ).fetchall()
    assert all(counted >= 0.9 * size for counted, size in sizes)
    assert max(size for _, size in sizes) < 3_000_000


def test_columns_come_and_go(make, sql):
    """In one session, whose plans of the trigger function are made for the table as it was."""
    stream = make()
    stream.install_trigger(operations=ALL)
    start = stream.position()
    add(sql, 1)
    sql("ALTER TABLE orders ADD COLUMN note text")
    add(sql, 2)
    sql("ALTER TABLE orders DROP COLUMN payload")
    sql("UPDATE orders SET note = 'some' WHERE id = 2")
    sql("ALTER TABLE orders RENAME COLUMN note TO remark")
    sql("ALTER TABLE orders ALTER COLUMN remark TYPE integer USING 7")
    sql("DELETE FROM orders WHERE id = 2")
    sql("ALTER TABLE orders RENAME TO purchases")
    sql("DELETE FROM purchases")
    changes = since(stream, start, 5)
    without_time = [
        [row and {name: row[name] for name in row if name != "created_at"} for row in (change.old, change.new)]
        for change in changes
    ]
    assert without_time == [
        [None, {"id": 1, "payload": {"total": 1}}],
        [None, {"id": 2, "payload": {"total": 2}, "note": None}],
        [{"id": 2, "note": None}, {"id": 2, "note": "some"}],
        [{"id": 2, "remark": 7}, None],
        [{"id": 1, "remark": 7}, None],
    ]


@pytest.mark.parametrize("codec", [JSON, None])
def test_a_payload_column_that_went_away(make, sql, codec):
    stream = make(payload_column="payload", **({"codec": codec} if codec else {"codec": Upper()}))
    stream.install_trigger()
    start = stream.position()
    sql("INSERT INTO orders (id, payload) VALUES (1, '\"a\"')")
    sql("ALTER TABLE orders RENAME COLUMN payload TO body")
    sql("INSERT INTO orders (id) VALUES (2)")
    sql("ALTER TABLE orders RENAME COLUMN body TO payload")
    sql("INSERT INTO orders (id, payload) VALUES (3, '\"b\"')")
    one, two, three = since(stream, start, 3)
    assert [one.value.upper(), three.value.upper()] == ["A", "B"]
    assert isinstance(two.error, CodecError)
    with pytest.raises(CodecError, match="payload"):
        _ = two.value
    assert two.new["id"] == 2


class Upper:
    """A codec that is not the default one."""

    def encode(self, value, *, subject):
        return JSON.encode(value, subject=subject)

    def decode(self, text, *, subject):
        return JSON.decode(text, subject=subject).upper()


def test_a_recorded_column_that_went_away_is_no_silence(make, sql):
    stream = make(payload_column="payload")
    stream.install_trigger(columns=["created_at"])
    start = stream.position()
    add(sql, 1)
    sql("ALTER TABLE orders RENAME COLUMN created_at TO made_at")
    with pytest.raises(psycopg.errors.UndefinedColumn, match="created_at"):
        add(sql, 2)
    renamed = make(payload_column="payload", timestamp_column="made_at")
    renamed.install_trigger(columns=["made_at"])
    add(sql, 3)
    changes = since(stream, start, 2)
    assert ids(changes) == [1, 3]
    assert [set(change.new) for change in changes] == [{"id", "payload", c} for c in ("created_at", "made_at")]
    assert [change.value for change in changes] == [{"total": 1}, {"total": 3}]


def test_truncate_has_its_place_and_its_cascade(make, sql):
    sql("CREATE TABLE item (id bigint PRIMARY KEY, of bigint REFERENCES orders)")
    orders, items = make(), make("item", timestamp_column=None)
    for stream in (orders, items):
        stream.install_trigger(operations=ALL)
    starts = orders.position(), items.position()
    add(sql, 1)
    sql("INSERT INTO item VALUES (7, 1)")
    sql("TRUNCATE orders CASCADE")
    add(sql, 1)
    assert [change.op for change in since(orders, starts[0], 3)] == ["insert", "truncate", "insert"]
    assert [change.op for change in since(items, starts[1], 2)] == ["insert", "truncate"]
