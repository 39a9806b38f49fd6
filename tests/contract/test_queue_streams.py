"""The streams of a queue, on both twins."""

from __future__ import annotations

import asyncio
import random
import threading
import time

import psycopg
import pytest
from _waiting import until

from promin_postgres.queue import AsyncPgQueue, PgQueue

AT_THE_DOOR = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


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


def test_taking_one_of_ten_leaves_nine(make):
    queue = make()
    queue.publish_many(range(10))
    assert queue.subscribe().take(1).collect() == [0]
    assert queue.metrics().pending == 9
    assert [envelope.deliveries for envelope in queue.receive(10)] == [1] * 9


def test_what_a_dead_consumer_had_taken_stays_taken(make, promin_dsn):
    queue = make()
    queue.publish_many(range(10))
    stream = queue.subscribe()
    assert next(stream) == 0
    metrics = queue.metrics()  # as a consumer that died here would leave it
    assert (metrics.total, metrics.processing) == (9, 9)
    stream.close()
    assert queue.metrics().pending == 9


def test_a_stream_ends_when_the_queue_is_empty(make):
    queue = make(batch_size=3)
    queue.publish_many(range(8))
    assert queue.subscribe(until_empty=True).collect() == list(range(8))
    assert queue.metrics().total == 0


def test_envelopes_are_settled_one_by_one(make):
    queue = make()
    queue.publish_many(range(4))
    with queue.subscribe_ack(until_empty=True) as stream:
        for envelope in stream:
            if envelope.value == 2 and envelope.deliveries == 1:
                envelope.nack()
            else:
                envelope.ack()
    assert queue.metrics().total == 0


def test_what_was_fetched_ahead_costs_no_delivery(make):
    queue = make()
    queue.publish_many(range(5))
    with queue.subscribe_ack() as stream:
        next(stream).ack()
    assert [(e.value, e.deliveries) for e in queue.receive(10)] == [(1, 1), (2, 1), (3, 1), (4, 1)]


def test_what_an_operator_had_pulled_comes_back(make):
    queue = make()
    queue.publish_many(range(5))
    stream = queue.subscribe().take_while(lambda value: value < 2)
    assert stream.collect() == [0, 1]
    assert sorted(envelope.value for envelope in queue.receive(10)) == [2, 3, 4]


def test_an_envelope_that_an_operator_had_pulled_costs_no_delivery(make):
    queue = make()
    queue.publish_many(range(3))
    queue.subscribe_ack().take_while(lambda envelope: envelope.value < 0).collect()
    assert [(envelope.value, envelope.deliveries) for envelope in queue.receive(10)] == [(0, 1), (1, 1), (2, 1)]


def test_closing_from_another_thread_ends_a_waiting_stream(make, promin_dsn):
    queue = make(poll_interval=60)
    stream = queue.subscribe()
    ended = []
    reader = threading.Thread(target=lambda: ended.extend(stream))
    reader.start()
    wait_for_listener(promin_dsn)
    stream.close()
    reader.join(60)
    assert not reader.is_alive()
    assert ended == []


def test_a_waiting_consumer_is_woken_by_the_bell(make, promin_dsn):
    queue = make(poll_interval=60)
    with queue.subscribe() as stream:
        received = []
        reader = threading.Thread(target=lambda: received.extend(stream.take(3)))
        reader.start()
        for value in range(3):
            wait_for_listener(promin_dsn)
            queue.publish(value)
        reader.join(60)
        assert received == [0, 1, 2]


def test_a_consumer_without_bell_polls(make):
    queue = make(poll_interval=0.05, notify=False)
    received = []
    with queue.subscribe() as stream:
        reader = threading.Thread(target=lambda: received.extend(stream.take(1)))
        reader.start()
        queue.publish("polled")
        reader.join(60)
    assert received == ["polled"]


def test_a_broken_listener_is_mended(make, promin_dsn):
    queue = make(poll_interval=60)
    with queue.subscribe() as stream:
        received = []
        reader = threading.Thread(target=lambda: received.extend(stream.take(2)))
        reader.start()
        wait_for_listener(promin_dsn)
        with psycopg.connect(promin_dsn, autocommit=True) as connection:
            (broken,) = connection.execute(AT_THE_DOOR).fetchone()
            connection.execute("SELECT pg_terminate_backend(%s)", [broken])
        queue.publish("during")
        wait_for_listener(promin_dsn, other_than=broken)
        queue.publish("after")
        reader.join(60)
        assert received == ["during", "after"]


