"""Named consumers: one reader at a time, a position that is kept, lag and pruning."""

from __future__ import annotations

import threading

import psycopg
import pytest
from _waiting import until

from promin_postgres.changes import AsyncPgChangeStream, Offset, PgChangeStream
from promin_postgres.errors import ConfigurationError, CursorInvalid, LeaseLost, NotFound

EARLIEST = Offset.earliest()


@pytest.fixture
def sql(promin_dsn):
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id bigint PRIMARY KEY, created_at timestamptz DEFAULT now())")
        yield connection.execute


@pytest.fixture
def stream(twin, promin_dsn, sql):
    with twin.pick(PgChangeStream, AsyncPgChangeStream)(promin_dsn, table="orders", poll_interval=0.1) as stream:
        stream.install_trigger()
        yield stream


def add(sql, *ids):
    for one in ids:
        sql("INSERT INTO orders (id) VALUES (%s)", [one])


def ids(changes):
    return [change.new["id"] for change in changes]


def begin(stream, name="billing"):
    """Have a consumer begin here, with nothing read."""
    position = stream.position()
    with stream.changes(Offset.cursor(position), consumer=name) as changes:
        stream.notify("first")
        next(changes).ack()


def take(stream, count, name="billing", ack=False):
    with stream.changes(consumer=name) as changes:
        taken = [next(changes) for _ in range(count)]
        if ack:
            taken[-1].ack()
    return taken


def test_a_consumer_goes_on_where_it_acknowledged(stream, sql):
    begin(stream)
    add(sql, 1, 2, 3, 4)
    assert ids(take(stream, 3)) == [1, 2, 3]
    assert ids(take(stream, 2, ack=True)) == [1, 2]
    assert ids(take(stream, 2)) == [3, 4]
    (state,) = stream.consumers()
    assert (state.consumer, state.holder) == ("billing", None)
    assert ids(stream.changes(Offset.cursor(state.position)).take(2).collect()) == [3, 4]


def test_acknowledging_an_older_change_moves_nothing_back(stream, sql):
    begin(stream)
    add(sql, 1, 2, 3)
    with stream.changes(consumer="billing") as changes:
        one, two = next(changes), next(changes)
        two.ack()
        one.ack()
    assert ids(take(stream, 1)) == [3]


def test_acknowledging_in_the_callers_transaction(stream, sql, twin, promin_dsn):
    begin(stream)
    add(sql, 1, 2)
    connection = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect(promin_dsn)
    with stream.changes(consumer="billing") as changes:
        one = next(changes)
        one.ack(connection=connection)
        connection.rollback()
    assert ids(take(stream, 1)) == [1]
    with stream.changes(consumer="billing") as changes:
        next(changes).ack(connection=connection)
        connection.commit()
    connection.close()
    assert ids(take(stream, 1)) == [2]


def test_values_are_acknowledged_when_the_next_is_asked_for(stream, sql):
    begin(stream)
    add(sql, 1, 2, 3)
    with stream.subscribe(consumer="billing") as values:
        assert [next(values)["id"], next(values)["id"]] == [1, 2]
    assert ids(take(stream, 2)) == [2, 3]


def test_one_reads_and_the_other_waits(stream, sql):
    begin(stream)
    add(sql, 1, 2)
    got = []
    first = stream.changes(consumer="billing")
    next(first).ack()
    with stream.changes(consumer="billing") as second:
        waiting = threading.Thread(target=lambda: got.extend(ids(second.take(1))))
        waiting.start()
        waiting.join(0.5)
        assert got == []
        assert stream.consumers()[0].holder is not None
        first.close()
        waiting.join(60)
    assert got == [2]


def test_who_was_replaced_writes_nothing(stream, sql, twin, promin_dsn):
    begin(stream)
    add(sql, 1, 2, 3)
    brief = twin.pick(PgChangeStream, AsyncPgChangeStream)(promin_dsn, table="orders", lease=0.3)
    with brief, brief.changes(consumer="billing") as old:
        one = next(old)
        # As after a long pause of the process: the lease ran out, and somebody else took it.
        sql("UPDATE wf_change_consumers SET expires_at = now(), token = gen_random_uuid()")
        with stream.changes(consumer="billing") as new:
            assert ids([next(new)]) == [1]
            with pytest.raises(LeaseLost, match="billing"):
                one.ack()
            with pytest.raises(LeaseLost):
                until(lambda: not next(old))


