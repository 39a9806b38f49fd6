"""Runs that workers drive, both twins: started, settled step by step, joined, failed, ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from _engine import Hand, drain, hands
from _storage import contents, query

from promin_postgres.errors import CodecError, InvalidArgument, NotFound, WorkflowCancelled
from promin_postgres.lookups import StepStatus, StepType, WorkflowStatus
from promin_postgres.workflow.storage import StepSettlement, StepSpec

CHAIN = (
    StepSpec(step_name="a"),
    StepSpec(step_name="b", depends_on=("a",)),
    StepSpec(step_name="c", depends_on=("b",)),
)
DIAMOND = (
    StepSpec(step_name="a"),
    StepSpec(step_name="b1", depends_on=("a",)),
    StepSpec(step_name="b2", depends_on=("a",)),
    StepSpec(step_name="c", depends_on=("b1", "b2")),
)
TASKS = "SELECT step_name, queue, priority, gate, namespace, definition, claimed_by FROM wf_step_queue ORDER BY id"


@pytest.fixture
def make_hand(promin_dsn: str) -> Iterator[Callable[..., Hand]]:
    with hands(promin_dsn) as make:
        yield make


@pytest.fixture
def hand(make_hand: Callable[..., Hand]) -> Hand:
    return make_hand()


def test_a_start_records_the_run_and_the_tasks_of_its_first_steps(twin_storage: Any, promin_dsn: str) -> None:
    steps = (
        StepSpec(step_name="a", queue="slow", priority=7),
        StepSpec(step_name="z"),
        StepSpec(step_name="b", depends_on=("a", "z")),
    )
    started = twin_storage.start_run(
        "w", workflow_name="n", version="2", namespace="space", steps=steps, input={"x": 1}, metadata={"m": 1}
    )
    assert started is True
    state = twin_storage.load_workflow("w")
    assert (state.status, state.input, state.metadata, state.version) == (
        WorkflowStatus.RUNNING,
        {"x": 1},
        {"m": 1},
        "2",
    )
    assert state.started_at is not None
    assert {name: step.status for name, step in state.steps.items()} == dict.fromkeys("azb", StepStatus.PENDING)
    assert query(promin_dsn, TASKS) == [
        ("a", "slow", 7, 0, "space", "workflow:n@2", None),
        ("z", "default", 5, 0, "space", "workflow:n@2", None),
    ]
    assert twin_storage.start_run("w", workflow_name="n", steps=CHAIN) is False
    assert len(query(promin_dsn, TASKS)) == 2


def test_a_start_in_a_transaction_that_rolls_back_never_was(twin: Any, twin_storage: Any, promin_dsn: str) -> None:
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with connect(promin_dsn) as connection:
        assert twin_storage.start_run("w", workflow_name="n", steps=CHAIN, connection=connection)
        connection.rollback()
    assert twin_storage.load_workflow("w") is None
    assert query(promin_dsn, TASKS) == []


def test_what_is_refused_writes_nothing(twin_storage: Any, promin_dsn: str) -> None:
    before = contents(promin_dsn)
    with pytest.raises(InvalidArgument, match="must not be empty"):
        twin_storage.start_run("w", workflow_name="n", steps=())
    with pytest.raises(InvalidArgument, match="priority"):
        twin_storage.start_run("w", workflow_name="n", steps=(StepSpec(step_name="a", priority=11),))
    with pytest.raises(InvalidArgument):
        twin_storage.start_run("", workflow_name="n", steps=CHAIN)
    with pytest.raises(CodecError, match="input"):
        twin_storage.start_run("w", workflow_name="n", steps=CHAIN, input=object())
    with pytest.raises(NotFound, match="parent workflow"):
        twin_storage.start_run("w", workflow_name="n", steps=CHAIN, parent_workflow_id="p")
    with pytest.raises(InvalidArgument, match="time zone"):
        twin_storage.start_run("w", workflow_name="n", steps=CHAIN, deadline=datetime(2030, 1, 1))  # noqa: DTZ001
    assert contents(promin_dsn) == before
    assert query(promin_dsn, TASKS) == []


def test_a_cancelled_parent_gets_no_children(twin_storage: Any) -> None:
    twin_storage.create_workflow("p", workflow_name="n")
    twin_storage.cancel_workflow("p")
    with pytest.raises(WorkflowCancelled):
        twin_storage.start_run("w", workflow_name="n", steps=CHAIN, parent_workflow_id="p")
    with pytest.raises(WorkflowCancelled):
        twin_storage.create_workflow("w", workflow_name="n", parent_workflow_id="p")
    assert twin_storage.load_workflow("w") is None


def test_a_chain_is_carried_to_its_end(twin_storage: Any, hand: Hand, promin_dsn: str) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=CHAIN)
    assert drain(twin_storage, hand) == ["a", "b", "c"]
    state = twin_storage.load_workflow("w")
    assert (state.status, state.result) == (WorkflowStatus.COMPLETED, "c")
    assert state.completed_at is not None
    assert {name: (step.status, step.result, step.attempt) for name, step in state.steps.items()} == {
        name: (StepStatus.COMPLETED, name, 1) for name in "abc"
    }
    attempts = twin_storage.load_step_attempts("w")
    assert [(one.step_name, one.attempt, one.status, one.instance_id) for one in attempts] == [
        (name, 1, StepStatus.COMPLETED, "hand") for name in "abc"
    ]
    assert query(promin_dsn, "SELECT count(*) FROM wf_step_queue") == [(0,)]
    assert query(promin_dsn, "SELECT count(*) FROM wf_finished_tasks") == [(0,)]


def test_a_join_waits_for_all_and_comes_once(twin_storage: Any, hand: Hand) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=DIAMOND)
    twin_storage.settle_steps([hand.done(hand.one("a"))])
    b1, b2 = hand.claim()
    twin_storage.settle_steps([hand.done(b1)])
    assert hand.claim() == []
    twin_storage.settle_steps([hand.done(b2)])
    twin_storage.settle_steps([hand.done(hand.one("c"))])
    assert twin_storage.load_workflow("w").status is WorkflowStatus.COMPLETED


def test_both_sides_of_a_join_in_one_statement(twin_storage: Any, hand: Hand) -> None:
    for number in range(20):
        twin_storage.start_run(f"w{number}", workflow_name="n", steps=DIAMOND)
    assert sorted(drain(twin_storage, hand)) == sorted(["a", "b1", "b2", "c"] * 20)
    assert len(twin_storage.list_workflows(status=WorkflowStatus.COMPLETED)) == 20


def test_inputs_bring_the_results_of_dependencies(twin_storage: Any, hand: Hand) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=DIAMOND, input={"x": 1}, deadline=3600, version="v")
    a = hand.one("a")
    [first] = twin_storage.load_inputs([a[2:5]])
    assert (first.workflow_id, first.run, first.step_name, first.input_json) == ("w", 1, "a", '{"x":1}')
    assert (first.status, first.is_current, first.ending, first.retries) == (WorkflowStatus.RUNNING, True, False, 0)
    assert (first.step_status, first.step_type, first.attempt) == (StepStatus.PENDING, StepType.STEP, 1)
    assert (first.results, first.due_in, first.version) == ({}, None, "v")
    assert timedelta(minutes=59) < first.deadline_in <= timedelta(hours=1)
    twin_storage.settle_steps([hand.done(a, "1")])
    b1, b2 = hand.claim()
    twin_storage.settle_steps([hand.done(b1, '{"big": 1e22}'), hand.done(b2, None, status=StepStatus.SKIPPED)])
    c = hand.one("c")
    found = twin_storage.load_inputs([c[2:5], ("gone", 1, "a"), ("w", 1, "b1"), ("w", 2, "c"), ("w", 1, "")])
    assert [(one.step_name, one.results) for one in found] == [
        ("c", {"b1": '{"big": 1e22}', "b2": None}),
        ("b1", {"a": "1"}),
        ("c", {}),
        ("", {}),
    ]
    assert [one.is_current for one in found] == [True, True, False, True]
    assert [one.step_status for one in found] == [StepStatus.PENDING, StepStatus.COMPLETED, None, None]


def test_several_last_steps_leave_the_end_to_a_task(twin_storage: Any, hand: Hand) -> None:
    steps = (StepSpec(step_name="a", queue="q", priority=9), StepSpec(step_name="b", queue="q", priority=9))
    twin_storage.start_run("w", workflow_name="n", steps=steps)
    a, b = hand.claim()
    twin_storage.settle_steps([hand.done(a, "1")])
    assert hand.claim() == []
    twin_storage.settle_steps([hand.done(b, "2")])
    end = hand.one("")
    assert end.definition == "workflow:n@"
    assert twin_storage.load_workflow("w").status is WorkflowStatus.RUNNING
    twin_storage.complete_workflow("w", {"a": 1, "b": 2}, lease=hand.lease(end))
    assert twin_storage.settle_steps([hand.done(end)]) == {end.id}, "it went with the end"
    assert twin_storage.load_workflow("w").result == {"a": 1, "b": 2}


@pytest.mark.parametrize("in_task", [True, False])
def test_a_run_ends_in_a_task_where_asked(twin_storage: Any, hand: Hand, in_task: bool) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=CHAIN[:1], ends_in_task=in_task)
    assert drain(twin_storage, hand) == (["a", ""] if in_task else ["a"])


def test_a_child_ends_in_a_task(twin_storage: Any, hand: Hand) -> None:
    twin_storage.create_workflow("p", workflow_name="n")
    twin_storage.start_run("w", workflow_name="n", steps=CHAIN[:1], parent_workflow_id="p")
    assert drain(twin_storage, hand) == ["a", ""]


def test_an_execution_that_is_to_be_repeated(twin_storage: Any, hand: Hand, promin_dsn: str) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=CHAIN)
    first = hand.one("a")
    error = '{"type": "E", "message": "boom", "traceback": null}'
    again = {"status": StepStatus.PENDING, "error": error}
    assert twin_storage.settle_steps([hand.done(first, **again, pause=timedelta(hours=1))]) == set()
    assert hand.claim() == []
    assert query(promin_dsn, "SELECT gate, available_at > now() + interval '50 minutes' FROM wf_step_queue") == [
        (1, True)
    ]
    step = twin_storage.load_workflow("w").steps["a"]
    assert (step.status, step.attempt, step.error.message, step.completed_at) == (StepStatus.PENDING, 1, "boom", None)
    query(promin_dsn, "UPDATE wf_step_queue SET available_at = now()")
    second = hand.one("a")
    assert (second.attempt, second.deliveries) == (2, 1)
    assert twin_storage.load_inputs([second[2:5]])[0].attempt == 2
    assert twin_storage.settle_steps([hand.done(second, **again)]) == set()
    third = hand.one("a")
    assert third.attempt == 3
    assert drain(twin_storage, hand) == []
    assert twin_storage.settle_steps([hand.done(third, "1")]) == set()
    assert drain(twin_storage, hand) == ["b", "c"]
    attempts = [(one.attempt, one.status) for one in twin_storage.load_step_attempts("w", step_name="a")]
    assert attempts == [(1, StepStatus.FAILED), (2, StepStatus.FAILED), (3, StepStatus.COMPLETED)]


def test_a_skipped_step_counts_as_done(twin_storage: Any, hand: Hand) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=CHAIN[:2])
    error = '{"type": "E", "message": "boom", "traceback": null}'
    twin_storage.settle_steps([hand.done(hand.one("a"), status=StepStatus.SKIPPED, error=error)])
    b = hand.one("b")
    assert twin_storage.load_inputs([b[2:5]])[0].results == {"a": None}
    twin_storage.settle_steps([hand.done(b, status=StepStatus.SKIPPED)])
    state = twin_storage.load_workflow("w")
    assert (state.status, state.result, state.steps["a"].status) == (WorkflowStatus.COMPLETED, None, StepStatus.SKIPPED)


@pytest.mark.parametrize("together", [True, False])
def test_a_failed_step_starts_no_other_and_has_the_run_ended(twin_storage: Any, hand: Hand, together: bool) -> None:
    steps = (
        StepSpec(step_name="bad"),
        StepSpec(step_name="good"),
        StepSpec(step_name="after good", depends_on=("good",)),
        StepSpec(step_name="after bad", depends_on=("bad",)),
    )
    twin_storage.start_run("w", workflow_name="n", steps=steps)
    bad, good = hand.claim()
    failed = hand.done(bad, status=StepStatus.FAILED, error='{"type": "E", "message": "boom", "traceback": null}')
    for batch in [[failed, hand.done(good, "1")]] if together else [[failed], [hand.done(good, "1")]]:
        twin_storage.settle_steps(batch)
    end = hand.one("")
    [given] = twin_storage.load_inputs([end[2:5]])
    assert (given.ending, given.step_status, given.status) == (True, None, WorkflowStatus.RUNNING)
    steps_now = twin_storage.load_workflow("w").steps
    assert [step.status.name for step in steps_now.values()] == ["FAILED", "COMPLETED", "PENDING", "PENDING"]
    assert hand.claim() == []


def test_a_sleeping_step_waits_for_its_moment(twin_storage: Any, hand: Hand, promin_dsn: str) -> None:
    moment = datetime.now(UTC) + timedelta(hours=2)
    steps = (
        StepSpec(step_name="nap", step_type=StepType.SLEEP, pause=timedelta(hours=1)),
        StepSpec(step_name="until", step_type=StepType.SLEEP, until=moment),
        StepSpec(step_name="past", step_type=StepType.SLEEP, until=moment - timedelta(days=1)),
        StepSpec(step_name="later", step_type=StepType.SLEEP, pause=timedelta(hours=3), depends_on=("past",)),
    )
    twin_storage.start_run("w", workflow_name="n", steps=steps, deadline=9000)
    past = hand.one("past")
    assert twin_storage.load_inputs([past[2:5]])[0].due_in < timedelta(0)
    assert drain(twin_storage, hand) == []
    twin_storage.settle_steps([hand.done(past)])
    rows = query(
        promin_dsn,
        """SELECT q.step_name, gate, s.status, round(extract(epoch FROM q.available_at - w.created_at) / 60)::int,
                  round(extract(epoch FROM s.wake_at - w.created_at) / 60)::int
           FROM wf_step_queue q JOIN wf_workflow_steps s USING (step_name) JOIN wf_workflows w ON true ORDER BY 1""",
    )
    later, nap, until = rows
    assert (nap, until) == (("nap", 1, 3, 60, 60), ("until", 1, 3, 120, 120))
    assert later == ("later", 1, 3, 150, 180), "no later than the deadline"
    assert twin_storage.load_workflow("w").steps["until"].wake_at == moment


def test_what_is_not_ours_any_more_is_told_and_not_written(twin_storage: Any, make_hand: Any, promin_dsn: str) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=CHAIN)
    one, other = make_hand("one"), make_hand("other")
    lost = one.one("a")
    one.die()
    found = other.one("a")
    assert (found.id, found.lease) == (lost.id, lost.lease + 1)
    before = contents(promin_dsn)
    one.live()
    assert twin_storage.settle_steps([one.done(lost, "1")]) == {lost.id}
    stale = StepSettlement(found.id, "other", found.lease - 1, StepStatus.COMPLETED, 1)
    assert twin_storage.settle_steps([stale]) == {found.id}
    other.die()
    assert twin_storage.settle_steps([other.done(found, "2")]) == {found.id}, "of the dead nothing is taken"
    assert contents(promin_dsn) == before
    other.live()
    assert twin_storage.settle_steps([other.done(found, "2")]) == set()
    assert twin_storage.settle_steps([other.done(found, "2")]) == {found.id}, "settled once"


def test_a_step_that_its_own_transaction_completed_is_carried_on_once(twin_storage: Any, hand: Hand) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=CHAIN)
    task = hand.one("a")
    twin_storage.save_step_result("w", "a", "own", lease=hand.lease(task))
    assert twin_storage.load_inputs([task[2:5]])[0].step_status is StepStatus.COMPLETED
    twin_storage.settle_steps([hand.done(task, '"other"', status=StepStatus.FAILED, error='{"type":"E","message":""}')])
    assert drain(twin_storage, hand) == ["b", "c"]
    state = twin_storage.load_workflow("w")
    assert (state.status, state.steps["a"].result) == (WorkflowStatus.COMPLETED, "own")
