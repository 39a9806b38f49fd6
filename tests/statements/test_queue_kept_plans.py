"""The plan of a hot statement, kept by the server since the queue was empty, is not used for long on a full one."""

from __future__ import annotations

import psycopg
import pytest
from _waiting import until

from promin_postgres.queue import PgQueue

ROWS = 50_000
RECENT = (
    "SELECT name, generic_plans, prepare_time FROM pg_prepared_statements"
    " WHERE statement LIKE %s ORDER BY prepare_time DESC LIMIT 1"
)


def ack_each(_queue, envelopes):
    for envelope in envelopes:
        envelope.ack()


def ack_many(queue, envelopes):
    assert queue.ack_many(envelopes) == []


CASES = {
    "claim": (ack_many, "delete", "queue/claim", "'1 minute', 1, 3, 0, 1"),
    "one": (ack_each, "delete", "queue/ack_one", "{id}, {receipt}, false"),
    "one to the archive": (ack_each, "archive", "queue/ack_one_to_archive", "{id}, {receipt}, false"),
    "many": (ack_many, "delete", "queue/ack", "'{{{id}}}', '{{{receipt}}}', false"),
    "many to the archive": (ack_many, "archive", "queue/ack_to_archive", "'{{{id}}}', '{{{receipt}}}', false"),
}


@pytest.mark.parametrize("plan_cache_mode", ["auto", "force_generic_plan"])
@pytest.mark.parametrize("case", CASES)
def test_a_plan_from_an_empty_queue_is_dropped(promin_dsn, case, plan_cache_mode):
    # The server drops all its plans when too much happens in its other databases: then there is no trap to be seen.
    assert any(avoids_a_trap(promin_dsn, CASES[case], plan_cache_mode, f"grown{attempt}") for attempt in range(3))


def avoids_a_trap(dsn, case, plan_cache_mode, queue_name):
    """Whether the plan from the empty queue is still there and bad; the one in use is always good."""
    settle, ack_mode, name, arguments = case
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        PgQueue.create(connection, queue_name, ack_mode=ack_mode, notify=False) as queue,
    ):
        connection.execute("SELECT set_config('plan_cache_mode', %s, false)", [plan_cache_mode])

        def kept(after=None):
            """The name and time of the youngest prepared plan that suits all values, once there is one."""
            for _ in range(20):
                settle(queue, queue.receive(10))
            found = connection.execute(RECENT, [f"/* {name} */%"]).fetchone()
            return found if found and found[1] and (after is None or found[2] > after) else None

        def kept_when_empty():
            connection.execute(f"VACUUM pgq_{queue_name}")  # which tells the server that there is nothing in it
            queue.publish_many([1] * 200)
            return kept()

        old, _, prepared = until(kept_when_empty, timeout=60)
        queue.publish_many([1] * ROWS)
        new, _, _ = until(lambda: kept(after=prepared), timeout=60)
        (held,) = queue.receive()
        with connection.transaction():
            given = arguments.format(id=held.message_id, receipt=held.receipt)
            assert rows_read(connection, new, given) <= 20
            return rows_read(connection, old, given) >= ROWS // 2


def rows_read(connection, prepared, arguments):
    """By one execution of a prepared statement."""
    ((plan,),) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {prepared} ({arguments})").fetchall()
    nodes = list(walk(plan[0]["Plan"]))
    return sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] for n in nodes)


def walk(node):
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)
