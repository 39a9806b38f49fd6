"""Producers and consumers of ours and of the official client work on one queue, in both directions."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

import pytest
from _pgmq import pgmq_everywhere, pgmq_servers, query
from pgmq import PGMQueue

from promin_postgres.pgmq import AsyncPgmqQueue, PgmqQueue, ReadMode, fifo_message

__all__ = ["pgmq_everywhere", "pgmq_servers"]


@pytest.fixture
def official(pgmq_everywhere):
    url = urlsplit(pgmq_everywhere)
    client = PGMQueue(
        host=str(url.hostname), port=str(url.port), username=str(url.username), password=str(url.password),
        database=url.path.lstrip("/"), init_extension=False,
    )  # fmt: skip
    yield client
    client.close()


@pytest.fixture
def ours(twin, pgmq_everywhere):
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(pgmq_everywhere, "shared", poll_interval=0.1) as queue:
        yield queue


def test_ours_to_theirs(ours, official):
    ours.publish({"n": 1}, headers={"trace": "x"})
    ours.publish_batch([{"n": 2}, fifo_message({"n": 3}, group="g")])
    ours.publish({"n": 4}, delay=600)
    messages = official.read_batch("shared", vt=30, batch_size=10)
    assert [(m.msg_id, m.read_ct, m.message, m.headers) for m in messages] == [
        (1, 1, {"n": 1}, {"trace": "x"}),
        (2, 1, {"n": 2}, None),
        (3, 1, {"n": 3}, {"x-pgmq-group": "g"}),
    ]
    assert official.delete_batch("shared", [1, 2]) == [1, 2]
    official.set_vt("shared", 3, 0)
    with ours.subscribe_ack(until_empty=True, ack_mode="archive") as stream:
        (envelope,) = stream
        assert (envelope.message_id, envelope.deliveries) == (3, 2)
    assert ours.metrics().length == official.metrics("shared").queue_length == 2


def test_theirs_to_ours(ours, official, pgmq_everywhere):
    official.send("shared", {"n": 1})
    official.send_batch("shared", [{"n": 2}, {"n": 3}], headers=[{"h": 2}, {"x-pgmq-group": "g"}])
    with ours.subscribe_ack(until_empty=True) as stream:
        one, two, three = stream
        assert [(e.value, e.headers, e.deliveries) for e in (one, two, three)] == [
            ({"n": 1}, None, 1),
            ({"n": 2}, {"h": 2}, 1),
            ({"n": 3}, {"x-pgmq-group": "g"}, 1),
        ]
        one.ack()
        two.nack()
        three.extend(600)
    assert [m.msg_id for m in official.read_batch("shared", vt=30, batch_size=10)] == [2]
    official.archive("shared", 2)
    assert query(pgmq_everywhere, "SELECT msg_id FROM pgmq.a_shared") == [(2,)]


def test_queues_of_theirs_are_queues_of_ours(twin, official, pgmq_everywhere):
    official.create_queue("theirs", unlogged=True)
    official.enable_notify("theirs", throttle_interval_ms=0)
    official.create_fifo_index("theirs")
    with twin.pick(PgmqQueue, AsyncPgmqQueue).create(pgmq_everywhere, "theirs") as queue:
        queue.publish_batch([fifo_message(n, group="ab"[n % 2]) for n in range(4)])
        with queue.subscribe_ack(read_mode=ReadMode.grouped_round_robin(), until_empty=True) as stream:
            assert [envelope.value for envelope in stream] == [0, 1, 2, 3]
        queue.disable_notify()
        assert official.drop_queue("theirs") is True
        assert queue.drop() is False


def test_both_kinds_of_consumers_share_a_queue(ours, official):
    both = [ours.publish({"n": n}) for n in range(0, 60, 2)]
    official.send_batch("shared", [{"n": n} for n in range(1, 60, 2)])
    assert len(both) == 30
    seen: list[int] = []

    def theirs() -> None:
        while batch := official.read_batch("shared", vt=30, batch_size=3):
            seen.extend(message.message["n"] for message in batch)
            official.delete_batch("shared", [message.msg_id for message in batch])

    with ours.subscribe_ack(read_mode=ReadMode.standard(qty=3), until_empty=True) as stream:
        first = next(stream)
        other = threading.Thread(target=theirs)
        other.start()
        for envelope in (first, *stream):
            seen.append(envelope.value["n"])
            envelope.ack()
        other.join(60)
    assert sorted(seen) == list(range(60))
    assert ours.metrics().length == 0
