"""Claimers are killed with -9 while they claim and settle: every task is done, and none has two outcomes."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from _waiting import until

from promin_postgres.steps import NewTask, PgStepQueue

ROOT = Path(__file__).parents[2]

CLAIMER = """
import sys
from promin_postgres.steps import Completed, Failed, PgStepQueue

dsn, fairness = sys.argv[1:]
with PgStepQueue(dsn, lease=2, max_deliveries=1000) as queue:
    outcomes = []
    while True:
        tasks = queue.settle_and_claim(outcomes, queues=["default"], limit=5, fairness=fairness)
        outcomes = [
            Failed(task, error="once", retry_in=0) if task.attempt == 1 and task.id % 7 == 0 else Completed(task)
            for task in tasks
        ]
        if tasks and tasks[0].id % 3 == 0:
            queue.release(tasks[-1])
            outcomes.pop()
"""
FAIRNESS = ["strict-priority", "round-robin", "weighted"]


@pytest.mark.parametrize(
    ("tasks", "kills"),
    [(600, 10), pytest.param(20_000, 100, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
    ids=["short", "soak"],
)
def test_claimers_killed_at_random(promin_dsn, tasks, kills):
    with psycopg.connect(promin_dsn, autocommit=True) as watch, PgStepQueue(promin_dsn) as queue:
        watch.execute("CREATE VIEW unfinished AS SELECT count(*) AS number FROM wf_step_queue")

        def unfinished():
            return watch.execute("SELECT number FROM unfinished").fetchone()[0]

        queue.enqueue_many(
            NewTask(
                workflow_id=f"w{n % 17}", step_name=f"s{n}", priority=n % 3,
                concurrency_key="k" if n % 5 == 0 else None, concurrency_limit=4 if n % 5 == 0 else None,
            )
            for n in range(tasks)
        )  # fmt: skip
        claimers = [start(promin_dsn, number) for number in range(3)]
        try:
            for number in range(1, kills + 1):
                # Wherever the work stands by then.
                until(lambda share=number: unfinished() <= tasks - tasks * share // (kills + 2), timeout=120)
                victim = claimers.pop(random.randrange(len(claimers)))
                victim.kill()
                victim.wait()
                claimers.append(start(promin_dsn, number))
            # Longer than a lease and a look for parked tasks nothing may take.
            until(lambda: unfinished() == 0, timeout=60)
        finally:
            for claimer in claimers:
                claimer.kill()
                claimer.wait()
        counts = queue.metrics()["default"]
        assert (counts.completed, counts.failed, counts.dead) == (tasks, 0, 0)
        assert watch.execute("SELECT count(*) FROM wf_finished_tasks WHERE attempt > 2").fetchone() == (0,)
        assert watch.execute("SELECT taken FROM wf_step_limits").fetchall() == [(0,)]
        # What a claimer held when it was killed is delivered once more: five tasks at most, and those to be settled.
        again = watch.execute("SELECT sum(deliveries - attempt) FROM wf_finished_tasks").fetchone()[0]
        assert again <= kills * 5


def start(dsn, number):
    return subprocess.Popen([sys.executable, "-c", CLAIMER, dsn, FAIRNESS[number % 3]], cwd=ROOT)
