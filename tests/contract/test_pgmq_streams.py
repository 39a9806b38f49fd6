"""The streams of a pgmq queue, on both twins: nothing that was read ahead is lost, and waiting ends when it should."""

from __future__ import annotations

import asyncio
import random
import threading
import time

import psycopg
import pytest
from _pgmq import pgmq_dsn, query
from _waiting import until

from promin_postgres.pgmq import AsyncPgmqQueue, PgmqQueue, ReadMode, fifo_message
from promin_postgres.streams import (
    Acknowledgeable,
    AsyncAcknowledgeable,
    AsyncSinkable,
    AsyncStreamable,
    Sinkable,
    Streamable,
)

SUITE_RUNS = "async"

__all__ = ["pgmq_dsn"]


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


def test_it_is_what_streams_ask_for():
    assert all(issubclass(PgmqQueue, protocol) for protocol in (Streamable, Sinkable, Acknowledgeable))
    assert all(issubclass(AsyncPgmqQueue, p) for p in (AsyncStreamable, AsyncSinkable, AsyncAcknowledgeable))


def test_taking_one_of_ten_leaves_nine(make):
    queue = make()
    queue.publish_batch(range(10))
    assert queue.subscribe().take(1).collect() == [0]
    metrics = queue.metrics()
    assert (metrics.length, metrics.visible_length) == (9, 9)


def test_what_a_dead_consumer_had_read_stays_read(make):
    queue = make()
    queue.publish_batch(range(10))
    stream = queue.subscribe()
    assert next(stream) == 0
    metrics = queue.metrics()  # as a consumer that died here would leave it
    assert (metrics.length, metrics.visible_length) == (9, 0)
    stream.close()
    assert queue.metrics().visible_length == 9


def test_giving_back_does_not_take_back_the_count_of_reads(make):
    queue = make()
    queue.publish_batch(range(3))
    with queue.subscribe_ack() as stream:
        next(stream).ack()
    with queue.subscribe_ack(until_empty=True) as stream:
        assert [(envelope.value, envelope.deliveries) for envelope in stream] == [(1, 2), (2, 2)]


def test_closing_late_leaves_to_others_what_they_have_by_now(make, pgmq_dsn):
    queue = make(vt=1)
    queue.publish_batch(range(3))
    stream = queue.subscribe_ack()
    next(stream)
    until(lambda: queue.metrics().visible_length == 3)
    with queue.subscribe_ack(read_mode=ReadMode.standard(vt=60)) as other:
        held = [next(other) for _ in range(3)]
        stream.close()
        assert queue.metrics().visible_length == 0
        for envelope in held:
            envelope.ack()


def test_a_stream_ends_when_the_queue_is_empty(make):
    queue = make(qty=3)
    queue.publish_batch(range(8))
    assert queue.subscribe(until_empty=True).collect() == list(range(8))
    assert queue.metrics().length == 0


def test_what_an_operator_does_not_hand_out_is_given_back(make):
    queue = make()
    queue.publish_batch(range(4))
    kept = queue.subscribe_ack().take_while(lambda envelope: envelope.value < 2).collect()
    assert [envelope.value for envelope in kept] == [0, 1]
    assert queue.metrics().visible_length == 2


def test_what_an_operator_had_pulled_is_published_anew(make):
    queue = make()
    queue.publish_batch(range(5))
    stream = queue.subscribe().take_while(lambda value: value < 2)
    assert stream.collect() == [0, 1]
    assert sorted(queue.subscribe(until_empty=True).collect()) == [2, 3, 4]


def test_what_operators_hold_when_a_stream_closes_is_not_lost(make):
    queue = make()
    queue.publish_batch(range(40))
    with queue.subscribe().par_map(lambda value: value, concurrency=4) as stream:
        seen = [next(stream) for _ in range(5)]
    with queue.subscribe().batched(10, max_wait=60) as stream:
        seen += next(stream)
    with queue.subscribe().merge(queue.subscribe()) as stream:
        seen += [next(stream) for _ in range(3)]
    assert sorted(seen + queue.subscribe(until_empty=True).collect()) == list(range(40))


