"""Consumers and servers that are killed (-9) in the middle of a stream: no message is lost, none waits for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from _pgmq import INSTALLED, install, pgmq_dsn, query
from _waiting import until

from promin_postgres.pgmq import AsyncPgmqQueue, PgmqQueue
from promin_postgres.testing import postgres_server

SUITE_RUNS = "async"

__all__ = ["pgmq_dsn"]

CONSUMER = Path(__file__).parents[1] / "_pgmq_consumer.py"
MESSAGES = 30
NEVER = -1


@pytest.fixture(scope="module", params=["embedded", *(["local"] if INSTALLED else [])])
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
def start(twin):
    """Starts consumers in processes of their own; what is left of them dies with the test."""
    consumers = []

    def start_consumer(how, dsn, stop_at):
        command = [sys.executable, str(CONSUMER), twin.name, how, dsn, str(stop_at)]
        consumers.append(subprocess.Popen(command, cwd=CONSUMER.parents[1], stdout=subprocess.PIPE, text=True))
        return consumers[-1]

    yield start_consumer
    for consumer in consumers:
        consumer.kill()
        consumer.wait()
        consumer.stdout.close()


@pytest.mark.parametrize("how", ["subscribe", "subscribe_ack"])
def test_what_a_killed_consumer_had_read_ahead_comes_back_after_its_time(twin, start, pgmq_dsn, how):
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(pgmq_dsn, "jobs", poll_interval=0.1) as queue:
        queue.publish_batch(range(MESSAGES))
        consumer = start(how, pgmq_dsn, 3)
        assert [int(consumer.stdout.readline()) for _ in range(4)] == [0, 1, 2, 3]
        consumer.kill()
        consumer.wait()
        # `subscribe` acknowledges what it hands out, `subscribe_ack` leaves that to the one who died.
        left = list(range(4 if how == "subscribe" else 3, MESSAGES))
        metrics = queue.metrics()
        assert (metrics.length, metrics.visible_length) == (len(left), MESSAGES - 10)
        with queue.subscribe_ack() as stream:
            came = {}
            for envelope in stream.take(len(left)):
                came[envelope.value] = envelope.deliveries
                envelope.ack()
        assert came == {value: 2 if value < 10 else 1 for value in left}
        assert queue.metrics().length == 0


def test_processes_share_a_queue_and_each_message_is_handed_out_once(start, pgmq_dsn):
    with PgmqQueue.create(pgmq_dsn, "jobs") as queue:
        queue.publish_batch(range(500))
        consumers = [start(how, pgmq_dsn, NEVER) for how in ("subscribe", "subscribe_ack")]
        handed_out = [[int(line) for line in consumer.communicate(timeout=60)[0].split()] for consumer in consumers]
        assert sorted(handed_out[0] + handed_out[1]) == list(range(500))
        assert queue.metrics().length == 0


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("how", ["subscribe", "subscribe_ack"])
def test_a_consumer_outlives_crashes_of_the_server(twin, server, dsn, how, kills):
    """An ack whose answer was lost is asked for again: nothing that `subscribe` took out is dropped on the way."""
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(dsn, "jobs", vt=2, qty=5, poll_interval=0.1) as queue:
        queue.publish_batch(range(150 * kills))
        received, stream = [], getattr(queue, how)()

        def consume():
            for item in stream:
                received.append(item if how == "subscribe" else item.value)
                if how == "subscribe_ack":
                    with suppress(psycopg.OperationalError):  # it comes again then, unless the ack arrived
                        item.ack()

        reader = threading.Thread(target=consume, daemon=True)
        reader.start()
        for number in range(1, kills + 1):
            until(lambda share=number: len(received) >= 100 * share, timeout=60)
            server.kill()
        until(lambda: set(received) == set(range(150 * kills)), timeout=60)
        until(lambda: queue.metrics().length == 0)
        stream.close()
        reader.join(60)


def test_an_unlogged_queue_is_empty_after_a_crash_and_goes_on(twin, server, dsn):
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(dsn, "jobs", unlogged=True, poll_interval=0.1) as queue:
        queue.enable_notify()
        queue.publish_batch(range(5))
        with queue.subscribe() as stream:
            assert next(stream) == 0
            server.kill()
            assert query(dsn, "SELECT count(*) FROM pgmq.q_jobs") == [(0,)]
            # What it had read ahead went with the crash: it is not handed out.
            received = []
            reader = threading.Thread(target=lambda: received.extend(stream.take(1)), daemon=True)
            reader.start()
            until(lambda: query(dsn, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pgmq/read%'") > [(1,)])
            queue.publish("after")
            until(lambda: received == ["after"])
        assert queue.metrics().length == 0
