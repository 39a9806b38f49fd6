"""What the step queue reads depends on what it is asked for, and on nothing else that waits, runs, or is over.

Under plans of every kind: made for the values, made for any values, and made when the tables were empty and kept.
The tables were analyzed, or never.
"""

from __future__ import annotations

import re

import psycopg
import pytest
from _explain import MODES, explain, for_one, is_planned_once, nodes

from promin_postgres.steps import _statements as sql
from promin_postgres.steps._settings import step_names

ROWS = 50_000
TASKS = """
INSERT INTO wf_step_queue (
    workflow_id, step_name, queue, priority, namespace, gate, available_at, claimed_by, claimed_at, lease,
    concurrency_key, concurrency_limit
)
SELECT {workflow}, 's' || n, {queue}, {priority}, {namespace}, {gate}, {available_at}, {claimed_by},
       now() - interval '1 minute', 1, {key}, 10
FROM generate_series({first}, {last}) AS n
"""
FIELDS = {
    "workflow": "'w' || n", "queue": "'default'", "priority": "5", "namespace": "NULL", "gate": "0",
    "available_at": "NULL", "claimed_by": "NULL", "key": "NULL",
}  # fmt: skip
HISTORY = """
INSERT INTO wf_step_history (
    id, run, priority, status, attempt, deliveries, created_at, queue, workflow_id, step_name
)
SELECT -n, 1, 5, 4, 1, 1, now(), 'default', 'w' || n, 's' FROM generate_series(1, 50000) AS n
"""
BATCHES = """
INSERT INTO wf_step_batches (number, span, claimed_by, queue, ids, tasks)
SELECT 100, int8range(min(n), max(n), '[]'), 'me', 'default', array_agg(n), array_agg(
    ROW(n, 1, 5, 1, 1, NULL, now(), now(), NULL, 'w' || n, 's', NULL, NULL, NULL, NULL, NULL)::wf_completed_task
)
FROM generate_series(-100000, -50001) AS n
GROUP BY n / 100
"""


def load(connection):
    """50,000 of each: running, waiting at two levels and in other queues, delayed, parked, and over."""

    def add(number=ROWS, first=1, **fields):
        connection.execute(TASKS.format(**FIELDS | fields, first=first, last=first + number - 1))

    add(1_000, claimed_by="'me'", workflow="'held' || n", key="'k' || (n % 10)")
    add(workflow="'p5-' || n")
    add(workflow="'p1-' || n", priority="1")
    add(workflow="'one'", queue="'turns'")
    add(5_000, workflow="'ten-' || (n % 500)", queue="'turns'")
    add(workflow="'alone' || n", queue="'alone'")
    add(workflow="'theirs' || n", queue="'shared'", namespace="'theirs'")
    add(200, workflow="'mine' || n", queue="'shared'", namespace="'mine'")
    add(workflow="'late' || n", gate="1", available_at="now() + n * interval '1 minute'")
    add(workflow="'parked' || n", gate="2", key="'key' || (n % 100)")
    connection.execute("INSERT INTO wf_workers (id, expires_at) VALUES ('me', now() + interval '1 day')")
    connection.execute("INSERT INTO wf_workers (id, expires_at) SELECT 'w' || n, now() + interval '1 day' "
                       "FROM generate_series(1, 20) AS n")  # fmt: skip
    connection.execute("INSERT INTO wf_step_limits SELECT 'k' || n, 1000, 100, 1 FROM generate_series(0, 9) AS n")
    connection.execute("INSERT INTO wf_step_limits SELECT 'key' || n, 10, 9, 1 FROM generate_series(0, 99) AS n")
    connection.execute(HISTORY)
    connection.execute(BATCHES)


IDS = list(range(1, 101))
FENCE = {"me": "me", "ids": IDS, "leases": [1] * 100}
OUTCOMES = {
    "told_ids": IDS,
    "statuses": [4] * 100,
    "results": ["1"] * 100,
    "errors": [None] * 100,
    "durations": [7] * 100,
}
COMPLETED = {"told_ids": [], "statuses": [], "results": [], "errors": [], "durations": []}
TOGETHER = {"results": ["1"] * 100, "durations": [7] * 100}
CLAIM = {"me": "me", "queues": ["default"], "limit": 100, "namespace": ""}
AFTER = {"after": [0] * 11}
MARKED = {"after": [40_000] * 11}
DRAWS = {"draws": [n / 100 for n in range(100)]}
KNOWN = {"steps": [f"s{n}" for n in range(1, 501)]}
SHARED = {"queues": ["shared"], "namespace": "mine"}
BACK = {"delays": [None] * 100, "attempts": [1] * 100, "deliveries": [0] * 100, "errors": [None] * 100}
BELL = {"channels": ["c"], "doors": [1]}

