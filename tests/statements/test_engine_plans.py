"""What carries a run from task to task reads what it is asked for, however many runs there are, or were.

Under plans made for the values, and made for any values. Tables that hold little are read whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from _explain import MODES, explain, for_one, is_planned_once, nodes, sequential, touched

from promin_postgres._statement import SqlNames, Statement
from promin_postgres.worker.engine._statements import FIND_UNWANTED
from promin_postgres.workflow.storage import _statements as workflow

ROWS = 50_000
SMALL = {"wf_workers", "wf_workflow_leases", "wf_workflow_step_tasks"}
TOKEN = "00000000-0000-0000-0000-0000000"
FILL = f"""
INSERT INTO wf_workers (id, expires_at) SELECT 'hand' || n, now() + interval '1 day' FROM generate_series(1, 20) n;
INSERT INTO wf_workflows (workflow_id, workflow_name, status, remaining, parent_id, parent_step)
SELECT 'd' || n, 'driven', 2, 1, CASE WHEN n % 100 = 0 THEN n - 1 END, 'a' FROM generate_series(1, {ROWS}) n;
INSERT INTO wf_workflow_steps (workflow, run, step_name, position, depends_on, dependents, pending_deps)
SELECT n, 1, s, ascii(s), CASE s WHEN 'a' THEN '{{}}'::text[] ELSE '{{a}}' END,
       CASE s WHEN 'a' THEN '{{b}}'::text[] ELSE '{{}}' END, CASE s WHEN 'a' THEN 0 ELSE 1 END
