"""Queues in partitions, on both twins: with a stand-in for pg_partman, and with the real one where it is installed."""

from __future__ import annotations

import threading

import psycopg
import pytest
from _pgmq import partitioned_dsn, pgmq_servers, query

from promin_postgres import pgmq
from promin_postgres.errors import InvalidArgument
from promin_postgres.pgmq import AsyncPgmqQueue, Partitions, PgmqQueue, ReadMode, fifo_message

SUITE_RUNS = "async"

__all__ = ["partitioned_dsn", "pgmq_servers"]

CUTS = {
    "messages": Partitions(interval=5, retention=50),
    "time": Partitions(interval="1 day", retention="7 days"),
}


@pytest.fixture(params=CUTS)
def cut(request):
    return request.param


@pytest.fixture
def queue(twin, partitioned_dsn, cut):
    kind = twin.pick(PgmqQueue, AsyncPgmqQueue)
    with kind.create(partitioned_dsn, "parts-1", partitioned=CUTS[cut], poll_interval=0.05) as queue:
        yield queue


def configured(dsn):
    return query(dsn, "SELECT parent_table, partition_interval, retention FROM partman.part_config ORDER BY 1")


def test_a_partitioned_queue_from_beginning_to_end(twin, queue, partitioned_dsn, cut):
    list_queues, detach_archive = (
        twin.pick(getattr(pgmq, name), getattr(pgmq, f"async_{name}")) for name in ("list_queues", "detach_archive")
    )
    (info,) = list_queues(partitioned_dsn)
    assert (info.name, info.is_partitioned, info.is_unlogged) == ("parts-1", True, False)
    wanted = {"messages": ("5", "50"), "time": ("1 day", "7 days")}[cut]
    assert [row[0] for row in configured(partitioned_dsn)] == ["pgmq.a_parts-1", "pgmq.q_parts-1"]
    assert query(
        partitioned_dsn,
        "SELECT DISTINCT partition_interval::interval = %s::interval, retention::interval = %s::interval"
        " FROM partman.part_config",
        *wanted,
    ) == [(True, True)]

    ids = queue.publish_batch([{"n": n} for n in range(7)], headers={"h": 1})
    assert queue.publish({"n": 7}) == ids[-1] + 1
    used = query(partitioned_dsn, 'SELECT count(DISTINCT tableoid) FROM pgmq."q_parts-1"')
    assert used == [(2 if cut == "messages" else 1,)]

    with queue.subscribe_ack(until_empty=True, ack_mode="archive") as stream:
        envelopes = list(stream)
        assert [(e.value["n"], e.deliveries, e.headers) for e in envelopes] == [
            *((n, 1, {"h": 1}) for n in range(7)),
            (7, 1, None),
        ]
        envelopes[0].ack()
        envelopes[6].ack()
        envelopes[1].nack()
        envelopes[2].extend(60)
    assert queue.subscribe(until_empty=True).collect() == [{"n": 1}]
    assert query(partitioned_dsn, 'SELECT msg_id FROM pgmq."a_parts-1" ORDER BY 1') == [(ids[0],), (ids[6],)]
    metrics = queue.metrics()
    assert (metrics.length, metrics.visible_length, metrics.total_messages) == (5, 0, 8)
    assert metrics.default_partition_length == 0
    detach_archive(partitioned_dsn, "parts-1")
    assert queue.purge() == 5
    assert queue.drop() is True
    assert list_queues(partitioned_dsn) == configured(partitioned_dsn) == []


def test_creating_it_again_leaves_it_as_it_is(twin, queue, partitioned_dsn, cut):
    queue.publish(1)
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(partitioned_dsn, "parts-1", partitioned=CUTS[cut]) as again:
        assert again.subscribe(until_empty=True).collect() == [1]


def test_many_create_one_at_once(twin, partitioned_dsn):
    kind = twin.pick(PgmqQueue, AsyncPgmqQueue)
    failures = []

    def create():
        try:
            kind.create(partitioned_dsn, "new", partitioned=Partitions()).close()
        except psycopg.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(configured(partitioned_dsn)) == 2


def test_groups_are_read_across_partitions(queue):
    queue.publish_batch([fifo_message(n, group="ab"[n % 2]) for n in range(8)])
    with queue.subscribe_ack(read_mode=ReadMode.grouped_head(qty=1), until_empty=True) as stream:
        seen = []
        for envelope in stream:
            seen.append(envelope.value)
            envelope.ack()
    assert seen == list(range(8))


def test_what_fits_in_no_partition_is_not_lost(twin, partitioned_dsn):
    cut = Partitions(interval=2, retention=1000)
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(partitioned_dsn, "small", partitioned=cut) as queue:
        queue.publish_batch(range(30))  # more than the partitions that were made ahead
        assert queue.subscribe(until_empty=True).collect() == list(range(30))


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"interval": 0}, "interval"),
        ({"interval": "10"}, "interval"),
        ({"interval": " "}, "interval"),
        ({"interval": True}, "interval"),
        ({"interval": "1 day"}, "retention"),
        ({"retention": "7 days"}, "retention"),
        ({"retention": -1}, "retention"),
    ],
)
def test_partitions_of_two_kinds_are_refused(options, argument):
    with pytest.raises(InvalidArgument) as caught:
        Partitions(**options)
    assert caught.value.argument == argument