CASES = {
    "claim behind the mark": (sql.CLAIM, CLAIM | MARKED, 3_000),
    "claim from the start": (sql.CLAIM, CLAIM | AFTER, 3_000 + 4 * 1_000),
    "claim of one behind the mark": (sql.CLAIM_OF_ONE, CLAIM | MARKED, 3_000),
    "claim of one from the start": (sql.CLAIM_OF_ONE, CLAIM | AFTER, 3_000 + 4 * 1_000),
    "claim of one, of steps": (sql.CLAIM_OF_ONE, CLAIM | AFTER | KNOWN, 3_000 + 4 * 1_000),
    "claim of one in a namespace": (sql.CLAIM_OF_ONE, CLAIM | SHARED | AFTER, 3_000),
    "claim of several queues": (
        sql.CLAIM, CLAIM | AFTER | {"queues": ["default", "turns", "alone"], "after": [0] * 33}, 9_000),
    "claim of steps": (sql.CLAIM, CLAIM | AFTER | KNOWN, 3_000 + 4 * 1_000),
    "claim of steps weighted": (sql.CLAIM_WEIGHTED, CLAIM | AFTER | DRAWS | KNOWN, 4_000 + 12 * 1_000),
    "claim of steps in turn": (sql.CLAIM_IN_TURN, CLAIM | KNOWN | {"queues": ["turns"], "turn": 0}, 5_000),
    "claim in a namespace": (sql.CLAIM, CLAIM | SHARED | AFTER, 3_000),
    "claim weighted": (sql.CLAIM_WEIGHTED, CLAIM | AFTER | DRAWS, 4_000 + 12 * 1_000),
    "claim weighted behind the mark": (sql.CLAIM_WEIGHTED, CLAIM | MARKED | DRAWS, 6_000),
    "claim weighted in a namespace": (sql.CLAIM_WEIGHTED, CLAIM | SHARED | AFTER | DRAWS, 6_000),
    "claim in turn": (sql.CLAIM_IN_TURN, CLAIM | {"queues": ["turns"], "turn": 0}, 5_000),
    "claim in turn of one each": (sql.CLAIM_IN_TURN, CLAIM | {"queues": ["alone"], "turn": 0}, 5_000),
    "claim one in turn": (sql.CLAIM_IN_TURN, CLAIM | {"queues": ["turns"], "turn": 0, "limit": 1}, 400),
    "claim in turn in a namespace": (sql.CLAIM_IN_TURN, CLAIM | SHARED | {"turn": 0}, 5_000),
    "settle": (sql.SETTLE, FENCE | OUTCOMES, 3_000),
    "complete": (sql.COMPLETE, FENCE | TOGETHER, 3_000),
    "settle without more to say": (sql.SETTLE, FENCE | COMPLETED, 3_000),
    "settle with seats": (sql.SETTLE_SEATED, FENCE | OUTCOMES, 4_000),
    "settle and claim": (sql.SETTLE_AND_CLAIM, CLAIM | FENCE | TOGETHER | MARKED, 6_000),
    "settle and claim of one": (sql.SETTLE_AND_CLAIM_OF_ONE, CLAIM | FENCE | TOGETHER | MARKED, 6_000),
    "settle and claim of one, of steps": (
        sql.SETTLE_AND_CLAIM_OF_ONE, CLAIM | FENCE | TOGETHER | AFTER | KNOWN, 10_000),
    "settle and claim of steps": (sql.SETTLE_AND_CLAIM, CLAIM | FENCE | TOGETHER | AFTER | KNOWN, 10_000),
    "settle and claim in turn": (
        sql.SETTLE_AND_CLAIM_IN_TURN, CLAIM | FENCE | TOGETHER | {"queues": ["turns"], "turn": 0}, 8_000),
    "settle and claim weighted": (sql.SETTLE_AND_CLAIM_WEIGHTED, CLAIM | FENCE | TOGETHER | MARKED | DRAWS, 8_000),
    "give back": (sql.GIVE_BACK, FENCE | BACK | BELL, 4_000),
    "admit": (sql.ADMIT, {"me": "me", "ids": IDS}, 5_000),
    "unpark some": (sql.UNPARK, {"keys": ["key1", "key2"]}, 500),
    "unpark all": (sql.UNPARK_ALL, {}, 3_000),
    "promote": (sql.PROMOTE, {}, 20),
    "find unfinished": (
        sql.FIND_UNFINISHED,
        {"workflow_ids": [f"p5-{n}" for n in IDS], "runs": [1] * 100, "step_names": [f"s{n}" for n in IDS]}, 1_000),
    "find leased": (sql.FIND_LEASED, {"me": "me", "ids": IDS}, 1_000),
    "get": (sql.GET, {"id": 7}, 100),  # what was explained and rolled back before is still in the index
    "get what was completed": (sql.GET, {"id": -70_000}, 300),
    "retire": (sql.RETIRE, {"me": "me"}, 50),
}  # fmt: skip


