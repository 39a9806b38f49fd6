"""Workers are killed with -9 while they drive runs, and so is the server: every run completes as if undisturbed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from _servers import package_environment
from _ten_steps import CREATE, GRAPH, expected, ten_steps
from _waiting import until

from promin_postgres.migrator import migrate
from promin_postgres.testing import postgres_server
from promin_postgres.workflow import PostgresWorkflowStorage, workflow

PROGRAM = Path(__file__).parents[1] / "_ten_steps.py"


def start(dsn: str, kind: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), kind, dsn], env=package_environment(), stderr=subprocess.DEVNULL
    )


def ask(dsn: str, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(text.encode()).fetchall()


def ended(dsn: str) -> int:
    ((number,),) = ask(dsn, "SELECT count(*) FROM wf_workflows WHERE completed_at IS NOT NULL")
    return int(str(number))


@pytest.mark.parametrize(
    ("runs", "kills", "restarts"),
    [(60, 6, 1), pytest.param(2_000, 100, 3, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])],
    ids=["short", "soak"],
)
def test_workers_and_the_server_killed_at_random(runs: int, kills: int, restarts: int) -> None:
    chance = random.Random(5)
    with postgres_server(server="own", durable=True, settings={"synchronous_commit": "on"}) as server:
        dsn = server.create_database()
        migrate(dsn)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(CREATE.encode())
        with PostgresWorkflowStorage.create(dsn) as storage:
            ten = ten_steps(workflow, storage)
            for number in range(runs):
                ten.start(workflow_id=f"w{number}", input=number)
        began = time.monotonic()
        workers = [start(dsn, kind) for kind in ("sync", "async", "sync")]
        crashes = {kills * (number + 1) // (restarts + 1) for number in range(restarts)}
        try:
            for number in range(1, kills + 1):
                # Wherever the work stands by then; some die before they have done anything.
                until(lambda share=number: ended(dsn) >= runs * (share - 1) // (kills + 1), timeout=240)  # type: ignore[misc]
                victim = workers.pop(chance.randrange(len(workers)))
                victim.kill()
                victim.wait()
                if number in crashes:
                    server.restart("immediate")
                workers.append(start(dsn, chance.choice(["sync", "async"])))
            until(lambda: ended(dsn) == runs, timeout=240)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        print(f"{runs} runs, {kills} kills, {restarts} restarts: {time.monotonic() - began:.0f} s")
        found = ask(dsn, "SELECT workflow_id, status, remaining, result::text FROM wf_workflows")
        assert sorted(found) == sorted((f"w{number}", 4, 0, str(expected(number))) for number in range(runs))
        steps = ask(dsn, "SELECT status, pending_deps, count(*) FROM wf_workflow_steps GROUP BY 1, 2")
        assert steps == [(4, 0, runs * len(GRAPH))]
        # No checkpoint was written twice, and of each step one attempt counted.
        assert ask(dsn, "SELECT count(*), count(DISTINCT (workflow, step_name)) FROM checkpoints") == [
            (runs * len(GRAPH), runs * len(GRAPH))
        ]
        assert ask(dsn, "SELECT count(*) FROM wf_step_attempts WHERE status = 4") == [(runs * len(GRAPH),)]
        assert ask(dsn, "SELECT count(*), count(DISTINCT workflow_id) FROM ledger") == [(runs, runs)]
        assert ask(dsn, "SELECT count(*) FROM wf_step_queue") == [(0,)]
