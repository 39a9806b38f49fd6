"""What a look of the scheduler costs depends on what is due, and not on what is not; nor a claim on what is settled."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from promin_postgres.migrator import migrate
from promin_postgres.scheduler import _statements as sql
from promin_postgres.scheduler import create_durable_scheduler

SCHEDULES = 10_000
DUE = 20


@pytest.fixture(scope="module")
def loaded(promin_server):
    """10,000 enabled schedules, 20 of them due, with five ticks each; a tenth of the schedules has ticks that wait."""
    name = promin_server.new_name()
    dsn = promin_server.create_database(name)
    with psycopg.connect(dsn, autocommit=True) as connection, create_durable_scheduler(dsn) as scheduler:
        migrate(connection)
        scheduler.register("template", cron="0 0 1 1 *")
        columns = (
            "name, cron, timezone, overlap_policy, buffer_limit, max_catch_up, jitter, dst_gap, dst_fold, enabled,"
            " pause_on_failure, anchor_at, scheduled_at"
        )
        connection.execute(
            f"INSERT INTO wf_schedules (namespace, schedule_id, {columns}, due_at)"
            f" SELECT 'full', 's' || n, {columns},"
            f" now() + CASE WHEN n <= {DUE} THEN -n ELSE 3600 + n END * interval '1 second'"
            f" FROM wf_schedules, generate_series(1, {SCHEDULES}) AS n"
        )
        connection.execute(
            "INSERT INTO wf_schedule_ticks"
            " (schedule, number, namespace, kind, catch_up, scheduled_at, fired_at, status, settled_at)"
            " SELECT s.id, n, 'full', 'scheduled', false, now() + n * interval '1 day', now(),"
            " CASE WHEN n <= 3 THEN 'settled' WHEN s.id % 10 > 0 THEN 'skipped'"
            " WHEN n = 4 THEN 'ready' ELSE 'queued' END, now()"
            " FROM wf_schedules s, generate_series(0, 4 + (s.id % 10 = 0)::int) AS n"
        )
        connection.execute("ANALYZE wf_schedules, wf_schedule_ticks")
        (waiting,) = connection.execute(
            "SELECT id FROM wf_schedules WHERE namespace = 'full' AND id % 10 = 0 ORDER BY id LIMIT 1"
        ).fetchone()
        yield connection, scheduler._core.sql.names, waiting
    promin_server.drop_database(name)


NAMESPACE = {"namespace": "full"}
LOOK = NAMESPACE | {"clock": None}
BELL = {"door": 1, "channel": "c", "ring": False}
PATIENCE = {"patience": "10s"}
LEASE = {"receipt": 1, "visibility_timeout": timedelta(seconds=30)}
POLL = {"token": UUID(int=1), "instance_id": "i", "lease": timedelta(10), "poll_interval": timedelta(seconds=1)}
ONE = {"number": 4, "receipt": 1}

CASES = {
    "poll": (sql.POLL, LOOK | POLL, 20),
    "find due": (sql.FIND_DUE, LOOK | {"limit": 250}, 3 * DUE),
    "lock due": (sql.LOCK_DUE, LOOK | {"ids": None, "limit": 250} | PATIENCE, 5 * DUE),
    "lock": (sql.LOCK, LOOK | {"schedule_ids": ["s7", "s8"]} | PATIENCE, 20),
    "load one": (sql.LOAD, LOOK | {"schedule_id": "s7", "enabled": None}, SCHEDULES),
    "count open": (sql.COUNT_OPEN, {"ids": [10, 20, 30]}, 40),
    "cancel open": (sql.CANCEL_OPEN, {"ids": [10, 20, 30], "reason": "r"}, 60),
    "claim": (sql.CLAIM, NAMESPACE | LEASE, 20),
    "claim of one": (sql.CLAIM_OF, NAMESPACE | LEASE | {"schedule_id": "s7"}, 30),
    "settle": (sql.SETTLE, ONE, 20),
    "extend": (sql.EXTEND, ONE | {"seconds": timedelta(seconds=1)}, 20),
    "nack": (sql.NACK, ONE | {"delay": timedelta(0), "error": None}, 20),
    "release": (sql.RELEASE, ONE, 20),
    "promote one": (sql.PROMOTE, NAMESPACE | BELL, 40),
    "promote all": (sql.PROMOTE, NAMESPACE | BELL | {"schedule": None}, 12 * SCHEDULES // 10),
    "purge": (sql.PURGE, {"older_than": timedelta(0), "limit": 100}, 40),
    "bind": (sql.BIND, NAMESPACE | {"schedule_id": "s7", "workflow": "w"}, 10),
    "hand over": (sql.HAND_OVER, {}, 20),
    "mark started": (sql.MARK_STARTED, {"number": 4, "workflow_id": "w", "reason": None}, 10),
    "settle ended": (sql.SETTLE_ENDED, NAMESPACE | {"schedule_ids": ["s9", "s19"]}, 80),
    "find unstarted": (sql.FIND_UNSTARTED, NAMESPACE | {"schedule_ids": ["s9", "s19"], "limit": 100}, 60),
    "find cancelled": (sql.FIND_CANCELLED, NAMESPACE | {"schedule_ids": ["s9", "s19"], "last": 100}, 60),
    "history": (sql.HISTORY, NAMESPACE | {"schedule_id": "s7", "limit": 3}, 40),
}


@pytest.mark.parametrize("case", CASES)
def test_the_rows_read_are_those_asked_for(loaded, case):
    connection, names, waiting = loaded
    statement, params, bound = CASES[case]
    if "schedule" in statement.parameters and "schedule" not in params:
        params = params | {"schedule": waiting}
    query = b"EXPLAIN (ANALYZE, FORMAT JSON) " + names.render(statement)
    with connection.transaction(force_rollback=True):
        ((plan,),) = connection.execute(query, params).fetchall()
    nodes = list(walk(plan[0]["Plan"]))
    if case not in ("load one", "promote all"):
        tables = ("wf_schedules", "wf_schedule_ticks")
        assert "Seq Scan" not in {node["Node Type"] for node in nodes if node.get("Relation Name") in tables}
    assert sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] for n in nodes) <= bound


def walk(node):
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)
