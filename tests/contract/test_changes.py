"""What PgChangeStream promises about changes, on both twins."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import attrs
import psycopg
import pytest
from _changes import ALL, add, ids, since, streams, table_of_orders
from _waiting import until

from promin_postgres.changes import Offset
from promin_postgres.codec import codec_for
from promin_postgres.errors import CodecError, CursorInvalid, InvalidArgument


@pytest.fixture
def sql(promin_dsn):
    with table_of_orders(promin_dsn) as execute:
        yield execute


@pytest.fixture
def make(twin, promin_dsn, sql):
    with streams(twin, promin_dsn) as make_stream:
        yield make_stream


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


def test_many_savepoints_of_a_transaction_that_stays_open(make, sql, promin_dsn):
    stream = make()
    stream.install_trigger()
    start = stream.position()
    with psycopg.connect(promin_dsn) as late, stream.changes(Offset.cursor(start)) as changes:
        late.execute("SELECT 1")  # begins the transaction; what follows are savepoints
        for number in range(1, 101):  # more than a snapshot of the server keeps of one transaction
            with late.transaction() as savepoint:
                late.execute("INSERT INTO orders (id) VALUES (%s)", [number])
                if number % 2:
                    raise psycopg.Rollback(savepoint)
        add(sql, 101)
        assert ids([next(changes)]) == [101]
        late.commit()
        assert ids(changes.take(50).collect()) == list(range(2, 101, 2))


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


@attrs.frozen
class Order:
    total: int


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


def test_a_cursor_that_cannot_be(make):
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
