"""PgmqQueue on both twins: making it, publishing, settling, and what late acks do."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from _pgmq import bare_dsn, install, pgmq_dsn, query
from _waiting import until

from promin_postgres import pgmq
from promin_postgres.codec import JsonCodec
from promin_postgres.errors import CodecError, ConfigurationError, InvalidArgument, LeaseLost
from promin_postgres.pgmq import AsyncPgmqQueue, Partitions, PgmqQueue, async_list_queues, fifo_message, list_queues
from promin_postgres.pgmq._features import Features

SUITE_RUNS = "async"

__all__ = ["bare_dsn", "pgmq_dsn"]


@pytest.fixture
def make(twin, pgmq_dsn):
    queues = []

    def make_queue(name="orders", **options):
        queue = twin.pick(PgmqQueue, AsyncPgmqQueue).create(pgmq_dsn, name, **options)
        queues.append(queue)
        return queue

    yield make_queue
    for queue in queues:
        queue.close()


def take(queue, **options):
    """The envelopes that are there, not settled."""
    with queue.subscribe_ack(until_empty=True, **options) as stream:
        return list(stream)


def test_a_message_is_published_read_and_acknowledged(make):
    with make() as queue:
        first = queue.publish({"n": 1}, headers={"trace": "x"})
        assert queue.publish_batch([2, 3], headers=[None, {"h": 3}]) == [first + 1, first + 2]
        one, two, three = take(queue)
        assert (one.value, one.message_id, one.deliveries, one.headers) == ({"n": 1}, first, 1, {"trace": "x"})
        assert one.created_at.tzinfo is not None
        assert (two.headers, three.headers) == (None, {"h": 3})
        assert "message 1 of 'orders', delivery 1" in repr(one)
        one.ack()
        assert queue.metrics().length == 2
        assert queue.purge() == 2
        assert queue.drop() is True
        assert queue.drop() is False


def test_create_finds_what_is_there_and_makes_the_kind_that_is_asked_for(twin, make, pgmq_dsn):
    make("plain")
    make("fast", unlogged=True)
    make("fast")
    found = twin.pick(list_queues, async_list_queues)(pgmq_dsn)
    assert [(queue.name, queue.is_unlogged) for queue in found] == [("fast", True), ("plain", False)]
    with pytest.raises(ConfigurationError, match="pg_partman"):
        make("parts", partitioned=Partitions(interval=1000, retention=5000))
    with pytest.raises(InvalidArgument, match="unlogged"):
        make("both", unlogged=True, partitioned=Partitions())


def test_creating_a_queue_that_is_there_does_not_wait_for_its_users(make, pgmq_dsn):
    make().publish(1)
    with psycopg.connect(pgmq_dsn) as busy, psycopg.connect(pgmq_dsn, autocommit=True) as other:
        busy.execute("SELECT pgmq.send('orders', '1')")
        other.execute("SET statement_timeout = '5s'")
        PgmqQueue.create(other, "orders")


def test_publishing_joins_a_transaction(twin, make, pgmq_dsn):
    queue = make()
    with twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect(pgmq_dsn) as connection:
        queue.publish("no", connection=connection)
        queue.publish_batch(["no"], connection=connection)
        connection.rollback()
        queue.publish("yes", connection=connection)
        connection.commit()
        (envelope,) = take(queue)
        assert envelope.value == "yes"
        envelope.ack(connection=connection)
        connection.rollback()
    assert queue.metrics().length == 1


def test_archiving_keeps_what_was_acknowledged(make, pgmq_dsn):
    queue = make(ack_mode="archive")
    queue.publish_batch([1, 2, 3])
    one, two, three = take(queue)
    one.ack()
    two.nack()
    three.nack()
    (two, three) = take(queue, ack_mode="delete")
    two.ack()
    assert query(pgmq_dsn, "SELECT message FROM pgmq.a_orders") == [(1,)]
    assert [envelope.value for envelope in take(queue, ack_mode="delete")] == []
    three.ack()
    assert queue.metrics().length == 0


def test_nack_and_extend(make, caplog):
    queue = make()
    queue.publish("x")
    (envelope,) = take(queue)
    envelope.nack(error=ValueError("too hot"))
    assert "message 1 given back: too hot" in caplog.text
    (envelope,) = take(queue)
    assert envelope.deliveries == 2
    envelope.extend(timedelta(minutes=5))
    envelope.nack(delay=0.2)
    assert take(queue) == []
    with queue.subscribe_ack(poll_interval=0.05) as stream:
        assert next(stream).deliveries == 3


def test_an_ack_of_what_is_gone_has_lost_the_lease(make):
    queue = make()
    queue.publish("x")
    (envelope,) = take(queue)
    queue.purge()
    for settle in (envelope.ack, envelope.nack, lambda: envelope.extend(5)):
        with pytest.raises(LeaseLost, match="message 1 of queue 'orders'"):
            settle()
    assert envelope.take() is False


def test_pgmq_fences_by_nothing(make):
    """A late ack counts while the message is there; a late nack or extend leaves the other consumer alone."""
    queue = make(vt=1)
    queue.publish("x")
    (late,) = take(queue)
    with queue.subscribe_ack(poll_interval=0.05) as stream:
        holder = next(stream)  # its time was over
    for settle in (late.nack, lambda: late.extend(60)):
        with pytest.raises(LeaseLost):
            settle()
    late.ack()
    with pytest.raises(LeaseLost):
        holder.ack()


def test_a_message_that_does_not_decode_goes_to_the_archive(make, pgmq_dsn, caplog):
    class Numbers(JsonCodec):
        def decode(self, text: str, *, subject: str | None = None) -> Any:
            if not isinstance(value := super().decode(text, subject=subject), int):
                raise CodecError("is no number", subject=subject)
            return value

    queue = make(codec=Numbers())
    query(pgmq_dsn, "SELECT pgmq.send_batch('orders', ARRAY['1', '\"two\"', '3']::jsonb[])")
    assert queue.subscribe(until_empty=True).collect() == [1, 3]
    assert query(pgmq_dsn, "SELECT message FROM pgmq.a_orders") == [("two",)]
    assert "moved to the archive: message 2: $: is no number" in caplog.text


def test_headers_that_do_not_decode_go_to_the_archive_too(make, pgmq_dsn, caplog):
    queue = make()
    queue.publish_batch([1, 2])
    query(pgmq_dsn, "UPDATE pgmq.q_orders SET headers = '[1e5000]' WHERE msg_id = 1")
    assert queue.subscribe(until_empty=True).collect() == [2]
    assert query(pgmq_dsn, "SELECT msg_id FROM pgmq.a_orders") == [(1,)]
    assert "moved to the archive: message 1, headers: " in caplog.text


def test_what_does_not_decode_is_named_and_not_lost(twin, make, pgmq_dsn):
    names = ("read", "pop", "set_vt", "archive")
    read, pop, set_vt, archive = (twin.pick(getattr(pgmq, name), getattr(pgmq, f"async_{name}")) for name in names)
    queue = make()
    queue.publish_batch([1, 2, 3])
    query(pgmq_dsn, "UPDATE pgmq.q_orders SET message = '1e5000' WHERE msg_id = 2")
    with pytest.raises(CodecError, match=r"message 2: \$: the stored value is not JSON"):
        pop(pgmq_dsn, "orders", qty=3)
    assert (queue.metrics().length, queue.metrics().visible_length) == (3, 3)
    with pytest.raises(CodecError, match="message 2: "):
        read(pgmq_dsn, "orders", qty=3)
    assert archive(pgmq_dsn, "orders", 2) is True
    assert [message.message for message in set_vt(pgmq_dsn, "orders", [1, 2, 3], 0)] == [1, 3]
    assert [message.message for message in pop(pgmq_dsn, "orders", qty=3)] == [1, 3]


def test_a_name_may_be_all_that_is_allowed(make, pgmq_dsn):
    name = "9-select_-a-" + "x" * 35
    queue = make(name, poll_interval=60)
    queue.enable_notify(throttle=0)
    received = []
    with queue.subscribe() as stream:
        reader = threading.Thread(target=lambda: received.extend(stream.take(1)), daemon=True)
        reader.start()
        until(lambda: query(pgmq_dsn, "SELECT 1 FROM pg_stat_activity WHERE state = 'idle' AND query LIKE '%mend_n%'"))
        queue.publish("woken")
        reader.join(60)
    assert received == ["woken"]
    queue.disable_notify()
    assert queue.metrics().queue == name
    assert queue.drop() is True


def test_a_message_that_is_sql_null_is_none(make, pgmq_dsn):
    queue = make()
    query(pgmq_dsn, "SELECT pgmq.send('orders', NULL)")
    assert queue.subscribe(until_empty=True).collect() == [None]


def test_groups_travel_in_the_header(make):
    queue = make()
    queue.publish(fifo_message(1, group="a"), headers={"h": 1})
    queue.publish_batch([fifo_message(2, group="b"), 3])
    assert [envelope.headers for envelope in take(queue)] == [
        {"h": 1, "x-pgmq-group": "a"},
        {"x-pgmq-group": "b"},
        None,
    ]


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        *(({"name": name}, "name") for name in ("Orders", "", "x" * 48, "a;b", "a--b", "-a", "q\n", 'a"b', "ö", None)),
        ({"vt": 0}, "vt"),
        ({"vt": -1}, "vt"),
        ({"qty": 0}, "qty"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"ack_mode": "forget"}, "ack_mode"),
    ],
)
def test_bad_settings_are_named_before_anything_is_sent(twin, options, argument):
    for how in ("create", "wrap"):
        with pytest.raises(InvalidArgument) as caught:
            getattr(twin.pick(PgmqQueue, AsyncPgmqQueue), how)("host=nowhere.invalid", **{"name": "q", **options})
        assert caught.value.argument == argument


def test_without_pgmq_the_error_says_what_can_be_done(twin, bare_dsn):
    kind = twin.pick(PgmqQueue, AsyncPgmqQueue)
    with pytest.raises(ConfigurationError) as caught:
        kind.create(bare_dsn, "orders")
    for part in ("CREATE EXTENSION pgmq", "SQL file", "PgQueue"):
        assert part in str(caught.value)
    with kind.wrap(bare_dsn, "orders") as queue:
        with pytest.raises(ConfigurationError, match="CREATE EXTENSION pgmq"):
            queue.publish(1)
        install(bare_dsn)
        query(bare_dsn, "SELECT pgmq.create('orders')")
        assert queue.publish(1) == 1, "what is missing is asked for again"


def test_what_pgmq_offers_is_asked_once(make, monkeypatch):
    queue = make()
    monkeypatch.setattr(Features, "of", None)
    assert queue.publish(1) == 1
    assert queue.subscribe(until_empty=True).collect() == [1]
