"""The plan of an ack, kept by the server since the queue was empty, is not used on a full one."""

from __future__ import annotations

import psycopg
import pytest

from promin_postgres._statement import Statement
from promin_postgres.queue import PgQueue
from promin_postgres.queue._plan import SizedStatement

ROWS = 50_000
RECENT = (
    "SELECT name, generic_plans FROM pg_prepared_statements WHERE statement LIKE %s ORDER BY prepare_time DESC LIMIT 1"
)


def ack_each(_queue, envelopes):
    for envelope in envelopes:
        envelope.ack()


def ack_ten(queue, envelopes):
    for start in range(0, len(envelopes), 10):
        assert queue.ack_many(envelopes[start : start + 10]) == []


CASES = {
    "one": (ack_each, "delete", "/* queue/ack_one */%"),
    "one to the archive": (ack_each, "archive", "/* queue/ack_one_to_archive */%"),
    "many": (ack_ten, "delete", "/* queue/ack */%"),
    "many to the archive": (ack_ten, "archive", "/* queue/ack_to_archive */%"),
}


@pytest.mark.parametrize("plan_cache_mode", ["auto", "force_generic_plan"])
@pytest.mark.parametrize("case", CASES)
def test_a_plan_from_an_empty_queue_is_dropped(promin_dsn, case, plan_cache_mode):
    settle, ack_mode, text = CASES[case]
    with (
        psycopg.connect(promin_dsn, autocommit=True) as connection,
        PgQueue.create(connection, "grown", ack_mode=ack_mode, notify=False) as queue,
    ):
        connection.execute("SELECT set_config('plan_cache_mode', %s, false)", [plan_cache_mode])
        for _ in range(20):
            connection.execute("VACUUM pgq_grown")  # which tells the server that there is nothing in it
            queue.publish_many(range(10))
            settle(queue, queue.receive(10))
        old, generic = connection.execute(RECENT, [text]).fetchone()
        assert generic > 0
        queue.publish_many([1] * ROWS)
        settle(queue, queue.receive(200))
        new, generic = connection.execute(RECENT, [text]).fetchone()
        assert generic > 0
        (held,) = queue.receive()
        with connection.transaction():
            assert rows_read(connection, new, held) <= 20
            assert rows_read(connection, old, held) >= ROWS - 300  # the trap is there


def rows_read(connection, prepared, envelope):
    """By one execution of a prepared ack."""
    (types,) = connection.execute(
        "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = %s", [prepared]
    ).fetchone()
    arguments = ", ".join(
        f"ARRAY[{value}]::{kind}" if kind.endswith("[]") else f"{value}::{kind}"
        for value, kind in zip((envelope.message_id, envelope.receipt, "false"), types, strict=True)
    )
    ((plan,),) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {prepared} ({arguments})").fetchall()
    nodes = list(walk(plan[0]["Plan"]))
    return sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] for n in nodes)


def walk(node):
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)


def test_an_edition_lasts_as_long_as_the_size_of_its_table():
    statement = SizedStatement(Statement("queue/ack_one"))

    def ends(size):
        before = statement.statement
        statement.ran(size)
        assert statement.statement.name == "queue/ack_one"
        return statement.statement.edition != before.edition

    page = 8192
    sizes = [0, 0, page, page, 2 * page, 3 * page, 4 * page, None, None, 4 * page, 5 * page, 1 << 40, 2 * page]
    assert [ends(size) for size in sizes] == [
        True, False, True, False, True, False, True, True, True, True, False, True, True,
    ]  # fmt: skip


def test_no_two_statements_share_an_edition():
    statements = [SizedStatement(Statement("queue/ack")) for _ in range(3)]
    assert len({statement.statement.edition for statement in statements}) == 3