@pytest.fixture
def connection(promin_dsn):
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def loaded(promin_server, promin_template):
    """A database with 10,000 tasks that wait for each way of claiming, and 1,000 that are running."""
    name = promin_server.new_name()
    with psycopg.connect(promin_server.create_database(name, template=promin_template), autocommit=True) as connection:
        for number, fields in (
            (1_000, {"claimed_by": "'me'", "workflow": "'held' || n", "key": "'k' || (n % 10)"}),
            (10_000, {"workflow": "'p5-' || n"}),
            (10_000, {"workflow": "'ten-' || (n % 500)", "queue": "'turns'"}),
            (10_000, {"workflow": "'mine' || n", "queue": "'shared'", "namespace": "'mine'"}),
            (10_000, {"workflow": "'big'", "queue": "'uneven'"}),
            (20, {"workflow": "'small-' || n", "queue": "'uneven'"}),
        ):
            connection.execute(TASKS.format(**FIELDS | fields, first=1, last=number))
        connection.execute("INSERT INTO wf_workers (id, expires_at) VALUES ('me', now() + interval '1 day')")
        connection.execute("VACUUM ANALYZE")
        yield connection
    promin_server.drop_database(name)


def test_the_rows_read_are_those_asked_for(connection):
    connection.execute("SET plan_cache_mode = force_generic_plan")
    for case in CASES:
        prepare(connection, case)
        carried_out(connection, case)
    load(connection)
    too_many = check(connection, "grown under its plans", grown=True)
    for statistics in ("never analyzed", "analyzed"):
        if statistics == "analyzed":
            connection.execute("ANALYZE")
        for mode in ("force_generic_plan", "force_custom_plan"):
            connection.execute(f"SET plan_cache_mode = {mode}")
            connection.execute("DEALLOCATE ALL")
            for case in CASES:
                prepare(connection, case)
            too_many |= check(connection, f"{statistics}, {mode}")
    assert not too_many, "\n".join(f"{where}: {read}" for where, read in too_many.items())


NOTHING = {"after": [1_000_000] * 11}
BOUNDED = {
    "levels": (sql.CLAIM, CLAIM | NOTHING, 60),
    "levels of one queue": (sql.CLAIM_OF_ONE, CLAIM | NOTHING, 60),
    "levels that are drawn": (sql.CLAIM_WEIGHTED, CLAIM | NOTHING | AFTER | DRAWS, 200),
    "workflows": (sql.CLAIM_IN_TURN, CLAIM | NOTHING | {"queues": ["uneven"], "turn": 0}, 400),
}
"""Statements, and how many blocks they may read of the tasks: for what is found, and a few for each probe."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("probes", BOUNDED)
def test_a_probe_ends_where_its_level_or_workflow_does(loaded, probes, mode):
    """Walking through the rest of the index shows in no row, but in the blocks that are read."""
    statement, params, bound = BOUNDED[probes]
    plan = explain(loaded, text_of(statement, params), exactly(statement, params), mode)
    scans = [node for node in nodes(plan) if node.get("Alias", "").startswith("t") and "Index Name" in node]
    assert scans
    assert sum(node["Shared Hit Blocks"] + node["Shared Read Blocks"] for node in scans) <= bound


@pytest.mark.parametrize("case", [case for case, (statement, *_) in CASES.items() if statement.ages])
def test_what_is_sent_often_is_planned_for_any_values(loaded, case):
    """Even where it asks for one task only."""
    statement, params, _ = CASES[case]
    assert is_planned_once(loaded, text_of(statement, params), for_one(exactly(statement, params)))


def text_of(statement, params):
    return step_names("public", "wf_", params.get("namespace")).render(statement).decode()


def exactly(statement, params):
    """What a statement takes, NULL where a case does not say."""
    return {name: params.get(name) for name in statement.parameters}


def check(connection, when, *, grown=False):
    """The cases that read too much, and the nodes that read it. A plan that ages is never older than a second."""
    found = {}
    for case in CASES:
        found_nodes = list(nodes(carried_out(connection, case)))
        read = sum(map(cost, found_nodes))
        if read > CASES[case][2] and not (grown and CASES[case][0].ages):
            found[case, when] = (
                read,
                [
                    f"{node['Node Type']} {node.get('Index Name') or node.get('Alias') or ''} {cost(node)}"
                    for node in sorted(found_nodes, key=cost)[-4:]
                ],
            )
    return found


def prepare(connection, case):
    """Let the server keep the statement under the number of its case; its parameters in the order of their names."""
    numbers = {parameter: f"${number}" for number, parameter in enumerate(sorted(CASES[case][0].parameters), 1)}
    query = re.sub(r"%\((\w+)\)[sb]", lambda match: numbers[match[1]], text_of(*CASES[case][:2]))
    connection.execute(f"PREPARE {name_of(case)} AS {query}".encode())


def name_of(case):
    return f"plan_{list(CASES).index(case)}"


def carried_out(connection, case):
    """The plan of a prepared case, with what it did."""
    values = [psycopg.sql.Literal(CASES[case][1].get(name)).as_string() for name in sorted(CASES[case][0].parameters)]
    call = f"EXECUTE {name_of(case)}" + (f" ({', '.join(values)})" if values else "")
    with connection.transaction(force_rollback=True):
        ((plan,),) = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {call}".encode()).fetchall()
    return plan[0]["Plan"]


def cost(node):
    removed = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck", "Join Filter"))
    return (node["Actual Rows"] + removed) * node["Actual Loops"]
