"""What a claim costs depends on what it takes, and on nothing else that is in the queue."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from _explain import is_planned_once, nodes

from promin_postgres.queue import PgQueue
from promin_postgres.queue import _statements as sql

ROWS = 50_000


@pytest.fixture(scope="module")
def loaded(promin_server):
    """A queue with 50,000 waiting, delayed and dead messages each, and 1,000 under lease."""
    name = promin_server.new_name()
    dsn = promin_server.create_database(name)
    with psycopg.connect(dsn, autocommit=True) as connection, PgQueue.create(connection, "plans") as queue:
        for due, dead in (("NULL", "NULL"), ("now() + interval '1 day'", "NULL"), ("NULL", "now()")):
            connection.execute(
                "INSERT INTO pgq_plans (value, due_at, dead_at)"
                f" SELECT '1', {due}, {dead} FROM generate_series(1, {ROWS})"
            )
        connection.execute(
            "UPDATE pgq_plans SET leased_until = now() + interval '1 hour', receipt = 7 WHERE id <= 1000"
        )
        connection.execute("ANALYZE pgq_plans")
        yield connection, queue
    promin_server.drop_database(name)


FENCE = {"ids": f"{{{','.join(map(str, range(1, 101)))}}}", "receipts": f"{{{','.join(['7'] * 100)}}}"}
BELL = {"notify": False, "ring": False, "door": 1, "channel": "c"}
CLAIM = {"limit": 100, "visibility_timeout": timedelta(seconds=30), "receipt": 1, "max_attempts": 3}

CASES = {
    "claim after a watermark": (sql.CLAIM, {**CLAIM, "after": 2000}, 700),
    "claim from the start": (sql.CLAIM, {**CLAIM, "after": 0}, 1_000 + 700),
    "promote": (sql.PROMOTE, {}, 10),
    "ack": (sql.ACK, {**FENCE, "durable": True}, 1_000),
    "ack to the archive": (sql.ACK_TO_ARCHIVE, {**FENCE, "durable": True}, 1_000),
    "ack one": (sql.ACK_ONE, {"id": 7, "receipt": 7, "durable": True}, 10),
    "ack one to the archive": (sql.ACK_ONE_TO_ARCHIVE, {"id": 7, "receipt": 7, "durable": True}, 10),
    "nack": (
        sql.NACK,
        {**FENCE, **BELL, "durable": True, "delay": None, "error": None, "bury": False, "max_attempts": 3},
        1_000,
    ),
    "extend": (sql.EXTEND, {**FENCE, "seconds": timedelta(seconds=30)}, 1_000),
    "release": (sql.RELEASE, FENCE, 1_000),
    "take dead": (sql.TAKE_DEAD, {"id": 2 * ROWS + 7}, 10),
    "peek dead": (sql.PEEK_DEAD, {"limit": 100}, 300),
}


@pytest.mark.parametrize("case", CASES)
def test_the_rows_read_are_those_asked_for(loaded, case):
    connection, queue = loaded
    statement, params, bound = CASES[case]
    query = b"EXPLAIN (ANALYZE, FORMAT JSON) " + queue._core.sql.names.render(statement)
    with connection.transaction(force_rollback=True):
        ((plan,),) = connection.execute(query, params or None).fetchall()
    found = list(nodes(plan[0]["Plan"]))
    assert "Seq Scan" not in {node["Node Type"] for node in found if node.get("Relation Name") == "pgq_plans"}
    assert sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] for n in found) <= bound


@pytest.mark.parametrize("case", [case for case, (statement, *_) in CASES.items() if statement.ages])
def test_what_is_sent_often_is_planned_for_any_values(loaded, case):
    """Even where it is about one message only."""
    connection, queue = loaded
    statement, params, _ = CASES[case]
    one = (
        params
        | ({"ids": "{7}", "receipts": "{7}"} if "ids" in params else {})
        | ({"limit": 1} if "limit" in params else {})
    )
    assert is_planned_once(connection, queue._core.sql.names.render(statement).decode(), one)
