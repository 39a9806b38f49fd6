"""Workers in processes of their own: told to end, killed, stopped, cut off."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from _waiting import until
from _workers import spawn

from promin_postgres.steps import NewTask, PgStepQueue

SUITE_RUNS = "sync"

WORKER = """
import asyncio, json, os, sys, time, psycopg
from promin_postgres.worker import AsyncWorker, Worker

dsn, kind, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
log = psycopg.connect(dsn, autocommit=True)

def note(context):
    log.execute("INSERT INTO handled (task, pid) VALUES (%s, %s)", [context.task.id, os.getpid()])

def quick(context):
    note(context)

def slow(context):
    note(context)
    time.sleep(context.input)
    return "slept"

def stubborn(context):
    note(context)
    while True:
        time.sleep(0.05)

def poison(context):
    note(context)
    os._exit(7)

async def blocking(context):  # a loop that it blocks, under AsyncWorker
    slow(context)

handlers = {"quick": quick, "slow": slow, "stubborn": stubborn, "poison": poison}
if kind == "sync":
    Worker(dsn, handlers=handlers, **options).run()
else:
    asyncio.run(AsyncWorker(dsn, handlers=handlers | {"blocking": blocking}, **options).run())
log.close()
print("ended")
"""


class Fleet:
    """Processes of workers on one database."""

    def __init__(self, dsn: str, kind: str) -> None:
        self.dsn = dsn
        self.kind = kind
        self.queue = PgStepQueue(dsn)
        self.watch = psycopg.connect(dsn, autocommit=True)
        self.watch.execute("CREATE TABLE handled (task bigint, pid int, at timestamptz DEFAULT clock_timestamp())")
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, **options: Any) -> subprocess.Popen[str]:
        process = spawn(WORKER, self.dsn, self.kind, json.dumps({"lease": 1.5, "poll_interval": 0.2, **options}))
        self.processes.append(process)
        return process

    def handled(self, task: int | None = None) -> int:
        (row,) = self.watch.execute(
            "SELECT count(*) FROM handled WHERE task = %s OR %s::bigint IS NULL", [task, task]
        ).fetchall()
        return int(row[0])

    def enqueue(self, step: str, **fields: Any) -> int:
        return self.queue.enqueue(f"{step}-{time.monotonic_ns()}", step, **fields)

    def status(self, task: int) -> str:
        return self.queue.get(task).status.name

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        self.watch.close()
        self.queue.close()


@pytest.fixture(params=["sync", "async"])
def fleet(request: pytest.FixtureRequest, promin_dsn: str) -> Iterator[Fleet]:
    fleet = Fleet(promin_dsn, request.param)
    try:
        yield fleet
    finally:
        fleet.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_runs_end(fleet: Fleet, number: signal.Signals) -> None:
    running = fleet.enqueue("slow", input=0.7)
    process = fleet.start(concurrency=1)
    until(lambda: fleet.handled(running))
    waiting = fleet.enqueue("quick")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "ended\n", "")
    assert (fleet.status(running), fleet.status(waiting)) == ("COMPLETED", "PENDING")
    assert fleet.watch.execute("SELECT count(*) FROM wf_workers").fetchall() == [(0,)]


@pytest.mark.soak
def test_what_does_not_end_in_time_is_given_back(fleet: Fleet) -> None:
    task = fleet.enqueue("stubborn")
    process = fleet.start(shutdown_timeout=0.3)
    until(lambda: fleet.handled(task))
    process.terminate()
    if fleet.kind == "sync":  # asyncio.run waits for threads of its own executor only, and these are none
        assert process.wait(20) == 0
    assert process.wait(20) == 0
    record = fleet.queue.get(task)
    assert (record.status.name, record.deliveries) == ("PENDING", 0)


def test_a_second_signal_ends_the_process_at_once(fleet: Fleet) -> None:
    task = fleet.enqueue("stubborn")
    process = fleet.start(shutdown_timeout=60)
    until(lambda: fleet.handled(task))
    process.terminate()
    until(lambda: process.poll() is not None or process.send_signal(signal.SIGTERM), every=0.1)
    assert process.returncode == -signal.SIGTERM
    assert fleet.status(task) == "RUNNING"


def test_another_worker_takes_over_what_a_killed_one_held(fleet: Fleet) -> None:
    tasks = [fleet.enqueue("slow", input=30) for _ in range(3)]
    victim = fleet.start()
    until(lambda: fleet.handled() == 3)
    fleet.watch.execute("UPDATE wf_step_queue SET input = '0'")
    heir = fleet.start()
    victim.kill()
    killed = time.monotonic()
    until(lambda: all(fleet.status(task) == "COMPLETED" for task in tasks))
    assert time.monotonic() - killed < 25  # the lease is 1.5 seconds
    assert {fleet.handled(task) for task in tasks} == {2}
    assert [fleet.queue.get(task).deliveries for task in tasks] == [2, 2, 2]
    assert heir.poll() is None


def test_a_worker_that_was_stopped_for_longer_than_its_lease_settles_nothing(fleet: Fleet) -> None:
    task = fleet.enqueue("slow", input=2)
    process = fleet.start()
    until(lambda: fleet.handled(task))
    process.send_signal(signal.SIGSTOP)
    until(lambda: not fleet.watch.execute("SELECT 1 FROM wf_workers WHERE expires_at > now()").fetchall())
    ours = PgStepQueue(fleet.dsn)
    with ours:
        (claimed,) = until(lambda: ours.claim(queues=["default"]))
        assert (claimed.id, claimed.deliveries) == (task, 2)
        time_of_ours = time.monotonic()
        process.send_signal(signal.SIGCONT)
        # The old worker is there again, under another name: it takes something new.
        other = fleet.enqueue("quick")
        until(lambda: fleet.status(other) == "COMPLETED")
        until(lambda: time.monotonic() - time_of_ours > 2.5)  # its old handler has ended by now
        assert fleet.status(task) == "RUNNING"
        ours.complete(claimed, result="ours")
    assert fleet.queue.get(task).result == "ours"
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert "the lease ran out" in err


def test_a_task_that_kills_its_workers_is_dead_lettered(fleet: Fleet) -> None:
    poison = fleet.enqueue("poison")
    for deaths in range(1, 4):
        process = fleet.start(max_deliveries=3)
        until(lambda: process.poll() is not None)  # noqa: B023
        assert process.returncode == 7
        assert fleet.handled(poison) == deaths
    survivor = fleet.start(max_deliveries=3)
    until(lambda: fleet.status(poison) == "DEAD")
    harmless = fleet.enqueue("quick")
    until(lambda: fleet.status(harmless) == "COMPLETED")
    assert survivor.poll() is None
    record = fleet.queue.get(poison)
    assert record.deliveries == 3
    assert record.error is not None
    assert record.error.error_type == "Unsettled"


def test_handlers_that_block_for_longer_than_the_lease_keep_it(fleet: Fleet) -> None:
    """Threads that sleep; and a coroutine that blocks the event loop."""
    step = "slow" if fleet.kind == "sync" else "blocking"
    task = fleet.enqueue(step, input=4)
    fleet.start(concurrency=1)
    until(lambda: fleet.handled(task))
    fleet.start(concurrency=1)
    until(lambda: fleet.status(task) == "COMPLETED")
    assert fleet.handled(task) == 1
    assert fleet.queue.get(task).deliveries == 1


@pytest.mark.parametrize(
    ("tasks", "kills"),
    [(600, 4), pytest.param(20_000, 60, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
    ids=["short", "soak"],
)
def test_workers_killed_at_random(fleet: Fleet, tasks: int, kills: int) -> None:
    """Everything is done, and a kill costs at most what its worker had in its hands."""
    fleet.queue.enqueue_many(NewTask(workflow_id=f"w{number}", step_name="quick") for number in range(tasks))
    for _ in range(3):
        fleet.start(max_deliveries=100, batch=20)
    for number in range(kills):
        share = tasks * (number + 1) // (kills + 1)
        until(lambda: fleet.handled() >= share, timeout=120)  # noqa: B023
        victim = fleet.processes[number]
        victim.kill()
        fleet.start(max_deliveries=100, batch=20)
    until(lambda: fleet.queue.metrics()["default"].completed == tasks, timeout=120)
    rows = fleet.watch.execute("SELECT count(DISTINCT task), count(*) FROM handled").fetchall()
    assert rows[0][0] == tasks
    assert rows[0][1] <= tasks + kills * (8 + 2 * 20)