@pytest.mark.parametrize("messages", [150, pytest.param(3000, marks=pytest.mark.soak)])
def test_a_cancelled_consumer_loses_nothing(pgmq_dsn, messages):
    """Cancelled at every stage of reading and acknowledging: what the server had deleted by then is published anew."""

    async def main():
        received, cancelled = [], 0
        async with await AsyncPgmqQueue.create(pgmq_dsn, "orders", qty=2, vt=2, poll_interval=0.05) as queue:
            await queue.publish_batch(range(messages))
            while (await queue.metrics()).length:
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


def test_an_ack_whose_answer_was_lost_counts(make, pgmq_dsn):
    queue = make()
    queue.publish_batch(["one", "two", "three"])
    with queue.subscribe() as stream, psycopg.connect(pgmq_dsn) as other:
        assert next(stream) == "one"
        other.execute("DELETE FROM pgmq.q_orders WHERE message = '\"two\"'")
        received = []
        reader = threading.Thread(target=lambda: received.append(next(stream)), daemon=True)
        reader.start()
        broken = waiting_ack(pgmq_dsn)
        query(pgmq_dsn, "SELECT pg_terminate_backend(%s, 10000)", broken)
        waiting_ack(pgmq_dsn, other_than=broken)
        other.commit()  # to the consumer as if it had been its own ack that arrived
        reader.join(60)
        assert received == ["two"]
        query(pgmq_dsn, "DELETE FROM pgmq.q_orders")
        with pytest.raises(TimeoutError):  # what somebody else has settled is not handed out
            next(stream.timeout(0.3))


def test_a_borrowed_connection_that_breaks_ends_the_stream(twin, pgmq_dsn):
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with connect(pgmq_dsn, autocommit=True) as connection:
        queue = twin.pick(PgmqQueue, AsyncPgmqQueue).create(connection, "orders")
        query(pgmq_dsn, "SELECT pg_terminate_backend(%s, 10000)", connection.info.backend_pid)
        with pytest.raises(psycopg.OperationalError):
            next(queue.subscribe())


def test_a_slow_consumer_gets_messages_with_their_time_ahead(make):
    queue = make(vt=2)
    queue.publish_batch(range(4))
    with queue.subscribe_ack(until_empty=True) as stream:
        for envelope in stream:
            time.sleep(1.1)  # longer than half of the timeout, shorter than the whole
            envelope.ack()
            assert envelope.deliveries == 1
    assert queue.metrics().length == 0


def test_a_consumer_slower_than_its_lease_reads_anew(make):
    queue = make(vt=1)
    queue.publish_batch(range(2))
    with queue.subscribe_ack(until_empty=True) as stream:
        next(stream).ack()
        until(lambda: queue.metrics().visible_length == 1)
        envelope = next(stream)
        assert (envelope.value, envelope.deliveries) == (1, 2)
        envelope.ack()


def test_closing_from_another_thread_ends_a_waiting_stream(make, pgmq_dsn):
    queue = make(poll_interval=60)
    stream = queue.subscribe()
    ended = []
    reader = threading.Thread(target=lambda: ended.extend(stream))
    reader.start()
    wait_for_listener(pgmq_dsn)
    stream.close()
    reader.join(60)
    assert not reader.is_alive()
    assert ended == []


def test_a_waiting_consumer_is_woken(make, pgmq_dsn):
    queue = make(poll_interval=60)
    queue.enable_notify(throttle=0)
    with queue.subscribe() as stream:
        received = []
        reader = threading.Thread(target=lambda: received.extend(stream.take(3)), daemon=True)
        reader.start()
        wait_for_listener(pgmq_dsn)
        for value in range(3):
            queue.publish(value)
            until(lambda value=value: len(received) > value)
        reader.join(60)
        assert received == [0, 1, 2]


def test_what_comes_within_the_throttle_is_seen_when_it_has_passed(make, pgmq_dsn):
    queue = make(poll_interval=60)
    queue.enable_notify(throttle=0.4)
    with queue.subscribe() as stream:
        received = []
        reader = threading.Thread(target=lambda: received.extend(stream.take(3)), daemon=True)
        reader.start()
        wait_for_listener(pgmq_dsn)
        for value in range(3):
            queue.publish(value)  # only the first one rings
        reader.join(60)
        assert received == [0, 1, 2]


