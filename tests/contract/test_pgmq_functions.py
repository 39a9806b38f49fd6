"""Every function of pgmq, on both twins, against the real one in all the forms in which it is installed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from _pgmq import pgmq_everywhere, pgmq_servers, query
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from promin_postgres import pgmq
from promin_postgres.database import AsyncDatabase, Database
from promin_postgres.errors import CodecError, ConfigurationError, InvalidArgument
from promin_postgres.pgmq import Partitions, ReadMode, fifo_message

SUITE_RUNS = "async"

__all__ = ["pgmq_everywhere", "pgmq_servers"]

FUNCTIONS = [name for name in pgmq.__all__ if f"async_{name}" in pgmq.__all__]


class Functions:
    """The functions of one twin on one database."""

    def __init__(self, twin, db):
        self._twin = twin
        self._db = db

    def __getattr__(self, name):
        function = self._twin.pick(getattr(pgmq, name), getattr(pgmq, f"async_{name}"))
        return lambda *args, **kwargs: function(self._db, *args, **kwargs)


@pytest.fixture
def on(twin, pgmq_everywhere):
    with twin.pick(Database, AsyncDatabase).connect(pgmq_everywhere) as db:
        yield Functions(twin, db)


def test_every_function_has_a_twin():
    assert len(FUNCTIONS) == 27
    assert {name for name in pgmq.__all__ if name.startswith("async_")} == {f"async_{name}" for name in FUNCTIONS}


def test_queues_are_made_listed_counted_purged_and_dropped(on):
    on.create_queue("plain")
    on.create_queue("plain")
    on.create_unlogged_queue("fast")
    assert [(q.name, q.is_unlogged, q.is_partitioned) for q in on.list_queues()] == [
        ("fast", True, False),
        ("plain", False, False),
    ]
    assert on.metrics("plain").oldest_age is None
    on.send_batch("plain", [1, 2, 3])
    on.send("plain", 4, delay=60)
    metrics = on.metrics("plain")
    assert (metrics.queue, metrics.length, metrics.visible_length, metrics.total_messages) == ("plain", 4, 3, 4)
    assert metrics.oldest_age >= timedelta(0)
    assert metrics.default_partition_length is None
    assert [m.queue for m in on.metrics_all()] == ["fast", "plain"]
    assert on.purge_queue("plain") == 4
    assert on.drop_queue("plain") is True
    assert on.drop_queue("plain") is False
    assert [q.name for q in on.list_queues()] == ["fast"]


def test_a_partitioned_queue_needs_partman(on):
    with pytest.raises(ConfigurationError, match="CREATE EXTENSION pg_partman"):
        on.create_partitioned_queue("parts", Partitions(interval="1 day", retention="7 days"))


def test_a_message_goes_through(on):
    on.create_queue("q")
    first = on.send("q", {"a": [1, "ß", None]}, headers={"trace": "x"})
    second = on.send("q", None)
    one, two = on.read("q", vt=60, qty=5)
    assert (one.msg_id, one.message, one.headers, one.read_ct) == (first, {"a": [1, "ß", None]}, {"trace": "x"}, 1)
    assert (two.msg_id, two.message, two.headers) == (second, None, None)
    assert one.last_read_at is not None
    assert timedelta(seconds=50) < one.vt - one.enqueued_at < timedelta(seconds=70)
    assert on.read("q") == []
    assert on.delete_message("q", first) is True
    assert on.delete_message("q", first) is False
    assert on.archive("q", second) is True
    assert on.archive("q", second) is False


def test_batches_keep_their_order_and_headers(on, pgmq_everywhere):
    on.create_queue("q")
    ids = on.send_batch("q", range(5), headers=[{"n": n} if n % 2 else None for n in range(5)])
    assert ids == sorted(ids)
    messages = on.read("q", qty=10)
    assert [(m.msg_id, m.message, m.headers) for m in messages] == [
        (ids[n], n, {"n": n} if n % 2 else None) for n in range(5)
    ]
    assert on.send_batch("q", []) == []
    assert on.delete_batch("q", [*ids[:2], 99]) == ids[:2]
    assert on.archive_batch("q", ids) == ids[2:]
    assert on.delete_batch("q", []) == on.archive_batch("q", []) == on.set_vt("q", [], 0) == []
    assert query(pgmq_everywhere, "SELECT msg_id FROM pgmq.a_q ORDER BY 1") == [(i,) for i in ids[2:]]
    shared = on.send_batch("q", ["x", "y"], headers={"all": 1})
    assert {m.msg_id: m.headers for m in on.pop("q", qty=5)} == {key: {"all": 1} for key in shared}


def test_delays_are_pauses_or_moments(on, pgmq_everywhere):
    on.create_queue("q")
    moment = datetime(2090, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    on.send("q", 0, delay=moment)
    on.send_batch("q", [1], delay=moment)
    on.send("q", 2, delay=timedelta(seconds=90.5))
    rows = query(pgmq_everywhere, "SELECT vt, vt - enqueued_at FROM pgmq.q_q ORDER BY msg_id")
    assert [row[0] for row in rows[:2]] == [moment, moment]
    assert timedelta(seconds=90.4) < rows[2][1] < timedelta(seconds=91)
    assert on.read("q") == []


def test_pop_takes_out(on):
    on.create_queue("q")
    on.send_batch("q", "abc")
    assert [m.message for m in on.pop("q")] == ["a"]
    assert [m.message for m in on.pop("q", qty=5)] == ["b", "c"]
    assert on.metrics("q").length == 0


def test_set_vt_holds_and_gives_back(on):
    on.create_queue("q")
    ids = on.send_batch("q", [1, 2])
    on.read("q", qty=2)
    (held,) = on.set_vt("q", ids[0], datetime(2090, 1, 1, tzinfo=UTC))
    assert (held.message, held.vt) == (1, datetime(2090, 1, 1, tzinfo=UTC))
    assert [m.msg_id for m in on.set_vt("q", [ids[1], 99], 0)] == [ids[1]]
    assert [(m.message, m.read_ct) for m in on.read("q", qty=5)] == [(2, 2)]


def test_notification_is_switched_on_and_off(on, pgmq_everywhere):
    on.create_queue("q")
    on.enable_notify("q", throttle=0.5)
    on.enable_notify("q", throttle=0)
    assert query(
        pgmq_everywhere, "SELECT queue_name, throttle_interval_ms FROM pgmq.list_notify_insert_throttles()"
    ) == [("q", 0)]
    on.disable_notify("q")
    on.disable_notify("q")
    assert query(pgmq_everywhere, "SELECT count(*) FROM pgmq.list_notify_insert_throttles()") == [(0,)]


def test_an_index_for_groups_and_the_archive_that_stays(on, pgmq_everywhere):
    on.create_queue("q")
    on.create_fifo_index("q")
    on.create_fifo_index("q")
    on.detach_archive("q")
    assert query(pgmq_everywhere, "SELECT count(*) FROM pg_indexes WHERE indexname = 'q_q_fifo_idx'") == [(1,)]


GROUPS = [fifo_message(text, group=text[0]) for text in ("a1", "b1", "a2", "b2", "a3", "c1")]
MODES = {
    "standard": ["a1", "b1", "a2", "b2"],
    "poll": ["a1", "b1", "a2", "b2"],
    "grouped": ["a1", "b1", "a2", "a3"],
    "grouped_poll": ["a1", "b1", "a2", "a3"],
    "grouped_round_robin": ["a1", "b1", "c1", "a2"],
    "grouped_round_robin_poll": ["a1", "b1", "c1", "a2"],
    "grouped_head": ["a1", "b1", "c1"],
}


@pytest.mark.parametrize("mode", MODES)
def test_read_modes(on, mode):
    on.create_queue("q")
    on.send_batch("q", GROUPS)
    read_mode = getattr(ReadMode, mode)(qty=4)
    assert [m.message for m in on.read("q", mode=read_mode)] == MODES[mode]
    if "grouped" in mode:
        assert [m.message[0] for m in on.read("q", mode=read_mode) if m.message[0] in "ab"] == []


@pytest.mark.parametrize("mode", ["poll", "grouped_poll", "grouped_round_robin_poll"])
def test_a_waiting_mode_sees_what_becomes_visible_meanwhile(on, mode):
    on.create_queue("q")
    on.send("q", 1, delay=0.3)
    read_mode = getattr(ReadMode, mode)(max_poll_seconds=20, poll_interval=0.02)
    assert [m.message for m in on.read("q", mode=read_mode)] == [1]


def test_topics_route(on):
    for queue in ("all", "errors"):
        on.create_queue(queue)
    on.bind_topic("#", "all")
    on.bind_topic("*.error", "errors")
    on.bind_topic("*.error", "errors")
    assert [(b.pattern, b.queue) for b in on.list_topic_bindings()] == [("#", "all"), ("*.error", "errors")]
    assert [b.pattern for b in on.list_topic_bindings("errors")] == ["*.error"]
    assert [(m.pattern, m.queue) for m in on.test_routing("app.error")] == [("#", "all"), ("*.error", "errors")]
    assert on.send_topic("app.error", {"n": 1}, headers={"h": 1}) == 2
    assert on.send_topic("app.info", {"n": 2}, delay=60) == 1
    sent = on.send_batch_topic("app.error", [3, 4], headers=[None, {"h": 4}])
    assert [m.queue for m in sent] == ["all", "all", "errors", "errors"]
    assert on.send_batch_topic("app.error", []) == []
    assert [(m.message, m.headers) for m in on.read("errors", qty=9)] == [
        ({"n": 1}, {"h": 1}),
        (3, None),
        (4, {"h": 4}),
    ]
    assert len(on.read("all", qty=9)) == 3
    assert on.unbind_topic("*.error", "errors") is True
    assert on.unbind_topic("*.error", "errors") is False


def test_everything_joins_the_transaction_of_its_connection(on, twin, pgmq_everywhere):
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    on.create_queue("q")
    on.send("q", "kept")
    with connect(pgmq_everywhere) as connection:
        options = {"connection": connection}
        on.create_queue("gone", **options)
        on.create_unlogged_queue("gone_too", **options)
        on.send("gone", 1, **options)
        on.send_batch("q", [1, 2], **options)
        on.bind_topic("#", "q", **options)
        on.send_topic("a", 1, **options)
        on.send_batch_topic("a", [1], **options)
        assert len(on.list_topic_bindings(**options)) == len(on.test_routing("a", **options)) == 1
        on.unbind_topic("#", "q", **options)
        on.enable_notify("q", **options)
        on.disable_notify("q", **options)
        on.create_fifo_index("q", **options)
        on.detach_archive("q", **options)
        (kept, *_) = on.read("q", **options)
        on.set_vt("q", kept.msg_id, 5, **options)
        assert on.metrics("q", **options).length == 5
        assert len(on.metrics_all(**options)) == len(on.list_queues(**options)) == 3
        on.pop("q", **options)
        on.delete_message("q", kept.msg_id, **options)
        on.delete_batch("q", [kept.msg_id], **options)
        on.archive("q", 3, **options)
        on.archive_batch("q", [4], **options)
        on.purge_queue("q", **options)
        on.drop_queue("q", **options)
        connection.rollback()
    assert [q.name for q in on.list_queues()] == ["q"]
    assert [(m.message, m.read_ct) for m in on.read("q", qty=9)] == [("kept", 1)]


@pytest.mark.parametrize("kind", ["pool", "connection", "conninfo"])
def test_any_kind_of_database_will_do(twin, pgmq_everywhere, kind):
    send, create_queue = (twin.pick(getattr(pgmq, n), getattr(pgmq, f"async_{n}")) for n in ("send", "create_queue"))
    if kind == "conninfo":
        create_queue(pgmq_everywhere, "q")
        assert send(pgmq_everywhere, "q", 1) == 1
        return
    source = (
        twin.pick(ConnectionPool, AsyncConnectionPool)(pgmq_everywhere, open=False)
        if kind == "pool"
        else twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect(pgmq_everywhere)
    )
    if kind == "pool":
        source.open()
    with source:
        create_queue(source, "q")
        assert send(source, "q", 1) == 1


@pytest.mark.parametrize(
    ("name", "args", "options", "argument"),
    [
        ("create_queue", ("Upper",), {}, "queue"),
        ("create_queue", ("x" * 48,), {}, "queue"),
        ("create_queue", ("a--b",), {}, "queue"),
        ("create_queue", ("a;b",), {}, "queue"),
        ("create_queue", ("",), {}, "queue"),
        ("send", ("q", 1), {"delay": -1}, "delay"),
        ("send", ("q", 1), {"delay": datetime(2030, 1, 1)}, "delay"),  # noqa: DTZ001
        ("send", ("q", 1), {"headers": "x"}, "headers"),
        ("send_batch", ("q", [1, 2]), {"headers": [None]}, "headers"),
        ("send_batch", ("q", [1]), {"headers": ["x"]}, "headers"),
        ("send_batch", ("q", []), {"headers": [{}]}, "headers"),
        ("send_batch", ("Q", []), {}, "queue"),
        ("send_batch", ("q", [1]), {"delay": -0.5}, "delay"),
        ("read", ("q",), {"vt": 0}, "vt"),
        ("read", ("q",), {"vt": -5}, "vt"),
        ("read", ("q",), {"vt": 2**31}, "vt"),
        ("read", ("q",), {"qty": 0}, "qty"),
        ("read", ("q",), {"qty": True}, "qty"),
        ("pop", ("q",), {"qty": 0}, "qty"),
        ("delete_message", ("q", "1"), {}, "msg_id"),
        ("delete_batch", ("q", [0]), {}, "msg_ids"),
        ("set_vt", ("q", 1, -1), {}, "vt"),
        ("enable_notify", ("q",), {"throttle": -1}, "throttle"),
        ("bind_topic", ("a..b", "q"), {}, "pattern"),
        ("bind_topic", ("a.**", "q"), {}, "pattern"),
        ("send_topic", ("a.*", 1), {}, "routing_key"),
        ("send_topic", ("a", 1), {"delay": -1}, "delay"),
        ("send_batch_topic", ("a", [1]), {"headers": [{}, {}]}, "headers"),
        ("test_routing", ("",), {}, "routing_key"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_sent(twin, name, args, options, argument):
    function = twin.pick(getattr(pgmq, name), getattr(pgmq, f"async_{name}"))
    with pytest.raises(InvalidArgument) as caught:
        function("host=nowhere.invalid", *args, **options)
    assert caught.value.argument == argument


@pytest.mark.parametrize("mode", list(MODES))
def test_read_modes_check_their_arguments(mode):
    for options in (
        {"vt": 0},
        {"qty": 0},
        *([{"max_poll_seconds": 0}, {"poll_interval": 0}] if "poll" in mode else []),
    ):
        with pytest.raises(InvalidArgument) as caught:
            getattr(ReadMode, mode)(**options)
        assert caught.value.argument in options
    with pytest.raises(InvalidArgument):
        fifo_message(1, group="")


def test_what_does_not_encode_is_refused_with_the_path(twin):
    send = twin.pick(pgmq.send, pgmq.async_send)
    with pytest.raises(CodecError, match=r"queue 'q': \$\.a: nan is not JSON"):
        send("host=nowhere.invalid", "q", {"a": float("nan")})
    with pytest.raises(CodecError, match="headers"):
        send("host=nowhere.invalid", "q", 1, headers={"a": {1}})
