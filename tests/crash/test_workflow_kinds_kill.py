"""kill -9 in the middle of steps of every kind: nothing that was checkpointed runs twice, transactional steps once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _all_kinds as kinds
import pytest
from _waiting import until

from promin_postgres.database import Database
from promin_postgres.errors import WorkflowInFlight
from promin_postgres.workflow import Workflow, workflow
from promin_postgres.workflow.storage import PostgresWorkflowStorage

AFTER_CHECKPOINT = """
    SELECT e.what
    FROM executions e
    JOIN wf_workflows w ON w.workflow_id = e.workflow_id
    JOIN wf_workflow_steps s ON s.workflow = w.id
    LEFT JOIN wf_workflow_step_tasks t ON t.workflow = s.workflow AND t.step_name = s.step_name AND t.task_index >= 0
    WHERE e.workflow_id LIKE %s
      AND (e.what = s.step_name AND e.at > s.completed_at
           OR e.what = s.step_name || '[' || t.task_index || ']' AND e.at > t.completed_at)
"""
PAYMENTS = "SELECT step_name, count(*) FROM payments WHERE workflow_id = %s GROUP BY step_name"
TWICE = """
    SELECT what, count(*)
    FROM executions
    WHERE workflow_id LIKE %s
    GROUP BY what
    HAVING count(*) > 1
"""


@pytest.fixture
def resumed(promin_db: Database) -> Iterator[Workflow]:
    """The same workflow in this process, to take up what the killed one left."""
    with promin_db.connection() as connection:
        connection.execute(kinds.CREATE)
    with PostgresWorkflowStorage.create(promin_db) as storage:
        yield kinds.build(workflow, storage, kinds.Log(promin_db, tell=False))


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    "times", [4, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])], ids=["short", "soak"]
)
def test_kill_9_in_the_middle_of_any_step(
    promin_dsn: str, promin_db: Database, resumed: Workflow, kind: str, times: int
) -> None:
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    for number in range(times):
        workflow_id = f"run {number} of seed {seed}"
        kill_midway(kind, promin_dsn, workflow_id, dice)
        assert take_up(resumed, workflow_id) == kinds.expected()
        paid = dict(fetch(promin_db, PAYMENTS, workflow_id))
        assert paid == {f"pay {n}": 1 for n in range(kinds.PAYMENTS)}, f"{workflow_id}: exactly once"
        assert fetch(promin_db, AFTER_CHECKPOINT, f"{workflow_id}%") == [], f"{workflow_id}: after its checkpoint"
        again = dict(fetch(promin_db, TWICE, f"{workflow_id}%"))
        assert sum(count - 1 for count in again.values()) <= 25, f"{workflow_id}: {again}"
        assert "no" not in again


def kill_midway(kind: str, dsn: str, workflow_id: str, dice: random.Random) -> None:
    """Start the run in another process and kill it at a random moment."""
    command = [sys.executable, kinds.__file__, kind, dsn, workflow_id]
    wanted = dice.randrange(1, kinds.EXECUTIONS)
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(kinds.__file__).parent) as process:
        assert process.stdout is not None
        try:
            for _ in range(wanted):
                assert process.stdout.readline(), f"{workflow_id}: the process ended by itself"
            time.sleep(dice.uniform(0, 0.006))  # no condition: a moment anywhere in the life of a step is wanted
        finally:
            process.kill()


def take_up(resumed: Workflow, workflow_id: str) -> Any:
    """Run again, as soon as the server has noticed that the other process is gone."""

    def run() -> Any:
        try:
            return resumed.run(workflow_id=workflow_id, wait=60)
        except WorkflowInFlight:
            return None

    return until(run)


def fetch(db: Database, query: Any, *parameters: Any) -> list[Any]:
    with db.connection() as connection:
        return connection.execute(query, parameters).fetchall()