def test_a_consumer_without_notification_polls(make):
    queue = make(poll_interval=0.05)
    received = []
    with queue.subscribe() as stream:
        reader = threading.Thread(target=lambda: received.extend(stream.take(1)), daemon=True)
        reader.start()
        queue.publish("polled")
        reader.join(60)
    assert received == ["polled"]


def test_a_delayed_message_is_found_by_polling(make):
    queue = make(poll_interval=0.1)
    queue.enable_notify()
    queue.publish("later", delay=0.3)
    assert queue.subscribe().take(1).collect() == ["later"]


def test_a_broken_listener_is_mended(make, pgmq_dsn):
    queue = make(poll_interval=60)
    queue.enable_notify(throttle=0)
    with queue.subscribe() as stream:
        received = []
        reader = threading.Thread(target=lambda: received.extend(stream.take(1)), daemon=True)
        reader.start()
        broken = wait_for_listener(pgmq_dsn)
        query(pgmq_dsn, "SELECT pg_terminate_backend(%s, 10000)", broken)
        wait_for_listener(pgmq_dsn, other_than=broken)
        queue.publish("after")
        reader.join(60)
        assert received == ["after"]


def test_waiting_on_the_server_needs_no_listener(make, pgmq_dsn):
    queue = make(vt=2)
    mode = ReadMode.poll(max_poll_seconds=20, poll_interval=0.02)
    with queue.subscribe_ack(read_mode=mode) as stream:
        received = []
        reader = threading.Thread(target=lambda: received.extend(e.value for e in stream.take(1)), daemon=True)
        reader.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pgmq/read_with_poll%' AND wait_event = 'PgSleep'"
        )
        until(lambda: query(pgmq_dsn, waiting) == [(1,)])
        queue.publish("x")
        reader.join(60)
        assert received == ["x"]


def test_a_lease_that_began_late_on_the_server_lasts_from_then_on(make):
    queue = make()
    queue.publish("x", delay=1.5)
    with queue.subscribe_ack(read_mode=ReadMode.poll(vt=1, max_poll_seconds=10, poll_interval=0.02)) as stream:
        envelope = next(stream)  # asked for more than its vt ago
        envelope.extend(5)
        envelope.ack()


def test_groups_are_worked_on_in_order(make):
    queue = make()
    queue.publish_batch([fifo_message(n, group="ab"[n % 2]) for n in range(6)])
    with (
        queue.subscribe_ack(read_mode=ReadMode.grouped_head(qty=1), until_empty=True) as one,
        queue.subscribe_ack(read_mode=ReadMode.grouped_head(qty=1), until_empty=True) as two,
    ):
        seen = []
        for _ in range(3):
            held = [next(one), next(two)]
            seen.append({envelope.value for envelope in held})
            for envelope in held:
                envelope.ack()
    assert seen == [{0, 1}, {2, 3}, {4, 5}]


def test_consumers_share_the_work_and_get_each_message_once(make):
    queue = make(qty=5)
    queue.publish_batch(range(200))
    streams = [queue.subscribe(until_empty=True) for _ in range(4)]
    received = []
    readers = [threading.Thread(target=lambda s=stream: received.extend(s)) for stream in streams]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    received.extend(queue.subscribe(until_empty=True).collect())  # what one gave back after the others had ended
    assert sorted(received) == list(range(200))


def waiting_ack(dsn, other_than=None):
    """The backend whose ack waits for somebody."""
    find = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND query LIKE '%%pgmq/delete_batch%%' AND pid <> COALESCE(%s, 0)"
    )
    ((found,),) = until(lambda: query(dsn, find, other_than))
    return found


def wait_for_listener(dsn, other_than=None):
    """Until somebody hears a channel, and its greeting is over."""
    find = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
        " AND query LIKE '%%pgmq/mend_notify%%' AND pid NOT IN (pg_backend_pid(), COALESCE(%s, 0))"
    )
    ((found,),) = until(lambda: query(dsn, find, other_than))
    return found
