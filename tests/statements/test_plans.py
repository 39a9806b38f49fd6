"""The statements on hot paths touch few rows of big tables, planned for their parameters or for any.

A server may plan a prepared statement once for all parameters: a plan that is good for those of a test is no proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from _explain import MODES, explain, nodes, sequential, touched

from promin_postgres._statement import SqlNames, Statement
from promin_postgres.workflow.storage import _statements as workflow

ROWS = 50_000
ONE = "w25000"
TOKEN = "00000000-0000-0000-0000-0000000"
FILL = f"""
INSERT INTO wf_workflows (workflow_id, workflow_name, workflow_type, namespace, parent_id, status, completed_at)
SELECT 'w' || n, 'name' || CASE WHEN n % 2500 = 0 THEN 'rare' ELSE (n % 3)::text END,
       CASE WHEN n % 10 = 0 THEN 'type' || CASE WHEN n % 2500 = 0 THEN 'rare' ELSE '' END END,
       'space' || CASE WHEN n % 2500 = 0 THEN 'rare' ELSE (n % 5)::text END,
       CASE WHEN n % 1000 = 1 THEN 25000 WHEN n % 2 = 0 THEN n / 2 END, status,
       CASE WHEN status IN (4, 5) THEN now() - n * interval '1 minute' END
FROM (SELECT n, CASE WHEN n % 500 = 0 THEN 2 WHEN n % 4 = 0 THEN 5 ELSE 4 END AS status
      FROM generate_series(1, {ROWS}) n) s;
