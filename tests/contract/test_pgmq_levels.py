"""Older levels of pgmq: what they have works, and what they lack is named with the version that brings it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import psycopg
import pytest
from _partman import CREATE
from _pgmq import bare_dsn, install, pgmq_servers, query
from _pgmq_levels import LEVELS, level_sql
from psycopg.pq import TransactionStatus

from promin_postgres import pgmq
from promin_postgres.errors import ConfigurationError
from promin_postgres.pgmq import AsyncPgmqQueue, Partitions, PgmqQueue, ReadMode, fifo_message
from promin_postgres.pgmq._features import NEEDS, Features
from promin_postgres.pgmq._sync_calls import _FEATURES

__all__ = ["bare_dsn", "pgmq_servers"]

LATER = datetime(2090, 1, 1, tzinfo=UTC)


@pytest.fixture(params=LEVELS)
def level(request, bare_dsn):
    query(bare_dsn, level_sql(request.param))
    return request.param


def at_least(level, version):
    return [int(part) for part in level.split(".")] >= [int(part) for part in version.split(".")]


def test_what_is_there_works(twin, level, bare_dsn):
    functions = {name: twin.pick(getattr(pgmq, name), getattr(pgmq, f"async_{name}")) for name in
                 ("pop", "set_vt", "list_queues", "send", "read", "detach_archive")}  # fmt: skip
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(bare_dsn, "q") as queue:
        queue.publish("one")
        queue.publish_batch(["two", "three"], delay=0)
        queue.publish("late", delay=59.5)
        with queue.subscribe_ack(until_empty=True) as stream:
            one = next(stream)
            assert (one.value, one.deliveries, one.headers) == ("one", 1, None)
            one.extend(10.5)
            one.ack()
            next(stream).nack()
        assert functions["pop"](bare_dsn, "q")[0].message == "two"
        (three,) = functions["read"](bare_dsn, "q")
        assert (three.last_read_at is not None) is at_least(level, "1.10")
        assert functions["set_vt"](bare_dsn, "q", [three.msg_id, 99], 0.2)[0].message == "three"
        assert queue.subscribe().take(1).collect() == ["three"]
        metrics = queue.metrics()
        assert (metrics.length, metrics.visible_length) == (1, 0 if at_least(level, "1.5") else None)
        ((delay,),) = query(bare_dsn, "SELECT extract(epoch FROM vt - enqueued_at)::int FROM pgmq.q_q")
        assert delay == 60
        assert [q.name for q in functions["list_queues"](bare_dsn)] == ["q"]
        assert queue.purge() == 1
        with queue.subscribe_ack(read_mode=ReadMode.poll(max_poll_seconds=1), until_empty=True) as stream:
            assert list(stream) == []
        assert queue.drop() is True
        assert queue.drop() is False


def test_many_make_one_queue_at_once(level, bare_dsn):
    made = []

    def create(unlogged):
        with PgmqQueue.create(bare_dsn, "orders", unlogged=unlogged) as queue:
            made.append(queue.publish(1))

    threads = [threading.Thread(target=create, args=[n % 2 == 0]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == list(range(1, 9))


def test_a_partitioned_queue_of_1_4_goes_with_its_settings(twin, pgmq_servers):
    server = pgmq_servers["embedded"]
    name = server.new_name()
    dsn = server.create_database(name)
    query(dsn, "CREATE SCHEMA partman")
    query(dsn, CREATE["stand-in"])
    query(dsn, level_sql("1.4"))
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(dsn, "parts", partitioned=Partitions()) as queue:
        queue.publish_batch([1, 2])
        assert queue.subscribe(until_empty=True).collect() == [1, 2]
        assert queue.drop() is True
    assert query(dsn, "SELECT count(*) FROM partman.part_config") == [(0,)]
    server.drop_database(name)


MISSING = [
    ("1.5", "send", (1,), {"headers": {}}),
    ("1.5", "send", (fifo_message(1, group="g"),), {}),
    ("1.5", "send", (1,), {"delay": LATER}),
    ("1.5", "send_batch", ([1, 2],), {"headers": [None, {"a": 1}]}),
    ("1.5", "send_batch", ([1],), {"delay": LATER}),
    ("1.7", "pop", (), {"qty": 2}),
    ("1.7", "enable_notify", (), {"throttle": 0}),
    ("1.7", "disable_notify", (), {}),
    ("1.8", "enable_notify", (), {}),
    ("1.9", "create_fifo_index", (), {}),
    ("1.9", "read", (), {"mode": ReadMode.grouped()}),
    ("1.9", "read", (), {"mode": ReadMode.grouped_poll()}),
    ("1.9", "read", (), {"mode": ReadMode.grouped_round_robin()}),
    ("1.9", "read", (), {"mode": ReadMode.grouped_round_robin_poll()}),
    ("1.10", "set_vt", (1, LATER), {}),
    ("1.11", "bind_topic", ("q",), {}),
    ("1.11", "unbind_topic", ("q",), {}),
    ("1.11", "send_topic", (1,), {}),
    ("1.11", "send_batch_topic", ([1],), {}),
    ("1.11", "list_topic_bindings", (), {}),
    ("1.11", "test_routing", (), {}),
    ("1.11.1", "read", (), {"mode": ReadMode.grouped_head()}),
]


def test_what_is_missing_is_named_before_anything_is_sent(twin, level, bare_dsn):
    queue = twin.pick(PgmqQueue, AsyncPgmqQueue).create(bare_dsn, "q")
    refused = 0
    with queue, twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect(bare_dsn) as connection:
        queue.publish("kept", connection=connection)
        for since, name, args, options in MISSING:
            if at_least(level, since):
                continue
            function = twin.pick(getattr(pgmq, name), getattr(pgmq, f"async_{name}"))
            wanted = since if name != "enable_notify" or at_least(level, "1.7") else "1.7"
            with pytest.raises(ConfigurationError, match=rf"comes with pgmq {wanted}, .* ALTER EXTENSION pgmq UPDATE"):
                function(connection, "q", *args, **options)
            refused += 1
            assert connection.info.transaction_status == TransactionStatus.INTRANS
        connection.commit()
        assert queue.metrics().length == 1
    assert refused >= 1


def test_a_queue_of_1_7_rings(twin, bare_dsn):
    query(bare_dsn, level_sql("1.7"))
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(bare_dsn, "q") as queue:
        for _ in range(2):
            queue.enable_notify(throttle=0)
        with psycopg.connect(bare_dsn, autocommit=True) as listener:
            listener.execute('LISTEN "pgmq.q_q.INSERT"')
            queue.publish(1)
            assert [n.channel for n in listener.notifies(timeout=10, stop_after=1)] == ["pgmq.q_q.INSERT"]
        assert queue.subscribe(until_empty=True).collect() == [1]
        queue.disable_notify()


def test_an_update_is_noticed(twin, bare_dsn):
    query(bare_dsn, level_sql("1.7"))
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(bare_dsn, "q") as queue:
        with pytest.raises(ConfigurationError, match=r"1\.8"):
            queue.enable_notify()
        query(bare_dsn, "DROP SCHEMA pgmq CASCADE")
        install(bare_dsn)
        query(bare_dsn, "SELECT pgmq.create('q')")
        queue.enable_notify()


def test_the_real_one_offers_all_that_is_called(bare_dsn):
    install(bare_dsn)
    with psycopg.connect(bare_dsn, autocommit=True) as connection:
        pgmq.list_queues(connection)
        offered = _FEATURES[connection].offered
    assert {name for name, (function, _) in NEEDS.items() if function not in offered} == {"drop_queue_plain"}


def test_functions_are_known_by_their_arguments_less_those_with_defaults():
    features = Features.of(
        [
            {"name": "list_queues", "arguments": "", "defaults": 0},
            {"name": "pop", "arguments": "text, integer", "defaults": 1},
            {"name": "headers", "arguments": None, "defaults": None},
        ]
    )
    assert features.offered == {"list_queues()", "pop(text, integer)", "pop(text)", "headers"}
    assert features.names.fill("{headers} {last_read_at}") == '"m"."headers" NULL'
