"""What PgQueue promises, on both twins."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from promin_postgres.errors import CodecError, InvalidArgument, LeaseLost
from promin_postgres.queue import AsyncPgQueue, PgQueue


@pytest.fixture
def make(twin, promin_dsn):
    queues = []

    def make_queue(name="orders", **options):
        queue = twin.pick(PgQueue, AsyncPgQueue).create(promin_dsn, name, **options)
        queues.append(queue)
        return queue

    yield make_queue
    for queue in queues:
        queue.close()


def values(envelopes):
    return [envelope.value for envelope in envelopes]


def test_first_in_first_out(make):
    queue = make()
    ids = [queue.publish({"n": 1}), *queue.publish_many([{"n": 2}, {"n": 3}])]
    received = queue.receive(10)
    assert values(received) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert [envelope.message_id for envelope in received] == ids == sorted(ids)
    assert [envelope.deliveries for envelope in received] == [1, 1, 1]
    assert queue.receive(10) == []


def test_headers_travel_with_the_message(make):
    queue = make()
    queue.publish(1, headers={"trace": "é🚀"})
    queue.publish(2)
    assert [envelope.headers for envelope in queue.receive(2)] == [{"trace": "é🚀"}, None]


def test_an_envelope_tells_when_it_was_published(make, promin_dsn):
    queue = make()
    queue.publish_many([1, 2])
    with psycopg.connect(promin_dsn) as connection:
        connection.execute("UPDATE pgq_orders SET created_at = '1999-12-31 23:59:59.999999+00' WHERE value::text = '2'")
        connection.commit()
        (published,) = connection.execute("SELECT created_at FROM pgq_orders ORDER BY id LIMIT 1").fetchone()
    assert [envelope.created_at for envelope in queue.receive(2)] == [
        published,
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ]


def test_an_acknowledged_message_is_gone(make):
    queue = make()
    queue.publish("a")
    (envelope,) = queue.receive()
    envelope.ack()
    assert queue.metrics().total == 0
    with pytest.raises(LeaseLost):
        envelope.ack()


def test_archive_keeps_what_was_acknowledged_out_of_the_way(make):
    queue = make(ack_mode="archive")
    queue.publish_many(["a", "b"])
    queue.receive()[0].ack()
    metrics = queue.metrics()
    assert (metrics.pending, metrics.completed, metrics.total) == (1, 1, 2)
    assert values(queue.receive(10)) == ["b"]


def test_a_nacked_message_comes_again_and_dies_at_its_last_attempt(make):
    queue = make(max_attempts=2)
    queue.publish("a")
    queue.receive()[0].nack()
    (again,) = queue.receive()
    assert again.deliveries == 2
    again.nack(error=ValueError("no\x00use"))
    assert queue.receive() == []
    assert queue.metrics().dead == 1
    (dead,) = queue.dead_messages()
    assert (dead.text, dead.error, dead.deliveries) == ('"a"', "ValueError: no\\x00use", 2)
    assert queue.requeue_dead() == 1
    assert queue.receive()[0].deliveries == 1


def test_a_nack_with_a_delay_waits(make, promin_dsn):
    queue = make()
    queue.publish("a")
    queue.receive()[0].nack(delay=60)
    assert queue.receive() == []
    move_time(promin_dsn, "due_at")
    assert values(queue.receive()) == ["a"]


@pytest.mark.parametrize(
    "delay",
    [lambda: 60, lambda: timedelta(minutes=1), lambda: datetime.now(UTC) + timedelta(minutes=1)],
    ids=["seconds", "timedelta", "moment"],
)
def test_a_delayed_message_waits_for_its_moment(make, promin_dsn, delay):
    queue = make()
    queue.publish("late", delay=delay())
    queue.publish("now")
    assert values(queue.receive(10)) == ["now"]
    metrics = queue.metrics()
    assert (metrics.pending, metrics.processing) == (1, 1)
    move_time(promin_dsn, "due_at")
    assert values(queue.receive(10)) == ["late"]


def test_a_message_whose_consumer_is_silent_comes_again(make, promin_dsn):
    queue = make(max_attempts=2)
    queue.publish("a")
    (first,) = queue.receive()
    move_time(promin_dsn, "leased_until")
    with pytest.raises(LeaseLost):
        first.ack()
    (second,) = queue.receive()
    assert (second.value, second.deliveries) == ("a", 2)
    for late in (first.ack, first.nack, lambda: first.extend(10)):
        with pytest.raises(LeaseLost):
            late()
    second.extend(60)
    second.ack()


def test_a_message_that_kills_its_consumers_is_buried(make, promin_dsn):
    queue = make(max_attempts=2)
    queue.publish("poison")
    for _ in range(2):
        assert queue.receive()[0].value == "poison"
        move_time(promin_dsn, "leased_until")
    assert queue.receive() == []
    queue.publish("fine")
    assert values(queue.receive(10)) == ["fine"]
    assert queue.dead_messages()[0].error == "delivered 2 times and never acknowledged"


def test_dead_messages_go_to_the_dead_letter_sink(make):
    graves = make("graves")
    queue = make("orders", max_attempts=1, dead_letter=graves)
    queue.publish({"a": 1})
    queue.receive()[0].nack()
    assert queue.metrics().total == 0
    assert values(graves.receive()) == [{"a": 1}]


def test_what_the_sink_refuses_stays_dead(make, caplog):
    queue = make(max_attempts=1, dead_letter=Broken())
    queue.publish("a")
    queue.receive()[0].nack()
    assert queue.metrics().dead == 1
    assert "stays dead" in caplog.text


class Broken:
    def publish(self, value):
        raise RuntimeError("full")


def test_a_value_that_does_not_decode_is_buried_and_the_rest_goes_on(make, promin_dsn):
    queue = make()
    queue.publish_many([1, 2, 3])
    other = make(codec=Even())
    assert values(other.receive(10)) == [2]
    assert "odd" in other.dead_messages()[0].error
    assert other.metrics().dead == 2


class Even:
    def encode(self, value, *, subject=None):
        return str(value)

    def decode(self, text, *, subject=None):
        if int(text) % 2:
            raise CodecError("odd", subject=subject)
        return int(text)


def test_pop_takes_and_acknowledges(make):
    queue = make()
    queue.publish_many([1, 2, 3])
    assert queue.pop(2) == [1, 2]
    assert queue.metrics().total == 1


def test_many_are_settled_at_once(make, promin_dsn):
    queue = make()
    queue.publish_many(range(6))
    batch = queue.receive(6)
    batch[0].ack()
    assert queue.ack_many(batch[:3]) == [batch[0].message_id]
    assert queue.nack_many(batch[2:4]) == [batch[2].message_id]
    assert values(queue.receive(6)) == [3]
    assert queue.ack_many([]) == queue.nack_many([]) == []


def test_publishing_joins_the_callers_transaction(make, twin, promin_dsn):
    queue = make()
    connection = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect(promin_dsn)
    queue.publish("rolled back", connection=connection)
    assert queue.receive() == []
    connection.rollback()
    queue.publish("committed", connection=connection)
    connection.commit()
    (envelope,) = queue.receive()
    assert envelope.value == "committed"
    envelope.ack(connection=connection)
    connection.rollback()
    envelope.ack()
    connection.close()


def test_a_batch_is_all_or_nothing(make):
    queue = make()
    with pytest.raises(CodecError, match=r"\$"):
        queue.publish_many([1, math.nan, 3])
    assert queue.metrics().total == 0


def test_receive_waits_for_a_message(make):
    queue = make(poll_interval=0.05)
    queue.publish("soon", delay=0.1)
    assert values(queue.receive(wait=10)) == ["soon"]
    assert queue.receive(wait=0.01) == []


def test_expired_leases_are_requeued_with_the_dead(make, promin_dsn):
    queue = make(max_attempts=1)
    queue.publish_many(["dead", "expired", "held"])
    dead, expired, _held = queue.receive(3)
    dead.nack()
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("UPDATE pgq_orders SET leased_until = now() WHERE id = %s", [expired.message_id])
    assert queue.requeue_dead() == 2
    again = queue.receive(3)
    assert [(envelope.value, envelope.deliveries) for envelope in again] == [("dead", 1), ("expired", 1)]


def test_many_may_create_a_queue_at_once(make):
    with ThreadPoolExecutor(8) as threads:
        queues = list(threads.map(lambda _: make("orders", schema="public"), range(8)))
    queues[0].publish("a")
    assert values(queues[-1].receive()) == ["a"]


def test_purge_and_drop(make):
    queue = make(ack_mode="archive")
    queue.publish_many(range(5))
    queue.receive()[0].ack()
    assert queue.purge() == 5
    assert queue.metrics().total == 0
    queue.drop()
    with pytest.raises(psycopg.errors.UndefinedTable):
        queue.metrics()


def test_the_age_of_the_oldest(make):
    queue = make()
    assert queue.metrics().oldest_age is None
    queue.publish(1)
    assert timedelta(0) <= queue.metrics().oldest_age < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda q: q.receive(0), "max_messages"),
        (lambda q: q.receive(True), "max_messages"),
        (lambda q: q.receive(visibility_timeout=0), "visibility_timeout"),
        (lambda q: q.receive(wait=-1), "wait"),
        (lambda q: q.publish(1, delay=-1), "delay"),
        (lambda q: q.publish(1, delay=datetime(2026, 1, 1)), "delay"),  # noqa: DTZ001 - refused is the point
        (lambda q: q.publish(1, headers=[1]), "headers"),
        (lambda q: q.subscribe(batch_size=0), "batch_size"),
    ],
)
def test_bad_arguments_are_named(make, call, argument):
    queue = make()
    with pytest.raises(InvalidArgument) as error:
        call(queue)
    assert error.value.argument == argument
    assert queue.metrics().total == 0


@pytest.mark.parametrize("name", ["", "Orders", "1st", "a" * 48, "a; drop table x", 'a"b', "ä"])
def test_bad_names_are_refused(make, name):
    with pytest.raises(InvalidArgument) as error:
        make(name)
    assert error.value.argument == "name"


@pytest.mark.parametrize(
    "option",
    [{"ack_mode": "keep"}, {"visibility_timeout": 0}, {"max_attempts": 0}, {"poll_interval": 0}, {"batch_size": 0}],
)
def test_bad_settings_are_refused(make, option):
    with pytest.raises(InvalidArgument) as error:
        make(**option)
    assert error.value.argument == next(iter(option))


def move_time(dsn, column):
    """Let a moment of every message pass."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"UPDATE pgq_orders SET {column} = clock_timestamp() WHERE {column} IS NOT NULL")
