"""What drivers of runs ask and write touches the rows of one run, planned for its parameters or for any."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from _explain import MODES, explain, nodes, sequential, touched

from promin_postgres._statement import SqlNames, Statement
from promin_postgres.workflow.storage import _statements as workflow

RUNS = 20_000
TOKEN = "00000000-0000-0000-0000-0000000"
FILL = f"""
INSERT INTO wf_workflows (workflow_id, workflow_name, status)
SELECT 'w' || n, 'name', 2 FROM generate_series(1, {RUNS}) n;
INSERT INTO wf_workflow_steps (workflow, run, step_name, position, step_type, status, signal_name)
SELECT n, 1, 's' || s, s, s, CASE s WHEN 1 THEN 4 ELSE 3 END, CASE s WHEN 2 THEN 'go' END
FROM generate_series(1, {RUNS}) n, generate_series(1, 2) s;
INSERT INTO wf_workflow_step_tasks (workflow, run, step_name, task_index)
SELECT n, 1, 's2', i FROM generate_series(1, {RUNS}) n, generate_series(-1, 1) i;
INSERT INTO wf_step_attempts (workflow, run, step_name, attempt_type, attempt, status, started_at, completed_at)
SELECT n, 1, 's1', t, 1, 4, now(), now() FROM generate_series(1, {RUNS}) n, generate_series(1, 2) t;
INSERT INTO wf_workflow_signals (workflow, run, signal_name, payloads, delivered_at)
SELECT n, 1, 'go', ARRAY['1'::json], ARRAY[now()] FROM generate_series(1, {RUNS}) n;
INSERT INTO wf_workflow_leases (workflow, token, holder)
SELECT n, ('{TOKEN}' || lpad(n::text, 5, '0'))::uuid, 'x' FROM generate_series(1, {RUNS}) n;
"""
WHICH = {"workflow_id": "w9000"}
OURS = {**WHICH, "token": f"{TOKEN}09000", "task": None, "claimed_by": None, "task_lease": None}
WAIT = {"step_name": "s2", "step_type": 6, "until": None, "pause": None, "timeout": None}
CASES: dict[str, tuple[Statement, dict[str, Any], int]] = {
    "load_run": (workflow.LOAD_RUN, WHICH, 10),
    "load_progress": (workflow.LOAD_PROGRESS, WHICH, 20),
    "load_results": (workflow.LOAD_RESULTS, {**WHICH, "step_names": ["s1", "s2"]}, 20),
    "load_tasks": (workflow.LOAD_TASKS, {**WHICH, "step_name": "s2", "after": -2, "limit": 500, "all": False}, 20),
    "load_undoing": (workflow.LOAD_UNDOING, {**WHICH, "step_names": ["s1", "s2"]}, 40),
    "list_results": (workflow.LIST_RESULTS, {**WHICH, "step_name": "s2"}, 20),
    "find_signalled": (workflow.FIND_SIGNALLED, {**WHICH, "step_names": ["s2"]}, 20),
    "begin_compensating": (workflow.BEGIN_COMPENSATING, {**OURS, "error": "{}"}, 30),
    "count_retry": (workflow.COUNT_RETRY, {**OURS, "retries": 1}, 30),
    "suspend_run": (workflow.SUSPEND_RUN, OURS, 30),
    "decide": (workflow.DECIDE, {**OURS, "step_name": "s2", "decision": "true"}, 30),
    "begin_wait: a moment": (workflow.BEGIN_WAIT, {**OURS, **WAIT, "pause": timedelta(1), "signal": None}, 60),
    "begin_wait: a signal": (workflow.BEGIN_WAIT, {**OURS, **WAIT, "signal": "go"}, 60),
    "save_undoing": (
        workflow.SAVE_UNDOING,
        {**OURS, "step_name": "s1", "attempt": 2, "error": None, "duration": timedelta(1), "instance_id": "x"},
        40,
    ),
    "add_tasks": (workflow.ADD_TASKS, {**OURS, "step_name": "s2", "inputs": ["1", "2"], "first": 0, "last": True}, 60),
    "save_tasks": (
        workflow.SAVE_TASKS,
        {
            **OURS,
            "step_name": "s2",
            "indexes": [0, 1],
            "statuses": [4, 4],
            "results": ["1", "2"],
            "errors": [None, None],
            "attempts": [1, 1],
            "durations": [timedelta(1), timedelta(1)],
            "instance_id": "x",
        },
        60,
    ),
}


@pytest.fixture(scope="module")
def connection(promin_server: Any, promin_template: str) -> Iterator[psycopg.Connection[Any]]:
    """A database with big tables."""
    name = promin_server.new_name()
    with psycopg.connect(promin_server.create_database(name, template=promin_template), autocommit=True) as connection:
        connection.execute(FILL.encode())
        connection.execute("VACUUM ANALYZE")
        yield connection
    promin_server.drop_database(name)


@pytest.mark.parametrize(
    ("case", "mode"),
    [(case, mode) for case, (statement, *_) in CASES.items() for mode in MODES[statement.prepare is False :]],
)
def test_a_statement_touches_the_rows_of_one_run(connection: psycopg.Connection[Any], case: str, mode: str) -> None:
    statement, params, bound = CASES[case]
    plan = explain(connection, SqlNames().render(statement).decode(), params, mode)
    assert sequential(plan) == []
    assert sum(map(touched, nodes(plan))) <= bound
