"""A process that is killed in the middle of a run loses nothing that was checkpointed, and nothing of it runs twice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _fifty_steps as fifty
import pytest
from _waiting import until

from promin_postgres.database import Database
from promin_postgres.errors import WorkflowInFlight
from promin_postgres.worker import Worker
from promin_postgres.workflow import Durable, Workflow, workflow
from promin_postgres.workflow.storage import PostgresWorkflowStorage

CHECKPOINTS = """
    SELECT s.step_name
    FROM wf_workflow_steps s JOIN wf_workflows w ON w.id = s.workflow
    WHERE w.workflow_id = %s AND s.status = 4
"""
LAST_EXECUTION = "SELECT COALESCE(max(id), 0) FROM executions"
EXECUTED_SINCE = "SELECT step_name FROM executions WHERE workflow_id = %s AND id > %s"
EXECUTIONS = "SELECT step_name, count(*) FROM executions WHERE workflow_id = %s GROUP BY step_name"
EXECUTED_AFTER_CHECKPOINT = """
    SELECT e.step_name
    FROM executions e
    JOIN wf_workflows w ON w.workflow_id = e.workflow_id
    JOIN wf_workflow_steps s ON s.workflow = w.id AND s.step_name = e.step_name
    WHERE w.workflow_id = %s AND e.at > s.completed_at
"""


@pytest.fixture
def resumed(promin_db: Database, kind: str) -> Iterator[Workflow | Durable]:
    """The same workflow in this process, to take up what the killed one left."""
    with promin_db.connection() as connection:
        connection.execute(fifty.CREATE_LOG)
    with PostgresWorkflowStorage.create(promin_db) as storage:
        is_function = kind.endswith("function")
        yield fifty.build_function(storage, promin_db) if is_function else fifty.build(workflow, storage, promin_db)


@pytest.mark.parametrize(
    ("kind", "then"),
    [
        ("workflow", "run"),
        ("async-workflow", "run"),
        ("function", "run"),
        ("async-function", "run"),
        ("async-workflow", "worker"),
        ("function", "worker"),
        ("worker-function", "worker"),
        ("async-worker-function", "worker"),
    ],
)
@pytest.mark.parametrize(
    "times", [3, pytest.param(100, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])], ids=["short", "soak"]
)
def test_kill_9_at_a_random_moment(
    promin_dsn: str, promin_db: Database, resumed: Workflow | Durable, kind: str, then: str, times: int
) -> None:
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    for number in range(times):
        workflow_id = f"run {number} of seed {seed}"
        started = kill_midway(kind, promin_dsn, workflow_id, dice)
        checkpoints, last = standing(promin_db, workflow_id)
        assert len(checkpoints) < fifty.STEPS, f"{workflow_id}: killed too late to show anything"
        assert len(checkpoints) >= started - 5, f"{workflow_id}: {started} steps had started, five at a time at most"

        assert take_up(resumed, then, workflow_id) == fifty.expected(len(workflow_id))
        again = {step for (step,) in fetch(promin_db, EXECUTED_SINCE, workflow_id, last)}
        assert not again & checkpoints, f"{workflow_id}: executed again after their checkpoint"
        assert fetch(promin_db, EXECUTED_AFTER_CHECKPOINT, workflow_id) == [], workflow_id
        executions = fetch(promin_db, EXECUTIONS, workflow_id)
        assert len(executions) == fifty.STEPS
        assert sum(count > 1 for _, count in executions) <= 4, f"{workflow_id}: more than were under way at the kill"


def kill_midway(kind: str, dsn: str, workflow_id: str, dice: random.Random) -> int:
    """Start the run in another process and kill it at a random moment; returns how many steps had started."""
    command = [sys.executable, fifty.__file__, kind, dsn, workflow_id]
    wanted = dice.randrange(1, fifty.STEPS - 4)
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(fifty.__file__).parent) as process:
        assert process.stdout is not None
        try:
            for _ in range(wanted):
                assert process.stdout.readline(), f"{workflow_id}: the process ended by itself"
            time.sleep(dice.uniform(0, 0.004))  # no condition: a moment anywhere in the life of a step is wanted
        finally:
            process.kill()
    return wanted


def standing(db: Database, workflow_id: str) -> tuple[set[str], int]:
    """What is checkpointed, and the last execution logged: a later one of these steps is a defect.

    The server may still be writing what the killed process had sent; that is told apart by the server's clock.
    """
    checkpoints = {step for (step,) in fetch(db, CHECKPOINTS, workflow_id)}
    ((last,),) = fetch(db, LAST_EXECUTION)
    return checkpoints, last


def take_up(resumed: Workflow | Durable, then: str, workflow_id: str) -> Any:
    """Run again, as soon as the server has noticed that the other process is gone; or let a worker of ours find it."""
    if then == "worker":
        with Worker(resumed.storage.db, workflows=[resumed], **(fifty.WORKER | {"lease": 60.0})):
            return resumed.get_handle(workflow_id).result(timeout=60)

    def run() -> Any:
        try:
            return resumed.run(workflow_id=workflow_id, input="not looked at: the recorded input counts")
        except WorkflowInFlight:
            return None

    return until(run)


def fetch(db: Database, query: Any, *parameters: Any) -> list[Any]:
    with db.connection() as connection:
        return connection.execute(query, parameters).fetchall()
