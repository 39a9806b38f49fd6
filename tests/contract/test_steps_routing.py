"""Tasks that belong to runs are claimed by who knows their definition, and by nobody else."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from _tasks import names, new_core, new_steps, some, steps, watch

from promin_postgres.steps import NewTask

__all__ = ["new_core", "new_steps", "steps", "watch"]

DEFAULT = ["default"]
FAIRNESS = ["strict-priority", "round-robin", "weighted"]


def belongs(watch: psycopg.Connection[Any], step: str, definition: str) -> None:
    watch.execute(
        "INSERT INTO wf_step_queue (workflow_id, step_name, queue, priority, definition) "
        "VALUES ('run', %s, 'default', 5, %s)",
        [step, definition],
    )


@pytest.mark.parametrize("fairness", FAIRNESS)
def test_each_gets_what_it_knows(new_core: Any, steps: Any, watch: Any, fairness: str) -> None:
    steps.enqueue_many(some(2))
    belongs(watch, "a", "workflow:w@1")
    belongs(watch, "b", "workflow:w@2")
    assert new_core(steps=["x"], definitions=["workflow:w@3"]).claim(DEFAULT, 10, fairness) == []
    (task,) = new_core(steps=["s1"], definitions=["workflow:w@1"]).claim(DEFAULT, 1, "weighted")
    assert (task.step_name, task.definition) == ("s1", None)
    (task,) = new_core(steps=[], definitions=["workflow:w@1"]).claim(DEFAULT, 10, fairness)
    assert (task.workflow_id, task.step_name, task.definition) == ("run", "a", "workflow:w@1")
    (task,) = new_core(steps=None, definitions=[]).claim(DEFAULT, 10, fairness)
    assert (task.step_name, task.definition) == ("s0", None)
    (task,) = new_core(steps=["s0"], definitions=["workflow:w@1", "workflow:w@2"]).claim(DEFAULT, 10, fairness)
    assert task.step_name == "b"


def test_a_handler_of_the_same_name_is_not_called_for_a_run(new_core: Any, watch: Any) -> None:
    belongs(watch, "charge", "workflow:w@1")
    assert new_core(steps=["charge", "workflow:w@1"]).claim(DEFAULT, 10, "strict-priority") == []


def test_the_queue_hands_out_no_steps_of_runs(steps: Any, watch: Any) -> None:
    belongs(watch, "a", "workflow:w@1")
    steps.enqueue_many(some(1))
    assert names(steps.claim(queues=DEFAULT, limit=10)) == ["s0"]
    assert steps.metrics()["default"].pending == 1


def test_what_is_delivered_too_often_is_not_buried(new_core: Any, steps: Any, watch: Any) -> None:
    belongs(watch, "a", "workflow:w@1")
    core = new_core(steps=[], definitions=["workflow:w@1"])
    for deliveries in range(1, 5):
        (task,) = core.claim(DEFAULT, 10, "strict-priority")
        assert task.deliveries == deliveries
        core.requeue_stuck(claimed_by=core.me)


def test_what_waits_for_somebody_else_is_no_reason_to_look_again(new_core: Any, steps: Any, watch: Any) -> None:
    belongs(watch, "a", "workflow:w@1")
    watch.execute("UPDATE wf_step_queue SET gate = 1")
    core = new_core(steps=[], definitions=["workflow:w@1"])
    assert core.claim(DEFAULT, 10, "strict-priority") == []
    assert core.next_in is None
    steps.enqueue("w", "later", delay=60)
    core = new_core(steps=[], definitions=["workflow:w@1"])
    assert core.claim(DEFAULT, 10, "strict-priority") == []
    assert 50 < core.next_in <= 60


def test_a_task_and_a_step_of_a_run_may_bear_the_same_name(steps: Any, watch: Any) -> None:
    belongs(watch, "a", "workflow:w@1")
    task = steps.enqueue("run", "a")
    assert steps.enqueue("run", "a") == task
    assert steps.enqueue_many([NewTask(workflow_id="run", step_name="a")]) == [task]
