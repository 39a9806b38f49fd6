"""Where tasks stand, and what is kept of those that are finished, on both twins."""

from __future__ import annotations

from datetime import timedelta

import pytest
from _tasks import counts, new_steps, some, steps, watch

from promin_postgres.errors import NotFound
from promin_postgres.lookups import TaskStatus
from promin_postgres.steps import Completed, Failed

__all__ = ["new_steps", "steps", "watch"]

DEFAULT = ["default"]


def test_metrics_of_each_queue(steps, watch):
    assert steps.metrics() == {}
    steps.enqueue_many([*some(2), *some(1, workflow_id="x", queue="other", delay=60)])
    watch.execute("UPDATE wf_step_queue SET created_at = created_at - interval '1 hour' WHERE queue = 'default'")
    metrics = steps.metrics()
    assert timedelta(hours=1) <= metrics["default"].oldest_pending_age < timedelta(hours=2)
    for task in steps.claim(queues=DEFAULT, limit=2):
        steps.complete(task)
    metrics = steps.metrics()
    assert (metrics["default"].completed, metrics["default"].oldest_pending_age) == (2, None)
    assert metrics["other"].pending == 1


def test_prune_forgets_the_old_and_keeps_the_dead(new_steps, watch):
    queue = new_steps(max_deliveries=1)
    queue.enqueue_many(some(8))
    tasks = queue.claim(queues=DEFAULT, limit=8)
    for some_of_them in (tasks[:1], tasks[1:2], tasks[2:5], tasks[5:6]):
        queue.complete_many(Completed(task) for task in some_of_them)
    queue.fail(tasks[6], error="no")
    queue.fail(tasks[7], error="no", retry_in=0)
    assert queue.prune(older_than=3600) == 0
    for table in ("history", "batches"):
        watch.execute(f"UPDATE wf_step_{table} SET completed_at = completed_at - interval '2 hours'")
    watch.execute("UPDATE wf_step_batches SET completed_at = now() WHERE %s = ANY (ids)", [tasks[0].id])
    assert queue.prune(older_than=timedelta(hours=1), batch=2) == 6
    assert counts(queue) == (0, 0, 1, 0, 1)
    with pytest.raises(NotFound):
        queue.get(tasks[1].id)


def test_what_is_finished_is_found_one_by_one(steps, watch):
    """Whatever was settled with it: in batches whose ids overlap, in several queues, too large for a batch, failed."""
    steps.enqueue_many(some(6))
    large = steps.enqueue("w", "large", input="x" * 50_000)
    results = steps.enqueue("w", "results")
    other = steps.enqueue("v", "s", queue="other")
    tasks = {task.id: task for task in steps.claim(queues=[*DEFAULT, "other"], limit=20)}
    small = sorted(tasks)[:6]
    steps.complete_many(Completed(tasks[i], result=i, duration=2) for i in (small[0], small[5], large, other))
    steps.complete_many(
        [*(Completed(tasks[i]) for i in small[1:4]), Failed(tasks[small[4]], error="no"),
         Completed(tasks[results], result="y" * 50_000)]
    )  # fmt: skip
    for task_id, task in tasks.items():
        record = steps.get(task_id)
        status = TaskStatus.FAILED if task_id == small[4] else TaskStatus.COMPLETED
        result = task_id if task_id in (small[0], small[5], large, other) else None
        assert (record.id, record.status) == (task_id, status)
        assert (record.queue, record.step_name) == (task.queue, task.step_name)
        assert (record.input, record.created_at, record.claimed_by) == (task.input, task.created_at, steps.worker_id)
        assert record.result == ("y" * 50_000 if task_id == results else result)
        assert (record.error is not None) is (task_id == small[4])
        assert (record.duration == timedelta(seconds=2)) is (result is not None)
        assert record.claimed_at < record.completed_at
    assert watch.execute("SELECT count(*) FROM wf_step_batches").fetchone() == (3,)
    rows = watch.execute("SELECT id, status FROM wf_finished_tasks ORDER BY id").fetchall()
    assert rows == [(task_id, 5 if task_id == small[4] else 4) for task_id in sorted(tasks)]
    counts_of_both = steps.metrics()
    assert (counts_of_both["default"].completed, counts_of_both["default"].failed) == (7, 1)
    assert counts_of_both["other"].completed == 1


def test_what_was_completed_before_there_were_batches_is_found(steps, watch):
    watch.execute(
        "INSERT INTO wf_step_history (id, run, priority, status, attempt, deliveries, created_at, queue, workflow_id, "
        "step_name, result) VALUES (9, 1, 5, 4, 1, 1, now(), 'default', 'w', 's', '7')"
    )
    record = steps.get(9)
    assert (record.status, record.result) == (TaskStatus.COMPLETED, 7)
    assert steps.metrics()["default"].completed == 1
    assert watch.execute("SELECT id FROM wf_finished_tasks").fetchall() == [(9,)]
    assert steps.prune(older_than=0) == 1


def test_get_tells_where_a_task_stands(steps):
    task_id = steps.enqueue("w", "s", delay=60, concurrency_key="k", concurrency_limit=2, namespace="n")
    record = steps.get(task_id)
    assert (record.status, record.attempt, record.deliveries) == (TaskStatus.PENDING, 1, 0)
    assert (record.concurrency_key, record.concurrency_limit, record.namespace) == ("k", 2, "n")
    assert record.available_at - record.created_at > timedelta(seconds=59)
    other = steps.enqueue("w", "t")
    steps.claim(queues=DEFAULT)
    running = steps.get(other)
    assert (running.status, running.deliveries, running.claimed_by) == (TaskStatus.RUNNING, 1, steps.worker_id)
    with pytest.raises(NotFound):
        steps.get(2**40)