INSERT INTO wf_workflow_steps (workflow, run, step_name, position, step_type)
SELECT n, 1, 's' || s, s, s FROM generate_series(1, {ROWS} / 2) n, generate_series(1, 2) s;
INSERT INTO wf_workflow_step_tasks (workflow, run, step_name, task_index)
SELECT n, 1, 's2', i FROM generate_series(1, {ROWS} / 2) n, generate_series(0, 1) i;
INSERT INTO wf_step_attempts (workflow, run, step_name, attempt, status, started_at, completed_at)
SELECT n, 1, 's1', 1, 4, now(), now() FROM generate_series(1, {ROWS}) n;
INSERT INTO wf_workflow_runs (workflow, run, status, created_at)
SELECT n, 0, 4, now() FROM generate_series(1, {ROWS}) n;
INSERT INTO wf_workflow_signals (workflow, run, signal_name, payloads, delivered_at)
SELECT n, 1, 'go', ARRAY['1'::json], ARRAY[now()] FROM generate_series(1, {ROWS}) n;
INSERT INTO wf_workflow_leases (workflow, token, holder, expires_at)
SELECT n, ('{TOKEN}' || lpad(n::text, 5, '0'))::uuid, 'x', now() + (n - 25000.5) * interval '1 hour'
FROM generate_series(1, {ROWS}) n;
INSERT INTO wf_step_queue (workflow, definition, workflow_id, step_name, queue, priority)
SELECT n, 'workflow:n@', 'w' || n, 's1', 'default', 5 FROM generate_series(1, {ROWS}) n;
"""
MINE = f"{TOKEN}25000"
NO_TASK = {"task": None, "claimed_by": None, "task_lease": None}
BELL = {"bells": "public.wf_", "ring": False}
STEP = {
    "workflow_id": ONE,
    "token": MINE,
    **NO_TASK,
    "step_name": "s1",
    "status": 4,
    "result": "1",
    "error": None,
    "attempt": 1,
    "duration": timedelta(seconds=1),
    "instance_id": "x",
}
LIST = {"status": None, "name": None, "type": None, "namespace": None, "parent_id": None, "limit": 100, "offset": 0}
CASES: dict[str, tuple[Statement, dict[str, Any], int]] = {
    "load_workflow": (workflow.LOAD_WORKFLOW, {"workflow_id": ONE}, 10),
    "load_workflow: unknown": (workflow.LOAD_WORKFLOW, {"workflow_id": "nobody"}, 10),
    "load_steps": (workflow.LOAD_STEPS, {"workflow": 25_000, "run": 1}, 30),
    "load_step_attempts": (workflow.LOAD_STEP_ATTEMPTS, {"workflow_id": ONE, "step_name": None, "run": None}, 20),
    "load_signals": (workflow.LOAD_SIGNALS, {"workflow_id": ONE}, 30),
    "load_run_history": (workflow.LOAD_RUN_HISTORY, {"workflow_id": ONE, "limit": 100, "offset": 0}, 30),
    "standing": (workflow.STANDING, {"workflow_id": ONE, "token": MINE, **NO_TASK}, 20),
    "begin_run": (workflow.BEGIN_RUN, {"workflow_id": "w500", "token": f"{TOKEN}00500", **NO_TASK, "is_own": True}, 30),
    "save_step": (workflow.SAVE_STEP, {**STEP, "step_type": 1, "metadata": None}, 60),
    "save_step: new": (workflow.SAVE_STEP, {**STEP, "step_name": "new", "step_type": 1, "metadata": None}, 60),
    "save_task": (workflow.SAVE_TASK, {**STEP, "step_name": "s2", "task_index": 0}, 80),
    "end_run": (
        workflow.END_RUN,
        {
            "workflow_id": "w500",
            "token": f"{TOKEN}00500",
            **NO_TASK,
            **BELL,
            "wakes": False,
            "status": 4,
            "result": "1",
            "error": None,
        },
        30,
    ),
    "cancel_workflow": (workflow.CANCEL_WORKFLOW, {"workflow_id": "w500", "cascade": False, "wakes": True, **BELL}, 60),
    "cancel_workflow: cascade": (
        workflow.CANCEL_WORKFLOW,
        {"workflow_id": "w12500", "cascade": True, "wakes": True, **BELL},
        1_500,
    ),
    "deliver_signal": (
        workflow.DELIVER_SIGNAL,
        {"workflow_id": "w500", "signal_name": "go", "payload": "1"},
        30,
    ),
    "suspend_workflow": (
        workflow.SUSPEND_WORKFLOW,
        {
            "workflow_id": "w500",
            "token": f"{TOKEN}00500",
            **NO_TASK,
            "step_name": "s1",
            "step_type": 6,
            "until": None,
            "pause": None,
            "signal": "stop",
            "timeout": None,
        },
        80,
    ),
    "start_fresh_run": (
        workflow.START_FRESH_RUN,
        {
            "workflow_id": "w1",
            "token": None,
            **NO_TASK,
            "steps": None,
            "keep_version": True,
            "version": None,
            "keep_input": True,
            "input": None,
            "on_workers": False,
            "ends_in_task": False,
            "deadline": None,
            "deadline_at": None,
            **BELL,
        },
        80,
    ),
    "take_lease: rows": (
        workflow.TAKE_LEASE,
        {"workflow_id": "w1", "token": MINE[:-5] + "99999", "holder": "y", "key": 1, "duration": timedelta(seconds=30)},
        40,
    ),
    "take_lease: advisory": (
        workflow.TAKE_LEASE,
        {"workflow_id": "w1", "token": MINE[:-5] + "99999", "holder": "y", "key": 1, "duration": None},
        40,
    ),
    "extend_lease": (
        workflow.EXTEND_LEASE,
        {"tokens": [f"{TOKEN}{n:05}" for n in range(1, 101)], "duration": timedelta(seconds=30)},
        400,
    ),
    "release_lease": (workflow.RELEASE_LEASE, {"tokens": [MINE]}, 10),
    "list: all": (workflow.LIST_WORKFLOWS, LIST, 1_500),
    "list: status": (workflow.LIST_WORKFLOWS, {**LIST, "status": 2}, 1_500),
    "list: ended status": (workflow.LIST_WORKFLOWS, {**LIST, "status": 4}, 1_500),
    "list: name": (workflow.LIST_WORKFLOWS, {**LIST, "name": "name1"}, 1_500),
    "list: rare name": (workflow.LIST_WORKFLOWS, {**LIST, "name": "namerare"}, 500),
    "list: rare type": (workflow.LIST_WORKFLOWS, {**LIST, "type": "typerare"}, 500),
    "list: namespace": (workflow.LIST_WORKFLOWS, {**LIST, "namespace": "space1"}, 1_500),
    "list: rare namespace": (workflow.LIST_WORKFLOWS, {**LIST, "namespace": "spacerare"}, 500),
    "list: parent": (workflow.LIST_WORKFLOWS, {**LIST, "parent_id": ONE}, 1_000),
    "list: name and open status": (
        workflow.LIST_WORKFLOWS,
        {**LIST, "status": 2, "name": "name1", "namespace": "space0"},
        1_500,
    ),
    "list: nothing like it": (workflow.LIST_WORKFLOWS, {**LIST, "name": "nobody"}, 20),
    "purge: nothing old enough": (
        workflow.PURGE_COMPLETED,
        {"older_than": timedelta(days=365), "statuses": [4], "batch": 1_000},
        50,
    ),
    "purge: a batch": (workflow.PURGE_COMPLETED, {"older_than": timedelta(0), "statuses": [4], "batch": 100}, 4_000),
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
def test_a_hot_statement_touches_few_rows(connection: psycopg.Connection[Any], case: str, mode: str) -> None:
    statement, params, bound = CASES[case]
    plan = explain(connection, SqlNames().render(statement).decode(), params, mode)
    assert sequential(plan) == []
    assert sum(map(touched, nodes(plan))) <= bound


def test_what_walks_a_table_is_seen(connection: psycopg.Connection[Any]) -> None:
    query = "SELECT count(*) FROM wf_workflows WHERE version IS NOT DISTINCT FROM %(x)s::text AND id % 2 = 3"
    plan = explain(connection, query, {"x": None}, "force_generic_plan")
    assert sequential(plan) == ["wf_workflows"]
    assert sum(map(touched, nodes(plan))) >= ROWS


def test_a_filter_that_is_optional_costs_the_whole_table_in_a_generic_plan(connection: psycopg.Connection[Any]) -> None:
    """Why list_workflows is not prepared."""
    statement, params, bound = CASES["list: rare name"]
    assert statement.prepare is False
    plan = explain(connection, SqlNames().render(statement).decode(), params, "force_generic_plan")
    assert sum(map(touched, nodes(plan))) > 10 * bound
