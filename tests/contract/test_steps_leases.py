"""Who holds a task, for how long, and what becomes of late outcomes; seats of concurrency keys."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import psycopg
import pytest
from _tasks import from_start, kill, names, new_steps, some, steps, watch
from _waiting import until

from promin_postgres.errors import LeaseLost
from promin_postgres.lookups import TaskStatus
from promin_postgres.steps import Completed, Failed, NewTask

SUITE_RUNS = "async"

__all__ = ["new_steps", "steps", "watch"]

DEFAULT = ["default"]


def test_a_claimer_has_a_name_that_no_other_has(new_steps):
    first, second = new_steps(worker_id="pod-1"), new_steps(worker_id="pod-1")
    assert first.worker_id.startswith("pod-1.")
    assert first.worker_id != second.worker_id
    before = first.worker_id
    first.claim(queues=DEFAULT)
    assert first.worker_id == before


def test_heartbeat(steps, watch):
    with pytest.raises(LeaseLost, match=steps.worker_id):
        steps.heartbeat()
    steps.claim(queues=DEFAULT)
    steps.heartbeat()
    kill(watch, steps)
    with pytest.raises(LeaseLost, match=steps.worker_id):
        steps.heartbeat()


def test_a_lapsed_lease_is_taken_over_and_its_outcomes_are_refused(new_steps):
    first, second = new_steps(lease=0.3), new_steps()
    first.enqueue_many(some(4))
    held = first.claim(queues=DEFAULT, limit=4)
    second.claim(queues=DEFAULT)
    taken = until(lambda: from_start(second).claim(queues=DEFAULT, limit=2))
    assert [(task.id, task.deliveries, task.attempt) for task in taken] == [(task.id, 2, 1) for task in held[:2]], (
        "those of a dead worker, in their order, delivered once more"
    )
    late = [
        lambda: first.complete(held[0]), lambda: first.complete(held[3].id), first.heartbeat,
        lambda: first.fail(held[1], error="e"), lambda: first.fail(held[2], error="e", retry_in=0),
        lambda: first.release(held[3]),
    ]  # fmt: skip
    for settle in late:
        with pytest.raises(LeaseLost):
            settle()
    assert first.complete_many(Completed(task) for task in held) == [task.id for task in held]
    again = first.claim(queues=DEFAULT, limit=9)
    assert [task.id for task in again] == [task.id for task in held[2:]]
    with pytest.raises(LeaseLost):
        first.complete(held[2])
    assert second.complete_many(Completed(task) for task in taken) == []
    assert first.complete_many(Completed(task) for task in again) == []


def test_who_lives_keeps_what_he_holds(new_steps):
    lease = 4  # more than a slow machine stands still
    first, second = new_steps(lease=lease), new_steps()
    first.enqueue_many(some(2))
    (task,) = first.claim(queues=DEFAULT)
    second.claim(queues=DEFAULT)
    ends = threading.Event()
    beats = []

    def beat():
        while not ends.wait(0.1):
            first.heartbeat()
            beats.append(1)

    thread = threading.Thread(target=beat)
    thread.start()
    began = time.monotonic()
    until(lambda: time.monotonic() > began + lease + 0.5)
    assert len(beats) > 2
    assert from_start(second).claim(queues=DEFAULT) == []
    first.complete(task)
    ends.set()
    thread.join()


def test_requeue_stuck_takes_from_the_dead(new_steps, watch):
    dead, alive, other = new_steps(), new_steps(), new_steps()
    dead.enqueue_many(some(3))
    dead.claim(queues=DEFAULT, limit=2)
    alive.claim(queues=DEFAULT)
    assert other.requeue_stuck() == 0
    kill(watch, dead)
    assert other.requeue_stuck() == 2
    assert other.metrics()["default"].running == 1
    assert names(other.claim(queues=DEFAULT, limit=9)) == ["s0", "s1"]


def test_requeue_stuck_of_those_not_heard_of(new_steps, watch):
    silent, other = new_steps(lease=3600), new_steps()
    silent.enqueue_many(some(2))
    silent.claim(queues=DEFAULT, limit=2)
    assert other.requeue_stuck(stale_timeout=timedelta(minutes=1)) == 0
    watch.execute("UPDATE wf_workers SET seen_at = seen_at - interval '2 minutes'")
    assert other.requeue_stuck(stale_timeout=180) == 0
    assert other.requeue_stuck(stale_timeout=60) == 2


def test_requeue_stuck_by_name(new_steps):
    one, two, three = (new_steps(worker_id=name) for name in ("pod", "pod", "pods"))
    one.enqueue_many(some(3))
    for queue in (one, two, three):
        queue.claim(queues=DEFAULT)
    assert one.requeue_stuck(claimed_by="po") == 0
    assert one.requeue_stuck(claimed_by=one.worker_id) == 1
    assert one.requeue_stuck(claimed_by="pod") == 1
    assert three.metrics()["default"].running == 1


@pytest.mark.parametrize("form", [{}, {"stale_timeout": 0}, {"claimed_by": "pod"}])
def test_requeue_stuck_gives_seats_back(new_steps, watch, form):
    dead, other = new_steps(worker_id="pod", lease=3600), new_steps()
    dead.enqueue_many(some(4, concurrency_key="k", concurrency_limit=2))
    assert len(dead.claim(queues=DEFAULT, limit=4)) == 2
    assert other.claim(queues=DEFAULT, limit=4) == []
    kill(watch, dead)
    if "stale_timeout" in form:
        watch.execute("DELETE FROM wf_workers")
    assert other.requeue_stuck(**form) == 2
    assert watch.execute("SELECT taken FROM wf_step_limits").fetchone() == (0,)
    assert len(from_start(other).claim(queues=DEFAULT, limit=4)) == 2


def test_a_seat_passes_to_the_next(steps, watch):
    steps.enqueue_many(some(5, concurrency_key="k", concurrency_limit=2))
    first = steps.claim(queues=DEFAULT, limit=5)
    assert names(first) == ["s0", "s1"]
    assert steps.claim(queues=DEFAULT, limit=5) == []
    assert steps.get(first[-1].id + 1).deliveries == 0
    steps.complete(first[0])
    steps.fail(first[1].id, error="e", retry_in=0)
    assert names(steps.claim(queues=DEFAULT, limit=5)) == ["s1", "s2"]
    assert watch.execute("SELECT seats, taken FROM wf_step_limits").fetchone() == (2, 2)


@pytest.mark.parametrize("fairness", ["strict-priority", "round-robin", "weighted"])
def test_others_pass_those_that_wait_for_a_seat(steps, fairness):
    steps.enqueue_many([*some(300, priority=9, concurrency_key="k", concurrency_limit=1), *some(3, workflow_id="x")])
    got = []
    while tasks := steps.claim(queues=DEFAULT, limit=1, fairness=fairness):
        got += tasks
    assert sorted(task.workflow_id for task in got) == ["w", "x", "x", "x"]


def test_what_was_claimed_beyond_the_limit_is_given_back(steps):
    """To get past tasks that find no seat a claim looks further than it was asked to."""
    steps.enqueue_many([*some(30, concurrency_key="k", concurrency_limit=1), *some(200, workflow_id="x")])
    (seated,) = steps.claim(queues=DEFAULT)
    got = [seated]
    while tasks := from_start(steps).claim(queues=DEFAULT, limit=2):
        assert len(tasks) <= 2
        got += tasks
    assert len(got) == 201
    assert [task.step_name for task in got[1:]] == [f"s{number}" for number in range(200)]
    assert {task.deliveries for task in got} == {1}


def test_limits_that_differ_between_tasks_of_a_key(steps):
    limits = [4, 4, 4, 2, 4, 1, 4, 4]
    steps.enqueue_many(
        NewTask(workflow_id="w", step_name=f"s{n}", concurrency_key="k", concurrency_limit=limit)
        for n, limit in enumerate(limits)
    )
    held, done = {}, 0
    while done < len(limits):
        tasks = from_start(steps).claim(queues=DEFAULT)
        for task in tasks:
            held[task.id] = limits[int(task.step_name[1:])]
            assert len(held) <= held[task.id]
        if not tasks:
            steps.complete(held.popitem()[0])
            done += 1


def test_a_dead_claimers_seats_go_with_his_tasks(new_steps, watch):
    first, second = new_steps(), new_steps()
    first.enqueue_many(some(4, concurrency_key="k", concurrency_limit=2))
    assert len(first.claim(queues=DEFAULT, limit=4)) == 2
    kill(watch, first)
    assert names(second.claim(queues=DEFAULT, limit=4)) == ["s0", "s1"]
    assert watch.execute("SELECT taken FROM wf_step_limits").fetchone() == (2,)


def test_seats_whose_settler_died_before_he_called_the_next(steps, watch):
    steps.enqueue_many(some(3, concurrency_key="k", concurrency_limit=1))
    (task,) = steps.claim(queues=DEFAULT, limit=3)
    steps.complete(task)
    watch.execute("UPDATE wf_step_queue SET gate = 2")  # as if `unpark` had not been reached
    assert steps.claim(queues=DEFAULT, limit=3) == []
    steps._core._unpark_at = 0.0
    assert names(from_start(steps).claim(queues=DEFAULT, limit=3)) == ["s1"]


def test_outcomes_given_twice_in_a_batch_count_once(steps):
    steps.enqueue_many(some(3))
    one, two, three = steps.claim(queues=DEFAULT, limit=3)
    outcomes = [
        Completed(one, result=1), Failed(one, error="e"), Completed(two.id, result=2), Completed(two, result=3),
        Completed(three), Failed(three.id, error="e", retry_in=0), Completed(2**50), Completed(2**50),
    ]  # fmt: skip
    assert sorted(steps.complete_many(outcomes)) == [one.id, two.id, three.id, 2**50]
    assert (steps.get(one.id).result, steps.get(two.id).result) == (1, 2)
    assert steps.get(three.id).status is TaskStatus.COMPLETED


def test_of_two_leases_of_a_task_the_last_counts(steps):
    steps.enqueue("w", "s")
    (old,) = steps.claim(queues=DEFAULT)
    steps.release(old)
    (new,) = steps.claim(queues=DEFAULT)
    assert steps.settle_and_claim([Completed(old, result=1), Completed(new, result=2)], queues=DEFAULT) == []
    assert steps.get(new.id).result == 2


def test_batches_of_any_size(steps):
    steps.enqueue_many(some(25_000))
    tasks = [task for _ in range(3) for task in steps.claim(queues=DEFAULT, limit=10_000)]
    assert len(tasks) == 25_000
    assert steps.complete_many(Completed(task) for task in reversed(tasks)) == []
    assert steps.metrics()["default"].completed == 25_000


def test_what_a_claim_leased_whose_answer_was_lost_comes_back(steps, watch, promin_dsn):
    """The connection breaks: nobody knows what was claimed, while its claimer lives on."""
    steps.enqueue_many(some(3))
    (held,) = steps.claim(queues=DEFAULT)
    with psycopg.connect(promin_dsn) as locked:
        locked.execute("LOCK TABLE wf_step_queue")
        failures = []

        def claim():
            try:
                steps.claim(queues=DEFAULT)
            except psycopg.OperationalError as error:
                failures.append(error)

        thread = threading.Thread(target=claim)
        thread.start()
        until(
            lambda: watch.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchall()
        )
        thread.join()
        assert len(failures) == 1
        # What such a claim leaves behind when it was committed.
        locked.execute(
            "UPDATE wf_step_queue SET claimed_by = %s, claimed_at = clock_timestamp(), deliveries = 1, lease = 1"
            " WHERE id = %s", [steps.worker_id, held.id + 1],
        )  # fmt: skip
    assert names(steps.claim(queues=DEFAULT, limit=9)) == ["s1", "s2"]
    steps.complete(held)


def test_dead_workers_are_forgotten(new_steps, watch):
    first, second = new_steps(), new_steps()
    first.claim(queues=DEFAULT)
    watch.execute("UPDATE wf_workers SET expires_at = clock_timestamp() - interval '2 days'")
    second.claim(queues=DEFAULT)
    second.heartbeat()
    assert watch.execute("SELECT id FROM wf_workers").fetchall() == [(second.worker_id,)]