FROM generate_series(1, {ROWS}) n, unnest(ARRAY['a', 'b']) s;
INSERT INTO wf_step_queue (workflow, definition, workflow_id, step_name, queue, priority, claimed_by, lease)
SELECT n, 'workflow:driven@', 'd' || n, 'a', 'default', 5, 'hand1', 1 FROM generate_series(1, {ROWS}) n;
INSERT INTO wf_workflow_signals (workflow, run, signal_name, payloads, delivered_at, waiting)
SELECT n, 1, 'go', ARRAY['1'::json], ARRAY[now()], '{{a}}' FROM generate_series(1, {ROWS}) n;
INSERT INTO wf_workflows (workflow_id, workflow_name, status)
SELECT 'waits' || n, 'waits', 3 FROM generate_series(1, {ROWS} / 10) n;
INSERT INTO wf_workflow_steps (workflow, run, step_name, position, status, wake_at)
SELECT w.id, 1, 'a', 0, 3, now() + interval '1 day' FROM wf_workflows w WHERE w.status = 3;
INSERT INTO wf_workflows (workflow_id, workflow_name, status, remaining, completed_at)
SELECT 'over' || n, 'driven', 4, 0, now() FROM generate_series(1, {ROWS}) n;
INSERT INTO wf_workflow_steps (workflow, run, step_name, position, status)
SELECT w.id, 1, 'a', 0, 4 FROM wf_workflows w WHERE w.status = 4;
INSERT INTO wf_workflow_leases (workflow, token, holder, expires_at)
SELECT w.id, ('{TOKEN}' || lpad(n::text, 5, '0'))::uuid, 'x', now() + interval '1 day'
FROM generate_series(1, 100) n JOIN wf_workflows w ON w.workflow_id = 'waits' || n;
"""
STEPS = (
    '[{"step_name": "a", "position": 0, "step_type": 1, "depends_on": [], "dependents": [], "metadata": null, '
    '"queue": "default", "priority": 5, "pause": null, "wake_at": null}]'
)
TASK = {"token": None, "task": 25_000, "claimed_by": "hand1", "task_lease": 1}
SOME = list(range(25_001, 25_101))
NO_TASK = {"task": None, "claimed_by": None, "task_lease": None}
BELL = {"bells": "public.wf_", "ring": False}
SETTLED = {
    "ids": SOME,
    "leases": [1] * 100,
    "claimed_bys": ["hand1"] * 100,
    "statuses": [4] * 100,
    "results": ["1"] * 100,
    "errors": [None] * 100,
    "attempts": [1] * 100,
    "durations": [timedelta(seconds=1)] * 100,
    "pauses": [None] * 100,
}
RUN = {"deadline": None, "deadline_at": None, "ends_in_task": False, **BELL}
CASES: dict[str, tuple[Statement, dict[str, Any], int]] = {
    "start_run": (
        workflow.START_RUN,
        {
            "workflow_id": "new",
            "workflow_name": "driven",
            "workflow_type": None,
            "namespace": None,
            "version": None,
            "parent_workflow_id": "d1",
            "parent_step": "s1",
            "input": "1",
            "metadata": None,
            "steps": STEPS,
            **RUN,
        },
        60,
    ),
    "load_inputs": (
        workflow.LOAD_INPUTS,
        {"workflow_ids": [f"d{n}" for n in SOME], "runs": [1] * 100, "step_names": ["b"] * 100},
        1_500,
    ),
    "settle_steps": (workflow.SETTLE_STEPS, {**SETTLED, **BELL}, 6_500),
    "settle_steps: one": (
        workflow.SETTLE_STEPS,
        {**{name: values[:1] for name, values in SETTLED.items()}, **BELL},
        120,
    ),
    "settle_steps: again": (
        workflow.SETTLE_STEPS,
        {**SETTLED, "statuses": [1] * 100, "pauses": [timedelta(seconds=1)] * 100, **BELL},
        5_500,
    ),
    "settle_steps: failed": (workflow.SETTLE_STEPS, {**SETTLED, "statuses": [5] * 100, **BELL}, 6_500),
    "take_signal": (
        workflow.TAKE_SIGNAL,
        {"workflow_id": "d25000", "step_name": "a", "signal": "go", **TASK},
        150,
    ),
    "wake_for_signal": (workflow.WAKE_FOR_SIGNAL, {"workflow_id": "d25000", "signal_name": "go", **BELL}, 40),
    "wake_for_child": (workflow.WAKE_FOR_CHILD, {"workflow_id": "d25000", **BELL}, 40),
    "park_task": (
        workflow.PARK_TASK,
        {
            **{name: TASK[name] for name in ("task", "claimed_by", "task_lease")},
            "until": None,
            "pause": timedelta(hours=1),
            "signal": "stop",
            "child": None,
            "step_name": None,
        },
        80,
    ),
    "begin_ending": (
        workflow.BEGIN_ENDING,
        {name: TASK[name] for name in ("task", "claimed_by", "task_lease")},
        60,
    ),
    "retry_run": (
        workflow.RETRY_RUN,
        {"workflow_id": "d25000", "pause": timedelta(0), **TASK, **BELL},
        200,
    ),
    "end_run: by its task": (
        workflow.END_RUN,
        {"workflow_id": "d25000", **TASK, **BELL, "wakes": True, "status": 4, "result": "1", "error": None},
        150,
    ),
    "cancel_workflow: with tasks": (
        workflow.CANCEL_WORKFLOW,
        {"workflow_id": "d25000", "cascade": True, "wakes": True, **BELL},
        60,
    ),
    "fork_workflow": (
        workflow.FORK_WORKFLOW,
        {"workflow_id": "d25000", "from_step": "b", "new_workflow_id": "new", "on_workers": True, **RUN},
        80,
    ),
    "adopt_run": (workflow.ADOPT_RUN, {"workflow_id": "waits50", "token": f"{TOKEN}00050", **NO_TASK, **BELL}, 250),
    "find_ended": (workflow.FIND_ENDED, {"workflow_ids": [f"d{n}" for n in SOME] + ["nobody"]}, 600),
    "find_unwanted": (FIND_UNWANTED, {"ids": SOME, "me": "hand1"}, 900),
    "find_orphans": (
        workflow.FIND_ORPHANS,
        {"names": ["waits"], "versions": [None], "after": 0, "page": 100},
        1_500,
    ),
}


@pytest.fixture(scope="module")
def connection(promin_server: Any, promin_template: str) -> Iterator[psycopg.Connection[Any]]:
    """A database with as many runs under way, and over."""
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
def test_few_rows_are_read(connection: psycopg.Connection[Any], case: str, mode: str) -> None:
    statement, params, bound = CASES[case]
    plan = explain(connection, SqlNames().render(statement).decode(), params, mode)
    assert [table for table in sequential(plan) if table not in SMALL] == []
    assert sum(map(touched, nodes(plan))) <= bound


@pytest.mark.parametrize("case", [case for case, (statement, *_) in CASES.items() if statement.ages])
def test_what_is_sent_often_is_planned_for_any_values(connection: psycopg.Connection[Any], case: str) -> None:
    """Even where it is about one task only."""
    statement, params, _ = CASES[case]
    assert is_planned_once(connection, SqlNames().render(statement).decode(), for_one(params))
