"""Many at once, both twins: one creator, one result, one fresh run; no signal lost and no deadlock."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from _storage import query
from _twins import Twin
from _waiting import until

from promin_postgres.errors import AlreadyExists, ProminError
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow.storage import StepSpec

DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
WAITERS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '/* workflow/%'
"""


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each call returns, or the error of ours that it raises; all of them start together."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return call()
        except ProminError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def deadlocks(dsn: str) -> int:
    query(dsn, "SELECT pg_stat_clear_snapshot()")
    return int(query(dsn, DEADLOCKS)[0][0])


def test_of_twenty_creators_of_one_id_one_wins(twin_storage: Any) -> None:
    for number in range(5):
        workflow_id = f"w{number}" * 1000
        outcomes = at_once(
            [
                lambda n=n, w=workflow_id: twin_storage.create_workflow(
                    w, workflow_name="n", input=n, steps=[StepSpec(step_name=f"s{n}")]
                )
                for n in range(20)
            ]
        )
        assert Counter(type(outcome) for outcome in outcomes) == {type(None): 1, AlreadyExists: 19}
        state = twin_storage.load_workflow(workflow_id)
        assert state.input == outcomes.index(None)
        assert list(state.steps) == [f"s{state.input}"]


def test_creators_of_many_ids_in_any_order_neither_fail_nor_deadlock(twin_storage: Any, promin_dsn: str) -> None:
    """A hash index under ON CONFLICT DO NOTHING: whoever inserts second waits, or backs out and looks again."""
    ids = [f"w{number}" for number in range(60)]

    def create_all(seed: int) -> int:
        created = 0
        for workflow_id in random.Random(seed).sample(ids, len(ids)):
            try:
                twin_storage.create_workflow(workflow_id, workflow_name="n")
                created += 1
            except AlreadyExists:
                pass
        return created

    assert sum(at_once([lambda seed=seed: create_all(seed) for seed in range(8)])) == len(ids)
    assert len(twin_storage.list_workflows()) == len(ids)
    assert deadlocks(promin_dsn) == 0


@pytest.mark.parametrize("commit", [True, False], ids=["commits", "rolls back"])
def test_a_creator_waits_for_one_that(twin: Twin, twin_storage: Any, promin_dsn: str, commit: bool) -> None:
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with ThreadPoolExecutor(1) as pool, connect(promin_dsn) as connection:
        twin_storage.create_workflow("w", workflow_name="n", input=1, connection=connection)
        second = pool.submit(twin_storage.create_workflow, "w", workflow_name="n", input=2)
        until(lambda: query(promin_dsn, WAITERS))
        if commit:
            connection.commit()
            with pytest.raises(AlreadyExists):
                second.result()
        else:
            connection.rollback()
            second.result()
    assert twin_storage.load_workflow("w").input == (1 if commit else 2)


def test_a_signal_and_its_wait_never_miss_each_other(twin_storage: Any, promin_dsn: str) -> None:
    met: Counter[bool] = Counter()
    for number in range(300):
        workflow_id = f"w{number}"
        twin_storage.create_workflow(workflow_id, workflow_name="n")
        awaited, suspended = at_once(
            [
                lambda w=workflow_id: twin_storage.deliver_signal(w, "go", 1),
                lambda w=workflow_id: twin_storage.suspend_workflow(w, "approval", signal="go"),
            ]
        )
        assert awaited is suspended, "either the step waits and the signal finds it, or it finds the signal"
        met[suspended] += 1
    assert set(met) == {True, False}, "both orders came up"
    waiting = twin_storage.list_workflows(status=WorkflowStatus.SUSPENDED, limit=300)
    assert len(waiting) == met[True]
    assert deadlocks(promin_dsn) == 0


def test_no_delivery_of_many_is_lost(twin_storage: Any) -> None:
    twin_storage.create_workflow("w", workflow_name="n")
    twin_storage.suspend_workflow("w", "approval", signal="go")
    awaited = at_once([lambda n=n: twin_storage.deliver_signal("w", "go", n) for n in range(20)])
    assert sum(awaited) == 1, "the step waits for one of them"
    assert sorted(signal.payload for signal in twin_storage.load_signals("w")) == list(range(20))


def test_one_of_many_begins_the_fresh_run(twin_storage: Any) -> None:
    twin_storage.create_workflow("w", workflow_name="n", steps=[StepSpec(step_name="a")])
    for number in range(1, 6):
        twin_storage.complete_workflow("w", number)
        outcomes = at_once([lambda: twin_storage.start_fresh_run("w")] * 8)
        assert Counter(map(type, outcomes)) == {int: 1, AlreadyExists: 7}
        assert number + 1 in outcomes
    assert [(run.run, run.result) for run in twin_storage.load_run_history("w")] == [(n, n) for n in (5, 4, 3, 2, 1)]
    assert list(twin_storage.load_workflow("w").steps) == ["a"]