def test_a_consumer_of_all_rows(stream, sql):
    add(sql, 1, 2)
    with stream.changes(EARLIEST, consumer="copy") as changes:
        next(changes).ack()
    with stream.changes(EARLIEST, consumer="copy") as changes:
        both = [next(changes), next(changes)]
        assert ids(both) == [1, 2]
        both[-1].ack()
    add(sql, 3)
    assert ids(take(stream, 1, "copy")) == [3]


def test_without_a_consumer_there_is_nothing_to_acknowledge(stream, sql):
    add(sql, 1)
    with pytest.raises(ConfigurationError, match="consumer"):
        stream.changes(EARLIEST).first().ack()


def test_lag(stream, sql):
    begin(stream)
    assert (stream.lag("billing").rows, stream.lag("billing").seconds) == (0, 0)
    sql("INSERT INTO orders (id) SELECT generate_series(1, 300)")
    lag = stream.lag("billing")
    assert lag.rows == 300
    assert 0 < lag.seconds < 60
    take(stream, 130, ack=True)
    assert stream.lag("billing").rows == 170
    with pytest.raises(NotFound):
        stream.lag("nobody")


def test_pruning_spares_what_a_consumer_has_not_read(stream, sql):
    begin(stream)
    add(sql, 1, 2, 3)
    take(stream, 2, ack=True)
    assert stream.prune(3600) == 0
    stream.prune(0)
    assert ids(take(stream, 1)) == [3]
    slow = stream.consumers()[0].position
    # Open transactions of other tests, in whatever database, hold pruning back for a moment.
    until(lambda: stream.prune(0, force=True) >= 0 and sql("SELECT count(*) FROM wf_changes").fetchone() == (0,))
    add(sql, 4)
    for changes in (stream.changes(consumer="billing"), stream.changes(Offset.cursor(slow))):
        with pytest.raises(CursorInvalid, match="pruned"):
            next(changes)


def test_who_never_acknowledges_begins_again_and_is_spared(stream, sql):
    begin(stream)
    sql("INSERT INTO orders (id) SELECT generate_series(1, 2000)")
    for _ in range(2):
        assert ids(take(stream, 2000)) == [*range(1, 2001)]
    assert stream.lag("billing").rows == 2000
    assert stream.prune(0) <= 1  # the notification, which was acknowledged
    assert ids(take(stream, 1)) == [1]


def test_pruning_what_a_waiting_reader_has_seen_does_not_end_it(twin, stream, sql, promin_dsn):
    waiting = twin.pick(PgChangeStream, AsyncPgChangeStream)(promin_dsn, table="orders", poll_interval=1)
    with waiting, waiting.changes(Offset.cursor(stream.position())) as changes:
        add(sql, 1)
        assert ids([next(changes)]) == [1]
        rest = []
        reader = threading.Thread(target=lambda: rest.extend(ids(changes.take(1))))
        reader.start()
        sql("UPDATE wf_changes SET changed_at = now() - interval '1 day'")
        until(lambda: sql(OVER).fetchone() == (True,))
        look(sql)
        for _ in range(5):
            sql("SELECT pg_current_xact_id()")  # what others do: younger than the reader's last look
        assert stream.prune(3600) == 1
        look(sql)
        add(sql, 2)
        reader.join(60)
    assert rest == [2]


OVER = "SELECT bool_and(xid < pg_snapshot_xmin(pg_current_snapshot())) FROM wf_changes"
LOOKED = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
    " AND starts_with(query, '/* changes/fetch */') AND query_start > %s"
)


def look(sql):
    """Until the reader has looked once more."""
    (now,) = sql("SELECT clock_timestamp()").fetchone()
    until(lambda: sql(LOOKED, [now]).fetchone())


def test_pruning_stops_at_an_open_transaction(stream, sql, promin_dsn):
    start = stream.position()
    add(sql, 1)
    with psycopg.connect(promin_dsn) as late:
        late.execute("INSERT INTO orders (id) VALUES (2)")
        add(sql, 3)
        until(lambda: stream.prune(0) == 1)
        late.commit()
    fresh = stream.changes(Offset.timestamp(sql("SELECT now() - interval '1 hour'").fetchone()[0]))
    assert sorted(ids(fresh.take(2).collect())) == [2, 3]
    with pytest.raises(CursorInvalid):
        next(stream.changes(Offset.cursor(start)))
