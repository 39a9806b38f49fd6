"""A crash of the server silences the notification of pgmq for good; a consumer of ours mends it when it is back."""

from __future__ import annotations

import threading

import psycopg
import pytest
from _pgmq import INSTALLED, install, query
from _waiting import until

from promin_postgres.pgmq import AsyncPgmqQueue, PgmqQueue
from promin_postgres.testing import postgres_server

SUITE_RUNS = "async"

KINDS = ["embedded", *(["local"] if INSTALLED else [])]


@pytest.fixture(scope="module", params=KINDS)
def server(request):
    with postgres_server(server=request.param, durable=True) as server:
        yield server


@pytest.fixture
def dsn(server):
    name = server.new_name()
    dsn = server.create_database(name)
    install(dsn)
    yield dsn
    server.drop_database(name)


@pytest.fixture
def consume():
    """Starts consumers that take so many values each; they end with the test."""
    streams = []

    def start(queue, count=1):
        received = []
        stream = queue.subscribe()
        reader = threading.Thread(target=lambda: received.extend(stream.take(count)), daemon=True)
        reader.start()
        streams.append((stream, reader))
        return received

    yield start
    for stream, reader in streams:
        stream.close()
        reader.join(60)


def rings(dsn, work):
    """Whether a channel rings while something is done."""
    with psycopg.connect(dsn, autocommit=True) as listener:
        listener.execute('LISTEN "pgmq.q_orders.INSERT"')
        work()
        return bool(list(listener.notifies(timeout=1, stop_after=1)))


def test_a_crash_silences_pgmq_by_itself(server, dsn):
    query(dsn, "SELECT pgmq.create('orders')")
    query(dsn, "SELECT pgmq.enable_notify_insert('orders', 0)")
    assert rings(dsn, lambda: query(dsn, "SELECT pgmq.send('orders', '1')"))
    server.kill()
    assert not rings(dsn, lambda: query(dsn, "SELECT pgmq.send('orders', '1')"))


@pytest.mark.parametrize("enabled_by", ["the consumer", "somebody else"])
def test_a_waiting_consumer_mends_it_after_the_crash(twin, server, dsn, enabled_by, consume):
    queue = twin.pick(PgmqQueue, AsyncPgmqQueue).create(dsn, "orders", poll_interval=60)
    if enabled_by == "the consumer":
        queue.enable_notify(throttle=0.1)
    else:
        query(dsn, "SELECT pgmq.enable_notify_insert('orders', 100)")
    received = consume(queue, 2)
    until(lambda: listens(dsn))
    server.kill()
    wanted = 100 if enabled_by == "the consumer" else 250
    until(lambda: throttles(dsn) == [("orders", wanted)])
    assert rings(dsn, lambda: query(dsn, "SELECT pgmq.send('orders', '\"after\"')"))
    until(lambda: received == ["after"])
    queue.publish("and again")
    until(lambda: received == ["after", "and again"])
    queue.close()


def test_a_consumer_that_comes_later_mends_it(server, dsn, consume):
    with PgmqQueue.create(dsn, "orders") as queue:
        queue.enable_notify()
    server.kill()
    with PgmqQueue.wrap(dsn, "orders", poll_interval=60) as queue:
        received = consume(queue)
        until(lambda: throttles(dsn) == [("orders", 250)])
        query(dsn, "SELECT pgmq.send('orders', '1')")
        until(lambda: received == [1])


def test_many_consumers_mend_it_at_once(server, dsn, consume):
    queues = [PgmqQueue.create(dsn, "orders", poll_interval=60, qty=1) for _ in range(5)]
    queues[0].enable_notify(throttle=0)
    received = [consume(queue) for queue in queues]
    until(lambda: listens(dsn) == len(queues))
    server.kill()
    until(lambda: listens(dsn) == len(queues) and throttles(dsn))
    for value in range(len(queues)):
        query(dsn, "SELECT pgmq.send('orders', %s::text::jsonb)", str(value))
    until(lambda: sorted(value for values in received for value in values) == list(range(len(queues))))
    for queue in queues:
        queue.close()


def test_what_was_not_meant_to_ring_stays_silent(twin, dsn, consume):
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(dsn, "orders", poll_interval=60) as queue:
        queue.enable_notify()
        queue.disable_notify()
        consume(queue)
        until(lambda: listens(dsn))
        assert throttles(dsn) == []


def test_mending_does_not_queue_up_behind_a_long_transaction(dsn, consume, caplog):
    with PgmqQueue.create(dsn, "orders", poll_interval=0.2) as queue, psycopg.connect(dsn) as busy:
        queue.enable_notify()
        query(dsn, "DELETE FROM pgmq.notify_insert_throttle")  # as a crash leaves it
        busy.execute("SELECT pgmq.send('orders', '1')")
        received = consume(queue, 2)
        until(lambda: "may stay silent" in caplog.text)
        query(dsn, "SELECT pgmq.send('orders', '2')")
        until(lambda: received == [2])
        busy.rollback()
        until(lambda: throttles(dsn) == [("orders", 250)])


def throttles(dsn):
    """Which queues ring, and how often; nothing while the server is not up."""
    try:
        return query(dsn, "SELECT queue_name::text, throttle_interval_ms FROM pgmq.notify_insert_throttle")
    except psycopg.OperationalError:
        return None


def listens(dsn):
    """How many connections hear a channel, their greeting done."""
    try:
        ((count,),) = query(
            dsn,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
            " AND query LIKE '%pgmq/mend_notify%' AND pid <> pg_backend_pid()",
        )
    except psycopg.OperationalError:
        return 0
    return count