def test_a_fresh_run_that_waited_for_a_whole_run(twin: Twin, twin_storage: Any, promin_dsn: str) -> None:
    """The run that it saw to have ended is not the one that it archives."""
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    twin_storage.create_workflow("w", workflow_name="n", steps=[StepSpec(step_name="a")])
    twin_storage.complete_workflow("w", 1)
    with ThreadPoolExecutor(1) as pool, connect(promin_dsn) as connection:
        assert twin_storage.start_fresh_run("w", connection=connection) == 2
        twin_storage.complete_workflow("w", 2, connection=connection)
        third = pool.submit(twin_storage.start_fresh_run, "w")
        until(lambda: query(promin_dsn, WAITERS))
        connection.commit()
        assert third.result() == 3
    assert [(run.run, run.result) for run in twin_storage.load_run_history("w")] == [(2, 2), (1, 1)]
    state = twin_storage.load_workflow("w")
    assert (state.run, state.status) == (3, WorkflowStatus.PENDING)


def test_cascades_from_everywhere_do_not_deadlock(twin_storage: Any, promin_dsn: str) -> None:
    for number in range(4):
        ids = [f"t{number}-{n}" for n in range(31)]
        for n, workflow_id in enumerate(ids):
            twin_storage.create_workflow(
                workflow_id,
                workflow_name="n",
                steps=[StepSpec(step_name="a")],
                parent_workflow_id=ids[(n - 1) // 2] if n else None,
            )
        cancelled = at_once(
            [lambda w=w: twin_storage.cancel_workflow(w, cascade=True) for w in random.Random(number).sample(ids, 12)]
            + [lambda w=ids[0]: twin_storage.cancel_workflow(w, cascade=True)]
        )
        assert sum(cancelled) == len(ids), "each was cancelled by one call"
    assert not twin_storage.list_workflows(status=WorkflowStatus.PENDING)
    assert deadlocks(promin_dsn) == 0


def test_a_cancellation_does_not_wait_for_a_step_that_is_being_written(
    twin: Twin, twin_storage: Any, promin_dsn: str
) -> None:
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    twin_storage.create_workflow("w", workflow_name="n", steps=[StepSpec(step_name="a"), StepSpec(step_name="b")])
    with connect(promin_dsn) as connection:
        twin_storage.save_step_result("w", "a", 1, connection=connection)
        assert twin_storage.cancel_workflow("w") == 1
    steps = twin_storage.load_workflow("w").steps
    assert [steps["a"].status, steps["b"].status] == [StepStatus.COMPLETED, StepStatus.CANCELLED]


@pytest.mark.parametrize("element", [False, True], ids=["step", "element"])
def test_of_many_results_of_one_step_one_is_recorded(twin_storage: Any, element: bool) -> None:
    twin_storage.create_workflow("w", workflow_name="n")

    def save(step: str, result: int, attempt: int) -> Any:
        if element:
            return twin_storage.save_task_result("w", step, 0, result, attempt=attempt)
        return twin_storage.save_step_result("w", step, result, attempt=attempt)

    outcomes = at_once([lambda n=n: save("differ", n, n + 1) for n in range(10)])
    assert Counter(map(type, outcomes)) == {WorkflowStatus: 1, AlreadyExists: 9}
    winner = next(n for n, outcome in enumerate(outcomes) if outcome is WorkflowStatus.PENDING)
    assert at_once([lambda: save("same", 7, 1)] * 10) == [WorkflowStatus.PENDING] * 10
    steps = twin_storage.load_workflow("w").steps
    differ, same = (steps[name].tasks[0] if element else steps[name] for name in ("differ", "same"))
    assert (differ.result, differ.attempt, same.result) == (winner, winner + 1, 7)
    attempts = twin_storage.load_step_attempts("w")
    assert sorted((a.step_name, a.attempt) for a in attempts) == [("differ", winner + 1), ("same", 1)]


def test_several_purge_at_once(twin_storage: Any, promin_dsn: str) -> None:
    for number in range(60):
        twin_storage.create_workflow(f"w{number}", workflow_name="n", steps=[StepSpec(step_name="a")])
        twin_storage.complete_workflow(f"w{number}")
    assert sum(at_once([lambda: twin_storage.purge_completed(older_than=0, batch=7)] * 4)) == 60
    assert query(promin_dsn, "SELECT count(*) FROM wf_workflow_steps") == [(0,)]
    assert deadlocks(promin_dsn) == 0


def test_a_purge_does_not_wait_for_a_workflow_that_is_being_begun_afresh(
    twin: Twin, twin_storage: Any, promin_dsn: str
) -> None:
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    for workflow_id in ("busy", "old"):
        twin_storage.create_workflow(workflow_id, workflow_name="n")
        twin_storage.complete_workflow(workflow_id)
    with connect(promin_dsn) as connection:
        twin_storage.start_fresh_run("busy", connection=connection)
        assert twin_storage.purge_completed(older_than=0) == 1
    assert [state.workflow_id for state in twin_storage.list_workflows()] == ["busy"]
