"""Tasks that wait without a worker, both twins: until a moment, a signal, the end of a child; and ends of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from _engine import Hand, drain, hands
from _storage import query

from promin_postgres.errors import LeaseLost, WorkflowCancelled
from promin_postgres.lookups import StepStatus, StepType, WorkflowStatus
from promin_postgres.workflow.storage import ErrorRecord, StepSpec

ONE = (StepSpec(step_name="s"),)
BOOM = '{"type": "E", "message": "boom", "traceback": null}'
QUEUE = (
    "SELECT step_name, gate, available_at IS NOT NULL, claimed_by, deliveries, waits_for FROM wf_step_queue ORDER BY id"
)


@pytest.fixture
def make_hand(promin_dsn: str) -> Iterator[Callable[..., Hand]]:
    with hands(promin_dsn) as make:
        yield make


@pytest.fixture
def hand(make_hand: Callable[..., Hand]) -> Hand:
    return make_hand()


@pytest.fixture
def storage(twin_storage: Any) -> Any:
    """With a run "w" of one step on workers."""
    twin_storage.start_run("w", workflow_name="n", steps=ONE)
    return twin_storage


def test_until_a_moment(storage: Any, hand: Hand, promin_dsn: str) -> None:
    task = hand.one("s")
    assert storage.park(hand.lease(task), until=3600) is True
    assert query(promin_dsn, QUEUE) == [("s", 1, True, None, 0, None)]
    step = storage.load_workflow("w").steps["s"]
    assert (step.status, step.step_type) == (StepStatus.WAITING, StepType.STEP)
    query(promin_dsn, "UPDATE wf_step_queue SET available_at = now()")
    first = step.wake_at
    again = hand.one("s")
    [given] = storage.load_inputs([again[2:5]])
    assert timedelta(minutes=59) < given.due_in < timedelta(hours=1)
    assert storage.park(hand.lease(again), until=5) is True
    assert storage.load_workflow("w").steps["s"].wake_at == first, "the first moment stands"
    with pytest.raises(LeaseLost):
        storage.park(hand.lease(again), until=5)


def test_a_signal_wakes_whoever_waits_for_it(storage: Any, hand: Hand, promin_dsn: str) -> None:
    task = hand.one("s")
    lease = hand.lease(task)
    assert storage.take_signal("w", "s", "go", lease=lease) is None
    assert storage.park(lease, signal="go") is True
    assert query(promin_dsn, QUEUE) == [("s", 1, False, None, 0, "signal:go")]
    assert storage.load_workflow("w").steps["s"].signal_name == "go"
    assert storage.deliver_signal("w", "other", 0) is False
    assert hand.claim() == []
    assert storage.deliver_signal("w", "go", {"by": "me"}) is True
    woken = hand.one("s")
    assert woken.id > task.id, "behind the marks of claimers"
    lease = hand.lease(woken)
    assert storage.take_signal("w", "s", "go", lease=lease).value() == {"by": "me"}
    assert storage.take_signal("w", "s", "go", lease=lease).value() == {"by": "me"}, "the same after a crash"


def test_a_signal_that_came_before_is_not_waited_for(storage: Any, hand: Hand) -> None:
    lease = hand.lease(hand.one("s"))
    assert storage.deliver_signal("w", "go") is False
    assert storage.park(lease, signal="go") is False
    assert storage.take_signal("w", "s", "go", lease=lease).value() is None
    assert storage.park(lease, signal="go") is True, "for the next one"


def test_two_steps_never_get_the_same_payload(twin_storage: Any, hand: Hand) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=(StepSpec(step_name="a"), StepSpec(step_name="b")))
    for task in hand.claim():
        assert twin_storage.park(hand.lease(task), signal="go", until=3600)
    assert twin_storage.deliver_signal("w", "go", 1) is True
    woken = hand.claim()
    assert {task.step_name for task in woken} == {"a", "b"}, "any of them may take it"
    taken = [twin_storage.take_signal("w", task.step_name, "go", lease=hand.lease(task)) for task in woken]
    assert [one and one.value() for one in taken] == [1, None]
    assert twin_storage.park(hand.lease(woken[1]), signal="go") is True
    assert twin_storage.deliver_signal("w", "go", 2) is True
    second = hand.one(woken[1].step_name)
    assert twin_storage.take_signal("w", second.step_name, "go", lease=hand.lease(second)).value() == 2


def test_a_wait_ends_with_the_deadline_of_the_run(twin_storage: Any, hand: Hand, promin_dsn: str) -> None:
    twin_storage.start_run("w", workflow_name="n", steps=ONE, deadline=60)
    assert twin_storage.park(hand.lease(hand.one("s")), signal="go", until=3600)
    left = query(promin_dsn, "SELECT extract(epoch FROM available_at - now())::int FROM wf_step_queue")[0][0]
    assert 55 <= left <= 60


@pytest.mark.parametrize("end", ["completes", "fails", "is cancelled"])
@pytest.mark.parametrize("in_time", [True, False])
def test_a_child_that(storage: Any, hand: Hand, end: str, in_time: bool) -> None:
    task = hand.one("s")
    storage.start_run("c", workflow_name="n", steps=ONE, parent_workflow_id="w", parent_step="s")
    if in_time:
        assert storage.park(hand.lease(task), child="c") is True
        assert storage.load_workflow("w").steps["s"].status is StepStatus.WAITING
    child = hand.one("s")
    if end == "is cancelled":
        assert storage.cancel_workflow("c") == 1
    else:
        failed = end == "fails"
        done = hand.done(child, status=StepStatus.FAILED, error=BOOM) if failed else hand.done(child)
        storage.settle_steps([done])
        last = hand.one("")
        if failed:
            storage.fail_workflow("c", ErrorRecord(error_type="E", message="boom"), lease=hand.lease(last))
        else:
            storage.complete_workflow("c", 1, lease=hand.lease(last))
            storage.complete_workflow("c", 1, lease=hand.lease(last))
    if in_time:
        [woken] = hand.claim()
        assert (woken.workflow_id, woken.step_name, woken.deliveries) == ("w", "s", 1)
    else:
        assert storage.park(hand.lease(task), child="c") is False
        assert hand.claim() == []


def test_the_end_of_another_workflow_wakes_nobody(storage: Any, hand: Hand) -> None:
    task = hand.one("s")
    for name in ("c", "d"):
        storage.create_workflow(name, workflow_name="n", parent_workflow_id="w", parent_step="s")
    assert storage.park(hand.lease(task), child="c", until=3600)
    storage.complete_workflow("d")
    assert hand.claim() == []
    storage.complete_workflow("c")
    assert hand.one("s")


def test_another_step_of_the_same_task_may_be_what_waits(storage: Any, hand: Hand) -> None:
    task = hand.one("s")
    assert storage.park(hand.lease(task), signal="go", step_name="inner") is True
    steps = storage.load_workflow("w").steps
    assert (steps["inner"].status, steps["inner"].step_type) == (StepStatus.WAITING, StepType.SIGNAL)
    assert steps["s"].status is StepStatus.PENDING
    storage.deliver_signal("w", "go", 1)
    woken = hand.one("s")
    assert storage.take_signal("w", "inner", "go", lease=hand.lease(woken)).value() == 1


def failed_run(storage: Any, hand: Hand) -> None:
    """A run "f" of which `bad` has failed, `good` is under way, `late` waits and `next` hangs on `good`."""
    steps = (
        StepSpec(step_name="bad"),
        StepSpec(step_name="good"),
        StepSpec(step_name="late", step_type=StepType.SLEEP, pause=timedelta(hours=1)),
        StepSpec(step_name="next", depends_on=("good",)),
        StepSpec(step_name="last", depends_on=("bad", "next")),
    )
    storage.start_run("f", workflow_name="n", steps=steps)


def test_an_ending_waits_for_what_is_under_way(twin_storage: Any, hand: Hand, promin_dsn: str) -> None:
    failed_run(twin_storage, hand)
    bad, good = hand.claim()
    twin_storage.settle_steps([hand.done(bad, status=StepStatus.FAILED, error=BOOM)])
    end = hand.one("")
    assert twin_storage.begin_ending(hand.lease(end)) is False
    assert [row[:2] for row in query(promin_dsn, QUEUE)] == [("good", 0), ("", 1)], "late is taken away"
    with pytest.raises(LeaseLost):
        twin_storage.begin_ending(hand.lease(end))
    twin_storage.settle_steps([hand.done(good, "1")])
    end = hand.one("")
    assert twin_storage.begin_ending(hand.lease(end)) is True
    twin_storage.fail_workflow("f", ErrorRecord(error_type="E", message="boom"), lease=hand.lease(end))
    assert query(promin_dsn, QUEUE) == []
    assert twin_storage.load_workflow("f").status is WorkflowStatus.FAILED


def test_an_ending_does_not_wait_for_the_dead(twin_storage: Any, make_hand: Any, promin_dsn: str) -> None:
    one, dead = make_hand("one"), make_hand("dead")
    failed_run(twin_storage, one)
    [bad] = one.claim(1)
    [good] = dead.claim()
    assert good.step_name == "good"
    dead.die()
    twin_storage.settle_steps([one.done(bad, status=StepStatus.FAILED, error=BOOM)])
    end = next(task for task in one.claim(1) + one.claim() if task.step_name == "")
    query(promin_dsn, "UPDATE wf_step_queue SET claimed_by = 'dead' WHERE step_name = 'good'")
    assert twin_storage.begin_ending(one.lease(end)) is True
    assert [row[0] for row in query(promin_dsn, QUEUE)] == [""]


def test_a_run_that_begins_again_where_it_failed(twin_storage: Any, hand: Hand, promin_dsn: str) -> None:
    failed_run(twin_storage, hand)
    bad, good = hand.claim()
    twin_storage.settle_steps([hand.done(bad, status=StepStatus.FAILED, error=BOOM), hand.done(good, "1")])
    end = hand.one("")
    assert twin_storage.begin_ending(hand.lease(end)) is True
    twin_storage.retry_run("f", pause=0, lease=hand.lease(end))
    tasks = hand.claim()
    assert [task.step_name for task in tasks] == ["bad", "next"]
    assert [row[:3] for row in query(promin_dsn, QUEUE)][1] == ("late", 1, True)
    given = twin_storage.load_inputs([task[2:5] for task in tasks])
    assert [(one.attempt, one.retries, one.ending) for one in given] == [(2, 1, False), (1, 1, False)]
    twin_storage.settle_steps([hand.done(tasks[0], attempt=2), hand.done(tasks[1])])
    query(promin_dsn, "UPDATE wf_step_queue SET available_at = now() WHERE step_name = 'late'")
    assert drain(twin_storage, hand) == ["late", "last", ""]


def test_an_end_task_comes_again_after_a_pause(twin_storage: Any, hand: Hand, promin_dsn: str) -> None:
    failed_run(twin_storage, hand)
    bad, good = hand.claim()
    twin_storage.settle_steps([hand.done(bad, status=StepStatus.FAILED, error=BOOM), hand.done(good)])
    end = hand.one("")
    assert twin_storage.settle_steps([hand.done(end, status=StepStatus.PENDING, pause=timedelta(0))]) == set()
    assert hand.one("").deliveries == 1


def test_a_cancellation_takes_the_tasks_away(twin_storage: Any, hand: Hand, promin_dsn: str) -> None:
    failed_run(twin_storage, hand)
    bad, good = hand.claim()
    twin_storage.start_run("child", workflow_name="n", steps=ONE, parent_workflow_id="f", parent_step="good")
    assert twin_storage.cancel_workflow("f", cascade=True) == 2
    assert query(promin_dsn, QUEUE) == []
    assert twin_storage.settle_steps([hand.done(bad), hand.done(good)]) == {bad.id, good.id}
    with pytest.raises((LeaseLost, WorkflowCancelled)):
        twin_storage.save_step_result("f", "bad", 1, lease=hand.lease(bad))
    with pytest.raises(LeaseLost):
        twin_storage.park(hand.lease(good), signal="go")


def test_a_task_that_was_being_written_at_the_cancellation_is_settled_without_effect(
    storage: Any, hand: Hand, promin_dsn: str
) -> None:
    task = hand.one("s")
    storage.cancel_workflow("w")
    query(
        promin_dsn,
        """INSERT INTO wf_step_queue
               (workflow, definition, workflow_id, run, step_name, queue, priority, claimed_by, lease)
           SELECT id, 'workflow:n@', 'w', 1, 's', 'default', 5, 'hand', 1 FROM wf_workflows""",
    )
    [[task_id]] = query(promin_dsn, "SELECT id FROM wf_step_queue")
    assert storage.settle_steps([hand.done(task._replace(id=task_id), "1")]) == set()
    assert query(promin_dsn, QUEUE) == []
    state = storage.load_workflow("w")
    assert (state.status, state.steps["s"].status) == (WorkflowStatus.CANCELLED, StepStatus.CANCELLED)
    assert storage.load_step_attempts("w") == []


def test_a_step_that_was_not_executed_leaves_no_attempt(storage: Any, hand: Hand) -> None:
    storage.settle_steps([hand.done(hand.one("s"), "1", attempt=0)])
    assert storage.load_step_attempts("w") == []
    assert storage.load_workflow("w").steps["s"].attempt == 0


def test_versions_are_counted(twin_storage: Any) -> None:
    for number, version in enumerate(["1", "1", "2", None]):
        twin_storage.create_workflow(f"w{number}", workflow_name="n", version=version)
    twin_storage.complete_workflow("w0")
    twin_storage.create_workflow("other", workflow_name="other")
    assert twin_storage.count_by_version("n") == {
        "1": {WorkflowStatus.PENDING: 1, WorkflowStatus.COMPLETED: 1},
        "2": {WorkflowStatus.PENDING: 1},
        None: {WorkflowStatus.PENDING: 1},
    }
    assert twin_storage.count_by_version("nobody") == {}


def test_a_task_whose_workflow_was_purged_is_settled_without_effect(storage: Any, hand: Hand, promin_dsn: str) -> None:
    task = hand.one("s")
    query(promin_dsn, "UPDATE wf_workflows SET status = 4, completed_at = now() - interval '1 day'")
    assert storage.purge_completed(older_than=60) == 1
    assert storage.load_inputs([task[2:5]]) == []
    assert storage.settle_steps([hand.done(task, "1")]) == set()
    assert query(promin_dsn, QUEUE) == []
    assert query(promin_dsn, "SELECT count(*) FROM wf_step_attempts") == [(0,)]
