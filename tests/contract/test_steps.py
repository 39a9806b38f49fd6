"""What the step queue promises to one claimer, on both twins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from _tasks import counts, from_start, names, new_steps, some, steps, watch
from _waiting import until

from promin_postgres.errors import LeaseLost
from promin_postgres.lookups import TaskStatus
from promin_postgres.steps import Completed, Failed, NewTask

__all__ = ["new_steps", "steps", "watch"]

DEFAULT = ["default"]


def test_a_task_comes_as_it_was_enqueued(steps):
    task_id = steps.enqueue(
        "order-1", "charge", input={"a": [1, "é🚀"]}, prev_results={"reserve": 7}, priority=9, run=3, namespace="shop"
    )
    (task,) = steps.claim(queues=DEFAULT)
    assert (task.id, task.workflow_id, task.run, task.step_name) == (task_id, "order-1", 3, "charge")
    assert (task.input, task.prev_results, task.priority) == ({"a": [1, "é🚀"]}, {"reserve": 7}, 9)
    assert (task.namespace, task.queue, task.attempt, task.deliveries) == ("shop", "default", 1, 1)
    assert task.claimed_by == steps.worker_id
    assert datetime.now(UTC) - task.created_at < timedelta(minutes=1)
    assert steps.claim(queues=DEFAULT) == []


def test_nothing_given_is_nothing_received(steps):
    steps.enqueue("w", "s")
    (task,) = steps.claim(queues=DEFAULT)
    assert (task.input, task.prev_results, task.namespace, task.priority) == (None, {}, None, 5)


def test_the_highest_priority_first_then_the_oldest(steps):
    steps.enqueue_many([*some(3, priority=0), *some(3, workflow_id="x", priority=10), *some(3, workflow_id="y")])
    tasks = steps.claim(queues=DEFAULT, limit=7)
    assert [(task.workflow_id, task.step_name) for task in tasks] == [
        *(("x", f"s{n}") for n in range(3)), *(("y", f"s{n}") for n in range(3)), ("w", "s0"),
    ]  # fmt: skip


def test_one_at_a_time_in_the_same_order(steps):
    steps.enqueue_many([*some(3, priority=0), *some(3, workflow_id="x", priority=10)])
    got = [steps.claim(queues=DEFAULT)[0] for _ in range(6)]
    assert [(task.workflow_id, task.step_name) for task in got] == [
        ("x", "s0"), ("x", "s1"), ("x", "s2"), ("w", "s0"), ("w", "s1"), ("w", "s2"),
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 7])
def test_workflows_take_turns(steps, limit):
    """Between two claims no workflow is more than one task ahead of another, however the limit divides."""
    for name in "ABC":
        steps.enqueue_many(some(20, workflow_id=name))
    got = []
    while len(got) + limit <= 60:
        got += steps.claim(queues=DEFAULT, limit=limit, fairness="round-robin")
        given = [names([task for task in got if task.workflow_id == name]) for name in "ABC"]
        assert max(map(len, given)) - min(map(len, given)) <= 1
        assert all(found == [f"s{number}" for number in range(len(found))] for found in given)


def test_turns_in_one_claim_begin_with_the_oldest(steps):
    for name in "ABC":
        steps.enqueue_many(some(2, workflow_id=name))
    tasks = steps.claim(queues=DEFAULT, limit=6, fairness="round-robin")
    assert [task.workflow_id + task.step_name[1:] for task in tasks] == ["A0", "B0", "C0", "A1", "B1", "C1"]


def test_within_its_turn_a_workflow_gives_its_most_urgent(steps):
    steps.enqueue("w", "later", priority=1)
    steps.enqueue("w", "first", priority=8)
    assert names(steps.claim(queues=DEFAULT, fairness="round-robin")) == ["first"]


def test_a_workflow_that_has_less_leaves_the_rest_to_others(steps):
    steps.enqueue_many([*some(1, workflow_id="A"), *some(9, workflow_id="B")])
    tasks = steps.claim(queues=DEFAULT, limit=8, fairness="round-robin")
    assert [task.workflow_id for task in tasks][:2] == ["A", "B"]
    rest = steps.claim(queues=DEFAULT, limit=8, fairness="round-robin")
    assert len(tasks) + len(rest) == 10


def test_a_weighted_claim_fills_its_limit_and_misses_nothing(steps):
    steps.enqueue_many([*some(20, priority=0), *some(20, workflow_id="x", priority=10)])
    got = []
    while tasks := steps.claim(queues=DEFAULT, limit=7, fairness="weighted"):
        got += tasks
    assert len({task.id for task in got}) == 40
    for level in (0, 10):
        ids = [task.id for task in got if task.priority == level]
        assert ids == sorted(ids)


@pytest.mark.parametrize("fairness", ["strict-priority", "round-robin", "weighted"])
def test_only_the_queues_asked_for(steps, fairness):
    for name in ("a", "b", "c"):
        steps.enqueue("w", name, queue=name)
    got = []
    while tasks := steps.claim(queues=["a", "c", "a"], limit=2, fairness=fairness):
        got += names(tasks)
    assert sorted(got) == ["a", "c"]
    assert counts(steps, "b") == (1, 0, 0, 0, 0)


@pytest.mark.parametrize("fairness", ["strict-priority", "round-robin", "weighted"])
def test_a_namespace_sees_its_own_and_no_namespace_all(new_steps, steps, fairness):
    mine, other = new_steps(namespace="mine"), new_steps(namespace="other")
    steps.enqueue("w", "none")
    mine.enqueue("w", "mine")
    other.enqueue("w", "other")
    mine.enqueue("w", "given", namespace="other")

    def everything(queue):
        tasks = queue.claim(queues=DEFAULT, limit=10, fairness=fairness)
        return sorted(names(tasks)), tasks

    found, tasks = everything(mine)
    assert found == ["mine"]
    mine.release(*tasks)
    assert everything(steps)[0] == ["given", "mine", "none", "other"]
    assert everything(other)[0] == []


@pytest.mark.parametrize(
    "delay",
    [lambda: 60, lambda: timedelta(minutes=1), lambda: datetime.now(UTC) + timedelta(minutes=1)],
    ids=["seconds", "timedelta", "moment"],
)
def test_a_delayed_task_waits_for_its_moment(steps, watch, delay):
    (one,) = steps.enqueue_many([NewTask(workflow_id="w", step_name="many", delay=delay())])
    two = steps.enqueue("w", "one", delay=delay())
    assert steps.claim(queues=DEFAULT, limit=5) == []
    assert 50 < steps._core.next_in <= 60
    assert counts(steps) == (2, 0, 0, 0, 0)
    watch.execute("UPDATE wf_step_queue SET available_at = clock_timestamp()")
    assert [task.id for task in from_start(steps).claim(queues=DEFAULT, limit=5)] == [one, two]


def test_a_moment_that_is_past_is_now(steps):
    steps.enqueue("w", "s", delay=datetime(2020, 1, 1, tzinfo=UTC))
    assert len(steps.claim(queues=DEFAULT)) == 1


def test_a_delayed_task_behind_the_mark_is_found_within_a_second(steps):
    steps.enqueue("w", "late", delay=0.2)
    steps.enqueue_many(some(1000))
    found = until(lambda: [t for t in steps.claim(queues=DEFAULT, limit=3) if t.step_name == "late"], every=0.005)
    assert datetime.now(UTC) - found[0].created_at < timedelta(seconds=2)


def test_completed_by_task_and_by_id(steps):
    steps.enqueue_many(some(2))
    one, two = steps.claim(queues=DEFAULT, limit=2)
    steps.complete(one, result={"ok": 1}, duration=2.5)
    steps.complete(two.id)
    record = steps.get(one.id)
    assert (record.status, record.result, record.duration) == (TaskStatus.COMPLETED, {"ok": 1}, timedelta(seconds=2.5))
    assert (record.error, record.claimed_by) == (None, steps.worker_id)
    assert record.completed_at >= record.claimed_at
    other = steps.get(two.id)
    assert (other.status, other.result) == (TaskStatus.COMPLETED, None)
    assert timedelta(0) < other.duration < timedelta(seconds=30)
    for again in (one, one.id, two):
        with pytest.raises(LeaseLost, match=str(one.id if again is not two else two.id)):
            steps.complete(again)


def test_failed_for_good(steps):
    steps.enqueue("w", "s")
    (task,) = steps.claim(queues=DEFAULT)
    try:
        raise ValueError("no\x00use \ud800")
    except ValueError as error:
        steps.fail(task, error=error)
    record = steps.get(task.id)
    assert (record.status, record.error.error_type) == (TaskStatus.FAILED, "ValueError")
    assert "no" in record.error.message
    assert "test_failed_for_good" in record.error.traceback
    assert counts(steps) == (0, 0, 0, 1, 0)


@pytest.mark.parametrize("by_id", [False, True])
def test_failed_to_be_tried_again(steps, watch, by_id):
    steps.enqueue("w", "s")
    (task,) = steps.claim(queues=DEFAULT)
    steps.fail(task.id if by_id else task, error="later", retry_in=60)
    record = steps.get(task.id)
    assert (record.status, record.attempt, record.error.message) == (TaskStatus.PENDING, 2, "later")
    assert from_start(steps).claim(queues=DEFAULT) == []
    watch.execute("UPDATE wf_step_queue SET available_at = clock_timestamp()")
    (again,) = from_start(steps).claim(queues=DEFAULT)
    assert (again.id, again.attempt, again.deliveries) == (task.id, 2, 2)
    with pytest.raises(LeaseLost):
        steps.complete(task)
    steps.complete(again)


def test_tried_again_at_once(steps):
    steps.enqueue_many(some(2))
    first, _ = steps.claim(queues=DEFAULT, limit=2)
    steps.fail(first, error="now", retry_in=0)
    assert names(steps.claim(queues=DEFAULT, limit=2)) == ["s0"]


@pytest.mark.parametrize("by_id", [False, True])
def test_a_failure_at_the_last_delivery_is_death(new_steps, by_id):
    queue = new_steps(max_deliveries=2)
    queue.enqueue("w", "s")
    for attempt in (1, 2):
        (task,) = queue.claim(queues=DEFAULT)
        assert task.attempt == attempt
        queue.fail(task.id if by_id else task, error=f"failure {attempt}", retry_in=0)
    assert queue.claim(queues=DEFAULT) == []
    record = queue.get(task.id)
    assert (record.status, record.deliveries, record.error.message) == (TaskStatus.DEAD, 2, "failure 2")
    assert counts(queue) == (0, 0, 0, 0, 1)


def test_a_task_that_is_never_settled_dies_with_its_last_error(new_steps, watch):
    queue = new_steps(max_deliveries=3)
    queue.enqueue_many(some(2))
    first, _ = queue.claim(queues=DEFAULT, limit=2)
    queue.fail(first, error="only once", retry_in=0)
    for _ in range(3):
        watch.execute("UPDATE wf_workers SET expires_at = clock_timestamp()")
        queue._core._renew_at = 0.0
        last = from_start(queue).claim(queues=DEFAULT, limit=2) or last  # noqa: F821 - the first round claims
    assert {task.deliveries for task in last} == {3}
    watch.execute("UPDATE wf_workers SET expires_at = clock_timestamp()")
    queue._core._renew_at = 0.0
    assert from_start(queue).claim(queues=DEFAULT, limit=2) == []
    dead = [queue.get(task.id) for task in last]
    assert {(record.status, record.deliveries) for record in dead} == {(TaskStatus.DEAD, 3)}
    assert sorted(record.error.message for record in dead) == ["claimed 3 times and never settled", "only once"]


def test_redriven_tasks_have_all_their_deliveries(new_steps):
    queue = new_steps(max_deliveries=1)
    queue.enqueue_many([*some(3, input=[1]), *some(1, workflow_id="x", queue="other")])
    for task in queue.claim(queues=["default", "other"], limit=4):
        queue.fail(task, error="no", retry_in=0)
    assert queue.redrive(queue="nothing") == 0
    assert queue.redrive(queue="default", limit=1) == 1
    (task,) = queue.claim(queues=["default", "other"], limit=9)
    assert (task.step_name, task.deliveries, task.input) == ("s0", 1, [1])
    assert queue.redrive() == 3
    assert len(queue.claim(queues=["default", "other"], limit=9)) == 3


def test_a_dead_task_whose_place_is_taken_stays_dead(new_steps):
    queue = new_steps(max_deliveries=1)
    first = queue.enqueue("w", "s")
    queue.fail(queue.claim(queues=DEFAULT)[0], error="no", retry_in=0)
    second = queue.enqueue("w", "s")
    assert second != first
    assert queue.redrive() == 0
    queue.fail(queue.claim(queues=DEFAULT)[0], error="no", retry_in=0)
    assert queue.redrive() == 1, "of two dead ones in one place only one comes back"
    assert counts(queue) == (1, 0, 0, 0, 1)


@pytest.mark.parametrize("by_id", [False, True])
def test_released_as_if_never_claimed(steps, by_id):
    steps.enqueue_many(some(3))
    tasks = steps.claim(queues=DEFAULT, limit=3)
    steps.release(*(task.id if by_id else task for task in tasks[:2]))
    again = steps.claim(queues=DEFAULT, limit=3)
    assert [(task.step_name, task.attempt, task.deliveries) for task in again] == [("s0", 1, 1), ("s1", 1, 1)]
    with pytest.raises(LeaseLost, match=str(tasks[0].id)):
        steps.release(*tasks)
    assert names(steps.claim(queues=DEFAULT, limit=3)) == ["s2"]
    steps.release()


def test_a_paused_queue_gives_nothing(steps):
    steps.enqueue_many([*some(1), *some(1, workflow_id="x", queue="other")])
    steps.pause("default")
    steps.pause("default")
    for fairness in ("strict-priority", "round-robin", "weighted"):
        assert steps.claim(queues=DEFAULT, fairness=fairness) == []
    (task,) = steps.claim(queues=["default", "other"], limit=9)
    assert task.queue == "other"
    steps.resume("default")
    steps.resume("default")
    assert len(steps.claim(queues=DEFAULT)) == 1


def test_many_are_settled_at_once_and_the_lost_are_told(steps):
    steps.enqueue_many(some(6))
    tasks = steps.claim(queues=DEFAULT, limit=6)
    steps.complete(tasks[0])
    outcomes = [
        Completed(tasks[0]), Completed(tasks[1], result=1), Failed(tasks[2].id, error="a"),
        Failed(tasks[3], error="b", retry_in=0), Completed(tasks[4].id),
    ]  # fmt: skip
    assert steps.complete_many(outcomes) == [tasks[0].id]
    assert counts(steps) == (1, 1, 3, 1, 0)
    assert steps.complete_many([]) == []
    assert steps.complete_many([Completed(2**63 - 1)]) == [2**63 - 1]


@pytest.mark.parametrize("fairness", ["strict-priority", "round-robin", "weighted"])
def test_settled_and_claimed_in_one(steps, caplog, fairness):
    steps.enqueue_many(some(9))
    held = steps.claim(queues=DEFAULT, limit=4)
    outcomes = [
        Completed(held[0], result="r"), Failed(held[1], error="e"), Failed(held[2], error="f", retry_in=0),
        Completed(held[3].id), Completed(2**40),
    ]  # fmt: skip
    tasks = steps.settle_and_claim(outcomes, queues=DEFAULT, limit=9, fairness=fairness)
    assert names(tasks) == ["s2", "s4", "s5", "s6", "s7", "s8"]
    assert steps.get(held[0].id).result == "r"
    assert counts(steps) == (0, 6, 2, 1, 0)
    assert str(2**40) in caplog.text
    assert steps.settle_and_claim([Completed(task) for task in tasks], queues=DEFAULT, fairness=fairness) == []
    assert counts(steps) == (0, 0, 8, 1, 0)
