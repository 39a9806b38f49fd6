"""Runs that go on elsewhere, both twins: forked, begun afresh on workers, adopted from drivers that died."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from _engine import Hand, drain, hands
from _storage import open_storage, query
from _twins import Twin

from promin_postgres.errors import AlreadyExists, InvalidArgument, LeaseLost, NotFound
from promin_postgres.lookups import StepStatus, StepType, WorkflowStatus
from promin_postgres.workflow.storage import ErrorRecord, StepSpec

DIAMOND = (
    StepSpec(step_name="a"),
    StepSpec(step_name="b1", depends_on=("a",)),
    StepSpec(step_name="b2", depends_on=("a",)),
    StepSpec(step_name="c", depends_on=("b1", "b2")),
)
BOOM = ErrorRecord(error_type="E", message="boom")
KNOWN = [("n", None), ("other", "1")]


@pytest.fixture
def make_hand(promin_dsn: str) -> Iterator[Callable[..., Hand]]:
    with hands(promin_dsn) as make:
        yield make


@pytest.fixture
def hand(make_hand: Callable[..., Hand]) -> Hand:
    return make_hand()


def statuses(storage: Any, workflow_id: str) -> dict[str, str]:
    return {name: step.status.name for name, step in storage.load_workflow(workflow_id).steps.items()}


@pytest.mark.parametrize(
    ("from_step", "again"), [("a", ["a", "b1", "b2", "c"]), ("b1", ["b1", "c"]), ("b2", ["b2", "c"]), ("c", ["c"])]
)
def test_a_fork_executes_only_from_the_step_on(twin_storage: Any, hand: Hand, from_step: str, again: list[str]) -> None:
    twin_storage.start_run("w", workflow_name="n", version="1", steps=DIAMOND, input={"x": 1}, workflow_type="t")
    drain(twin_storage, hand)
    before = twin_storage.load_workflow("w")
    twin_storage.fork_workflow("w", from_step=from_step, new_workflow_id="f")
    state = twin_storage.load_workflow("f")
    assert (state.workflow_name, state.workflow_type, state.version, state.input) == ("n", "t", "1", {"x": 1})
    assert {name for name, step in state.steps.items() if step.status is StepStatus.PENDING} == set(again)
    for name, step in state.steps.items():
        assert step.result == (None if name in again else name)
    assert drain(twin_storage, hand) == again
    assert twin_storage.load_workflow("f").result == "c"
    assert twin_storage.load_workflow("w") == before
    assert {one.step_name for one in twin_storage.load_step_attempts("f")} == set(again)


def test_a_fork_of_a_run_under_way_takes_what_is_done(twin_storage: Any, hand: Hand) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=DIAMOND)
    twin_storage.settle_steps([hand.done(hand.one("a"), '"a"')])
    b1, b2 = hand.claim()
    twin_storage.settle_steps([hand.done(b1, '"b1"')])
    twin_storage.fork_workflow("w", from_step="c", new_workflow_id="f")
    assert statuses(twin_storage, "f") == {"a": "COMPLETED", "b1": "COMPLETED", "b2": "PENDING", "c": "PENDING"}
    assert [task.workflow_id for task in hand.claim()] == ["f"]
    assert twin_storage.settle_steps([hand.done(b2)]) == set()


def test_a_fork_that_is_driven_inline_has_no_tasks(twin_storage: Any, hand: Hand) -> None:
    twin_storage.create_workflow("w", workflow_name="n", steps=DIAMOND)
    twin_storage.save_step_result("w", "a", 1)
    twin_storage.fork_workflow("w", from_step="b1", new_workflow_id="f", on_workers=False)
    assert hand.claim() == []
    assert twin_storage.load_workflow("f").status is WorkflowStatus.PENDING
    assert statuses(twin_storage, "f")["a"] == "COMPLETED"


def test_a_fork_of_a_function_takes_what_came_before(twin_storage: Any, hand: Hand) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=(StepSpec(step_name="#"),))
    task = hand.one("#")
    for name in ("one", "two", "three"):
        twin_storage.save_step_result("w", name, name, lease=hand.lease(task))
    twin_storage.settle_steps([hand.done(task, "1")])
    twin_storage.fork_workflow("w", from_step="two", new_workflow_id="f")
    assert statuses(twin_storage, "f") == {"#": "PENDING", "one": "COMPLETED"}
    twin_storage.fork_workflow("w", from_step="#", new_workflow_id="g")
    assert statuses(twin_storage, "g") == {"#": "PENDING"}
    assert drain(twin_storage, hand) == ["#", "#"]


def test_a_fork_sleeps_anew(twin_storage: Any, hand: Hand, promin_dsn: str) -> None:
    steps = (
        StepSpec(step_name="nap", step_type=StepType.SLEEP, pause=timedelta(hours=1)),
        StepSpec(step_name="b", depends_on=("nap",)),
    )
    twin_storage.start_run("w", workflow_name="n", steps=steps)
    query(promin_dsn, "UPDATE wf_workflow_steps SET wake_at = wake_at - interval '1 day'")
    twin_storage.fork_workflow("w", from_step="nap", new_workflow_id="f", deadline=60)
    assert hand.claim() == []
    left = "SELECT round(extract(epoch FROM available_at - now()) / 60)::int FROM wf_step_queue ORDER BY id"
    assert query(promin_dsn, left) == [(60,), (1,)]


def test_what_cannot_be_forked(twin_storage: Any, promin_dsn: str) -> None:
    twin_storage.create_workflow("w", workflow_name="n", steps=DIAMOND)
    with pytest.raises(NotFound, match="no such workflow"):
        twin_storage.fork_workflow("nobody", from_step="a", new_workflow_id="f")
    with pytest.raises(InvalidArgument, match="is no step of the run"):
        twin_storage.fork_workflow("w", from_step="z", new_workflow_id="f")
    with pytest.raises(AlreadyExists):
        twin_storage.fork_workflow("w", from_step="a", new_workflow_id="w")
    assert query(promin_dsn, "SELECT count(*) FROM wf_workflows") == [(1,)]
    assert query(promin_dsn, "SELECT count(*) FROM wf_step_queue") == [(0,)]


@pytest.mark.parametrize("given", [True, False], ids=["other steps", "the same steps"])
def test_a_fresh_run_on_workers(twin_storage: Any, hand: Hand, given: bool) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=DIAMOND, version="1")
    twin_storage.settle_steps([hand.done(hand.one("a"), status=StepStatus.FAILED, error='{"type":"E","message":""}')])
    end = hand.one("")
    twin_storage.fail_workflow("w", BOOM, lease=hand.lease(end))
    steps = {"steps": (StepSpec(step_name="z", queue="q"),), "version": "2"} if given else {}
    assert twin_storage.start_fresh_run("w", on_workers=True, deadline=60, **steps) == 2
    assert twin_storage.load_workflow("w").status is WorkflowStatus.RUNNING
    [task] = hand.claim()
    assert (task.run, task.step_name, task.definition) == (
        2,
        *(("z", "workflow:n@2") if given else ("a", "workflow:n@1")),
    )
    [inputs] = twin_storage.load_inputs([task[2:5]])
    assert (inputs.is_current, inputs.ending, inputs.retries, inputs.deadline_in <= timedelta(minutes=1)) == (
        True, False, 0, True,
    )  # fmt: skip
    twin_storage.settle_steps([hand.done(task)])
    assert drain(twin_storage, hand) == ([] if given else ["b1", "b2", "c"])
    assert twin_storage.load_workflow("w").status is WorkflowStatus.COMPLETED
    assert [run.status.name for run in twin_storage.load_run_history("w")] == ["COMPLETED", "FAILED"]


def test_a_fresh_inline_run_has_no_tasks(twin_storage: Any, hand: Hand) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=DIAMOND)
    drain(twin_storage, hand)
    twin_storage.start_fresh_run("w")
    assert hand.claim() == []
    assert twin_storage.load_workflow("w").status is WorkflowStatus.PENDING


def test_a_task_of_an_earlier_run_changes_nothing(twin_storage: Any, hand: Hand, promin_dsn: str) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=DIAMOND)
    late = hand.one("a")
    query(promin_dsn, "UPDATE wf_workflows SET status = 4, completed_at = now()")
    twin_storage.start_fresh_run("w", on_workers=True)
    with pytest.raises(LeaseLost):
        twin_storage.save_step_result("w", "a", "late", lease=hand.lease(late))
    assert twin_storage.settle_steps([hand.done(late, '"late"')]) == set()
    assert statuses(twin_storage, "w") == dict.fromkeys(("a", "b1", "b2", "c"), "PENDING")
    assert drain(twin_storage, hand) == ["a", "b1", "b2", "c"]


@pytest.mark.parametrize("advisory", [True, False], ids=["advisory", "rows"])
def test_an_orphan_is_adopted_and_not_executed_again(
    twin: Twin, twin_storage: Any, hand: Hand, promin_dsn: str, advisory: bool
) -> None:
    twin_storage.create_workflow("w", workflow_name="n", steps=DIAMOND, input=1)
    dead = open_storage(twin, promin_dsn, use_advisory_locks=advisory)
    with dead:
        lease = dead.try_lock("w")
        dead.begin_run("w", lease=lease)
        dead.save_step_result("w", "a", "inline", lease=lease)
        dead.save_step_failure("w", "b1", BOOM, lease=lease)
        assert twin_storage.adopt_runs(KNOWN) == 0, "it is alive"
        if advisory:
            query(promin_dsn, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
                  "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")  # fmt: skip
        else:
            query(promin_dsn, "UPDATE wf_workflow_leases SET expires_at = clock_timestamp()")
        assert twin_storage.adopt_runs([("n", "1"), ("other", None)]) == 0, "another definition"
        assert twin_storage.adopt_runs(KNOWN) == 1
        assert twin_storage.adopt_runs(KNOWN) == 0
        with pytest.raises(LeaseLost):
            dead.save_step_result("w", "b1", "late", lease=lease)
    tasks = hand.claim()
    assert [task.step_name for task in tasks] == ["b1", "b2"]
    assert [one.results for one in twin_storage.load_inputs([task[2:5] for task in tasks])] == [{"a": '"inline"'}] * 2
    twin_storage.settle_steps([hand.done(task, "1", attempt=2) for task in tasks])
    assert drain(twin_storage, hand) == ["c", ""]
    assert statuses(twin_storage, "w") == dict.fromkeys(("a", "b1", "b2", "c"), "COMPLETED")
    assert query(promin_dsn, "SELECT count(*) FROM wf_workflow_leases") == [(0,)]


@pytest.mark.parametrize("status", ["done", "compensating"])
def test_an_orphan_of_which_only_the_end_is_missing(
    twin: Twin, twin_storage: Any, hand: Hand, promin_dsn: str, status: str
) -> None:
    twin_storage.create_workflow("w", workflow_name="n", steps=DIAMOND)
    lease = twin_storage.try_lock("w")
    for name in ("a", "b1", "b2", "c")[: 4 if status == "done" else 2]:
        twin_storage.save_step_result("w", name, name, lease=lease)
    query(promin_dsn, "UPDATE wf_workflows SET status = %s", 2 if status == "done" else 7)
    twin_storage.release_lock(lease)
    query(promin_dsn, "INSERT INTO wf_workflow_leases (workflow, token, holder, expires_at) "
          "SELECT id, gen_random_uuid(), 'dead', now() FROM wf_workflows")  # fmt: skip
    assert twin_storage.adopt_runs(KNOWN) == 1
    end = hand.one("")
    assert twin_storage.load_inputs([end[2:5]])[0].ending is True
    assert twin_storage.load_workflow("w").status.name == ("RUNNING" if status == "done" else "COMPENSATING")


def test_a_run_that_waits_inline_is_adopted_when_it_is_due(twin_storage: Any, hand: Hand, promin_dsn: str) -> None:
    steps = (StepSpec(step_name="wait", step_type=StepType.SIGNAL), StepSpec(step_name="b", depends_on=("wait",)))
    for name, how in {
        "nap": {"until": 3600},
        "go": {"signal": "go"},
        "late": {"signal": "go", "timeout": 3600},
    }.items():
        twin_storage.create_workflow(name, workflow_name="n", steps=steps)
        twin_storage.suspend_workflow(name, "wait", **how)
    assert twin_storage.adopt_runs(KNOWN) == 0
    query(promin_dsn, "UPDATE wf_workflow_steps SET wake_at = now() WHERE wake_at IS NOT NULL")
    assert twin_storage.adopt_runs(KNOWN) == 1
    twin_storage.deliver_signal("go", "go", 7)
    assert twin_storage.adopt_runs(KNOWN) == 1
    query(promin_dsn, "UPDATE wf_workflow_steps SET signal_timeout_at = now() WHERE signal_timeout_at IS NOT NULL")
    assert twin_storage.adopt_runs(KNOWN) == 1
    assert twin_storage.adopt_runs(KNOWN) == 0
    tasks = {task.workflow_id: task for task in hand.claim()}
    assert {name: task.step_name for name, task in tasks.items()} == dict.fromkeys(("nap", "go", "late"), "wait")
    inputs = twin_storage.load_inputs([tasks[name][2:5] for name in ("nap", "go", "late")])
    assert [one.due_in is not None and one.due_in <= timedelta(0) for one in inputs] == [True, False, True]
    taken = twin_storage.take_signal("go", "wait", "go", lease=hand.lease(tasks["go"]))
    assert taken.value() == 7
    assert drain(twin_storage, hand) == []


def test_many_that_wait_are_looked_at_page_by_page(
    twin_storage: Any, promin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("_async_forks", "_sync_forks"):
        monkeypatch.setattr(import_module(f"promin_postgres.workflow.storage.{module}"), "_PAGE", 2)
    for number in range(5):
        twin_storage.create_workflow(f"w{number}", workflow_name="n", steps=DIAMOND)
        twin_storage.suspend_workflow(f"w{number}", "a", until=0 if number > 2 else 3600)
    assert [twin_storage.adopt_runs(KNOWN) for _ in range(4)] == [0, 1, 1, 0]
