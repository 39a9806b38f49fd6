"""What PgChangeStream promises about changes, on both twins."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import attrs
import psycopg
import pytest
from _waiting import until

from promin_postgres.changes import AsyncPgChangeStream, Offset, PgChangeStream
from promin_postgres.codec import codec_for
from promin_postgres.errors import CodecError, ConfigurationError, CursorInvalid, InvalidArgument

ALL = ("insert", "update", "delete", "truncate")


@pytest.fixture
def sql(promin_dsn):
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE orders (id bigint PRIMARY KEY, payload jsonb, created_at timestamptz DEFAULT now())"
        )
        yield connection.execute


@pytest.fixture
def make(twin, promin_dsn, sql):
    made = []

    def make_stream(table="orders", **options):
        stream = twin.pick(PgChangeStream, AsyncPgChangeStream)(promin_dsn, table=table, **options)
        made.append(stream)
        return stream

    yield make_stream
    for stream in made:
        stream.close()


@attrs.frozen
class Order:
    total: int


def add(sql, *ids):
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


def test_what_happens_to_rows(make, sql):
    stream = make()
    stream.install_trigger(operations=ALL)
    start = stream.position()
    add(sql, 1, 2)
    sql("UPDATE orders SET id = id + 10, payload = '\"new\"'")
    sql("DELETE FROM orders WHERE id = 11")
    sql("TRUNCATE orders")
    changes = since(stream, start, 6)
    assert [change.op for change in changes] == ["insert", "insert", "update", "update", "delete", "truncate"]
    assert [change.key for change in changes[:5]] == [{"id": 1}, {"id": 2}, {"id": 1}, {"id": 2}, {"id": 11}]
    assert changes[5].key == {"schema": "public", "table": "orders"}
    assert changes[0].old is None
    assert changes[0].new["payload"] == {"total": 1}
    assert [(c.old["id"], c.new["id"], c.new["payload"]) for c in changes[2:4]] == [(1, 11, "new"), (2, 12, "new")]
    assert changes[4].new is None
    assert changes[4].value == changes[4].old
    assert changes[5].old is changes[5].new is changes[5].value is None
    assert all(datetime(2020, 1, 1, tzinfo=UTC) < change.changed_at for change in changes)


def test_reading_goes_on_after_any_change(make, sql):
    stream = make()
    stream.install_trigger()
    start = stream.position()
    add(sql, *range(1, 301))  # several records of the log, of several changes each
    add(sql, 301)
    changes = since(stream, start, 301)
    assert ids(changes) == list(range(1, 302))
    for place in (0, 1, 126, 127, 128, 200, 299):
        assert ids(since(stream, changes[place].position, 300 - place)) == list(range(place + 2, 302))


def test_small_batches_give_the_same(make, sql):
    stream = make(batch_size=1)
    stream.install_trigger()
    start = stream.position()
    for first in range(1, 20, 2):
        add(sql, first, first + 1)
    assert ids(since(stream, start, 20)) == list(range(1, 21))


def test_a_late_commit_is_neither_waited_for_nor_lost(make, sql, promin_dsn):
    stream = make()
    stream.install_trigger()
    start = stream.position()
    with psycopg.connect(promin_dsn) as late:
        late.execute("INSERT INTO orders (id) VALUES (1)")
        add(sql, 2)
        with stream.changes(Offset.cursor(start)) as changes:
            assert ids([next(changes)]) == [2]
            add(sql, 3)
            assert ids([next(changes)]) == [3]
            late.commit()
            assert ids([next(changes)]) == [1]
    assert sorted(ids(since(stream, start, 3))) == [1, 2, 3]


def test_what_is_rolled_back_is_not_seen(make, sql, promin_dsn):
    stream = make()
    stream.install_trigger()
    start = stream.position()
    with psycopg.connect(promin_dsn) as connection:
        connection.execute("INSERT INTO orders (id) VALUES (1)")
        with connection.transaction() as savepoint:
            connection.execute("INSERT INTO orders (id) VALUES (2)")
            raise psycopg.Rollback(savepoint)
        connection.execute("INSERT INTO orders (id) VALUES (3)")
        connection.commit()
        connection.execute("INSERT INTO orders (id) VALUES (4)")
        connection.rollback()
    add(sql, 5)
    assert ids(since(stream, start, 3)) == [1, 3, 5]


def test_earliest_reads_the_rows_and_then_the_log(make, sql):
    stream = make(batch_size=2)
    stream.install_trigger()
    add(sql, 1, 2, 3, 4)
    with stream.changes(Offset.earliest()) as changes:
        rows = [next(changes) for _ in range(4)]
        assert [(change.op, change.new["id"]) for change in rows] == [("read", n) for n in (1, 2, 3, 4)]
        add(sql, 5)
        assert (change := next(changes)).op == "insert"
        assert ids([change]) == [5]
    assert ids(since(stream, rows[3].position, 1)) == [5]


def test_a_position_amid_the_rows_begins_with_all_of_them(make, sql):
    stream = make(batch_size=2)
    stream.install_trigger()
    add(sql, 1, 2, 3)
    (first,) = stream.changes(Offset.earliest()).take(1).collect()
    assert ids(since(stream, first.position, 3)) == [1, 2, 3]


def test_from_a_moment_on(make, sql, promin_dsn):
    stream = make()
    stream.install_trigger()
    with psycopg.connect(promin_dsn) as late:
        late.execute("INSERT INTO orders (id) VALUES (1)")
        add(sql, 2)
        (moment,) = sql("SELECT clock_timestamp()").fetchone()
        add(sql, 3)
        with stream.changes(Offset.timestamp(moment)) as changes:
            assert ids([next(changes)]) == [3]
            late.execute("INSERT INTO orders (id) VALUES (4)")
            late.commit()
            assert ids([next(changes), next(changes)]) == [1, 4]


def test_values(make, sql):
    stream = make(payload_column="payload", codec=codec_for(Order))
    stream.install_trigger(operations=ALL)
    start = Offset.cursor(stream.position())
    add(sql, 1)
    sql('INSERT INTO orders (id, payload) VALUES (2, \'{"total": "many"}\')')
    sql("TRUNCATE orders")
    stream.notify(Order(3))
    with stream.changes(start) as changes:
        good, bad, truncated, notified = changes.take(4).collect()
    assert (good.value, good.error) == (Order(1), None)
    assert isinstance(bad.error, CodecError)
    assert bad.key == {"id": 2}
    with pytest.raises(CodecError, match="total"):
        _ = bad.value
    assert (truncated.value, truncated.error) == (None, None)
    assert (notified.op, notified.value, notified.key) == ("notify", Order(3), None)
    assert stream.subscribe_from(start).take(2).collect() == [Order(1), Order(3)]


def test_subscribe_gives_rows_from_now_on(make, sql):
    stream = make(poll_interval=0.1)
    stream.install_trigger()
    add(sql, 1)
    got = []
    with stream.subscribe() as values:
        reader = threading.Thread(target=lambda: got.extend(values.take(1)))
        reader.start()
        number = iter(range(2, 10_000))
        until(lambda: add(sql, next(number)) or got)
        reader.join()
    assert got[0]["id"] > 1


def test_one_row_that_python_cannot_read_spoils_no_other(make, sql):
    stream = make()
    stream.install_trigger()
    start = stream.position()
    long = "1" * 5000  # more digits than Python reads
    sql("INSERT INTO orders (id, payload) VALUES (1, '1'), (2, %s), (3, '3')", [long])
    changes = since(stream, start, 3)
    assert [change.error is None for change in changes] == [True, False, True]
    assert (changes[0].new["payload"], changes[2].value["payload"]) == (1, 3)
    with pytest.raises(CodecError):
        _ = changes[1].new


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


def test_twice_is_once_and_removed_is_gone(make, sql):
    before = objects(sql)
    stream = make()
    stream.install_trigger(operations=ALL)
    once = objects(sql)
    stream.install_trigger(operations=ALL)
    assert objects(sql) == once != before
    add(sql, 1)
    assert sql("SELECT count(*) FROM wf_changes").fetchone() == (1,)
    stream.install_trigger()
    assert len(objects(sql)) == len(before) + 2
    stream.remove_trigger()
    assert objects(sql) == before
    assert [
        sql(f"SELECT count(*) FROM wf_{table}").fetchone()[0]
        for table in ("changes", "change_streams", "change_consumers")
    ] == [0, 0, 0]
    stream.remove_trigger()
    add(sql, 2)


def objects(sql):
    return sorted(
        sql(
            "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal UNION ALL SELECT proname::text FROM pg_proc"
        ).fetchall()
    )


def test_a_stream_that_is_open_when_the_trigger_goes(make, sql):
    stream = make(poll_interval=0.05)
    stream.install_trigger()
    with stream.changes(Offset.cursor(stream.position())) as changes:
        add(sql, 1)
        next(changes)
        stream.remove_trigger()
        with pytest.raises(ConfigurationError, match="removed"):
            next(changes)


@pytest.mark.parametrize(
    ("table", "options", "problem"),
    [
        ("nothing", {}, "no table public.nothing"),
        ("other.orders", {}, "no table other.orders"),
        ("orders", {"payload_column": "body"}, "'body'"),
        ("orders", {"timestamp_column": "at"}, "'at'"),
        ("orders", {"sequence_column": "number"}, "'number'"),
    ],
)
def test_a_table_that_does_not_fit(make, table, options, problem):
    with pytest.raises(ConfigurationError, match=problem):
        make(table, **options).install_trigger()


def test_a_faulty_condition_changes_nothing(make, sql):
    before = objects(sql)
    for condition in ("nonsense > 1", "new.id >", "new.nothing = 1"):
        with pytest.raises(psycopg.errors.Error):
            make().install_trigger(when=condition)
    assert objects(sql) == before


def test_those_who_write_need_no_rights_on_the_log(make, sql):
    stream = make()
    stream.install_trigger()
    start = stream.position()
    role = psycopg.sql.Identifier(sql("SELECT 'writer ' || current_database()").fetchone()[0])
    sql(psycopg.sql.SQL("CREATE ROLE {}").format(role))
    try:
        sql(psycopg.sql.SQL("GRANT INSERT ON orders TO {}").format(role))
        sql(psycopg.sql.SQL("SET ROLE {}").format(role))
        add(sql, 1)
        sql("RESET ROLE")
        assert ids(since(stream, start, 1)) == [1]
    finally:
        sql(psycopg.sql.SQL("RESET ROLE; DROP OWNED BY {0}; DROP ROLE {0}").format(role))


def test_a_cursor_of_another_cluster(make):
    stream = make()
    stream.install_trigger()
    kind, system, *rest = stream.position().split("/")
    with pytest.raises(CursorInvalid, match="cluster"):
        next(stream.changes(Offset.cursor("/".join([kind, str(int(system) + 1), *rest]))))
    with pytest.raises(CursorInvalid, match="backup"):
        next(stream.changes(Offset.cursor(f"log/{system}/900000000000:900000000000:/900000000000:900000000000:/0/0")))


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda make: make(7), "table"),
        (lambda make: make(""), "table"),
        (lambda make: make("a" * 64), "table"),
        (lambda make: make(payload_column=""), "payload_column"),
        (lambda make: make(poll_interval=0), "poll_interval"),
        (lambda make: make(batch_size=0), "batch_size"),
        (lambda make: make().install_trigger(operations=("upsert",)), "operations"),
        (lambda make: make().install_trigger(columns=()), "columns"),
        (lambda make: make().install_trigger(when="true $promin$"), "when"),
        (lambda make: make().changes("earliest"), "offset"),
        (lambda make: make().subscribe(consumer=""), "consumer"),
        (lambda make: make().prune(-1), "older_than"),
        (lambda make: Offset.timestamp(datetime(2026, 1, 1)), "moment"),  # noqa: DTZ001 - refused is the point
    ],
)
def test_bad_arguments_are_named(make, call, argument):
    with pytest.raises(InvalidArgument) as error:
        call(make)
    assert error.value.argument == argument