def test_streams_of_one_process_share_one_listening_connection(make, promin_dsn):
    queue = make(poll_interval=60)
    streams = [queue.subscribe() for _ in range(5)]
    readers = [threading.Thread(target=lambda stream=stream: list(stream)) for stream in streams]
    for reader in readers:
        reader.start()
    wait_for_listener(promin_dsn)
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        (listening,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE '%bell/%' AND pid <> pg_backend_pid()"
        ).fetchone()
    assert listening == 1
    for stream in streams:
        stream.close()
    for reader in readers:
        reader.join(60)
        assert not reader.is_alive()


def test_a_slow_consumer_gets_messages_with_their_time_ahead(make):
    queue = make(visibility_timeout=1.0)
    queue.publish_many(range(4))
    with queue.subscribe_ack(until_empty=True) as stream:
        for envelope in stream:
            time.sleep(0.6)  # longer than half of the timeout, shorter than the whole
            envelope.ack()
            assert envelope.deliveries == 1
    assert queue.metrics().total == 0


@pytest.mark.parametrize("messages", [150, pytest.param(3000, marks=pytest.mark.soak)])
def test_a_cancelled_consumer_loses_nothing(promin_dsn, messages):
    """Cancelled at every stage of fetching and acknowledging: what the server had deleted by then is published anew."""

    async def main():
        received, cancelled = [], 0
        options = {"batch_size": 2, "visibility_timeout": 2, "poll_interval": 0.05, "max_attempts": 1000}
        async with await AsyncPgQueue.create(promin_dsn, "orders", **options) as queue:
            await queue.publish_many(range(messages))
            while (await queue.metrics()).total:
                async with queue.subscribe() as stream:
                    for _ in range(4):
                        pull = asyncio.ensure_future(anext(stream))
                        await asyncio.wait({pull}, timeout=random.uniform(0, 0.004))
                        pull.cancel()
                        await asyncio.wait({pull})
                        if pull.cancelled():
                            cancelled += 1
                            break
                        received.append(pull.result())
        return received, cancelled

    received, cancelled = asyncio.run(main())
    assert sorted(set(received)) == list(range(messages))
    assert cancelled > messages // 10


def test_an_ack_whose_answer_was_lost_counts(make, promin_dsn):
    queue = make()
    queue.publish_many(["one", "two", "three"])
    with queue.subscribe() as stream, psycopg.connect(promin_dsn) as other:
        assert next(stream) == "one"
        other.execute("DELETE FROM pgq_orders WHERE value::text = '\"two\"'")
        received = []
        reader = threading.Thread(target=lambda: received.append(next(stream)), daemon=True)
        reader.start()
        broken = waiting_ack(promin_dsn)
        query(promin_dsn, "SELECT pg_terminate_backend(%s, 10000)", broken)
        waiting_ack(promin_dsn, other_than=broken)
        other.commit()  # to the consumer as if it had been its own ack that arrived
        reader.join(10)
        assert received == ["two"]
        query(promin_dsn, "DELETE FROM pgq_orders")
        with pytest.raises(TimeoutError):  # what somebody else has settled is not handed out
            next(stream.timeout(0.3))


def waiting_ack(dsn, other_than=None):
    """The process of an ack that waits for a row, once there is one."""
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND starts_with(query, '/* queue/ack_one */') AND pid IS DISTINCT FROM %s"
    )
    return until(lambda: query(dsn, waiting, other_than))[0][0]


def query(dsn, text, *params):
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(text, params)
        return cursor.fetchall() if cursor.description else None


def wait_for_listener(dsn, other_than=None):
    """Until somebody waits at the door of the queue."""
    deadline = time.monotonic() + 20
    with psycopg.connect(dsn, autocommit=True) as connection:
        while time.monotonic() < deadline:
            row = connection.execute(AT_THE_DOOR).fetchone()
            if row is not None and row[0] != other_than:
                return
            time.sleep(0.01)
    raise AssertionError("nobody listens")
