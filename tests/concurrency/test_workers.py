"""Workers side by side, and workers whose connections break."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import ExitStack

import psycopg
import pytest
from _twins import Twin
from _waiting import until
from _workers import Gate, Kit, kit

from promin_postgres.migrator import migrate
from promin_postgres.steps import NewTask
from promin_postgres.testing import postgres_server
from promin_postgres.worker import Handler, TaskContext

__all__ = ["kit"]

SUITE_RUNS = "async"


def test_everything_is_done_once_when_connections_are_terminated(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    seen: Counter[int] = Counter()
    tasks = kit.enqueue(*["count"] * 4000)
    with (
        kit.working({"count": lambda context: seen.update([context.task.id])}, batch=50) as worker,
        psycopg.connect(kit.dsn, autocommit=True) as killer,
    ):
        for share in range(1, 6):
            until(lambda: len(seen) >= 600 * share)  # noqa: B023
            killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '/* steps/%'"
            )
        until(lambda: kit.execute("SELECT count(*) FROM wf_finished_tasks") == [(4000,)], timeout=40)
        until(lambda: worker.health().connected)
        late = kit.enqueue("count", run=2)
        until(lambda: kit.status(late[0]) == "COMPLETED")
        assert worker.health().lost == 0
    assert set(seen) == {*tasks, *late}
    # What was claimed by a statement whose answer was lost was not begun: nothing was done twice.
    assert max(seen.values()) == 1


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_worker_goes_on_when_the_server_restarts(twin: Twin, how: str) -> None:
    with postgres_server(server="own", durable=True) as server:
        dsn = server.create_database()
        migrate(dsn)
        kit = Kit(twin, dsn)
        seen: Counter[int] = Counter()
        with kit.queue:
            tasks = kit.enqueue(*["count"] * 3000)
            with kit.working({"count": lambda context: seen.update([context.task.id])}, batch=50) as worker:
                until(lambda: len(seen) > 500)
                server.restart() if how == "restart" else server.kill()
                until(lambda: _completed(kit) == 3000, timeout=40)
                until(lambda: worker.health().connected)
                late = kit.enqueue("count", run=2)
                until(lambda: kit.status(late[0]) == "COMPLETED")
        assert set(seen) == {*tasks, *late}


def _completed(kit: Kit) -> int:
    try:
        return int(kit.execute("SELECT count(*) FROM wf_finished_tasks")[0][0])
    except psycopg.OperationalError:
        return -1


def test_a_lease_that_runs_out_takes_everything_with_it(kit: Kit) -> None:
    """The row of the worker is gone, as after a partition: nothing of what it held is settled."""
    gate = Gate()
    (task,) = kit.enqueue("gate")
    with kit.working({"gate": gate, "other": lambda context: 1}, lease=0.6, concurrency=1) as worker:
        until(lambda: gate.entered == 1)
        before = worker.health().worker_id
        kit.execute("DELETE FROM wf_workers WHERE id = %s", before)
        until(lambda: gate.contexts[0].lost)
        assert gate.contexts[0].cancelled
        until(lambda: worker.health().worker_id not in (None, before))
        other = kit.queue.enqueue("other", "other")  # although the old handler is still there
        # The task is claimed anew, by the same worker under its new name, in another slot.
        until(lambda: gate.entered == 2)
        assert [context.task.deliveries for context in gate.contexts] == [1, 2]
        gate.opened.set()
        until(lambda: kit.status(task) == "COMPLETED")
        until(lambda: kit.status(other) == "COMPLETED")
        assert kit.queue.get(task).claimed_by == worker.health().worker_id
        assert worker.health().lost >= 1


@pytest.mark.parametrize(
    "tasks", [1000, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])], ids=["short", "soak"]
)
def test_no_more_run_of_a_key_than_its_limit_allows(kit: Kit, tasks: int) -> None:
    lock = threading.Lock()
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()

    def limited(context: TaskContext) -> None:
        key = context.task.concurrency_key or ""
        with lock:
            running[key] += 1
            most[key] = max(most[key], running[key])
        time.sleep(0.001)
        with lock:
            running[key] -= 1

    limits = {"one": 1, "three": 3, "many": 20}
    names = list(limits)
    kit.queue.enqueue_many(
        NewTask(
            workflow_id=f"w{number}",
            step_name="limited",
            concurrency_key=names[number % 3],
            concurrency_limit=limits[names[number % 3]],
        )
        for number in range(tasks)
    )
    with ExitStack() as workers:
        for _ in range(8):
            workers.enter_context(kit.working({"limited": limited}))
        until(lambda: kit.execute("SELECT count(*) FROM wf_finished_tasks") == [(tasks,)], timeout=800, every=0.1)
    assert all(most[name] <= limits[name] for name in names), most
    assert most["three"] == 3
    assert kit.execute("SELECT sum(taken)::int FROM wf_step_limits") == [(0,)]


@pytest.mark.soak
def test_an_idle_worker_begins_within_milliseconds(kit: Kit) -> None:
    begun: dict[str, float] = {}
    delays = []
    with kit.working({"quick": lambda context: begun.setdefault(context.task.workflow_id, time.monotonic())},
                     queues=["a", "b"], poll_interval=30) as worker:  # fmt: skip
        for number in range(30):
            until(lambda: _waits(kit, 2), every=0.02)
            name, asked = f"w{number}", time.monotonic()
            kit.queue.enqueue(name, "quick", queue="ab"[number % 2])
            until(lambda: name in begun, every=0.0005)  # noqa: B023
            delays.append(begun[name] - asked)
            until(lambda: worker.health().completed == number + 1)  # noqa: B023
    delays.sort()
    assert delays[15] < 0.1, delays  # a few milliseconds on a quiet machine
    assert delays[-1] < 5, "nobody waited for the poll"


def _waits(kit: Kit, doors: int) -> bool:
    """Whether the listener holds the doors of that many queues."""
    (row,) = kit.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return bool(row[0] >= doors)


def test_a_delayed_task_begins_at_its_moment(kit: Kit) -> None:
    begun: list[float] = []
    with kit.working({"later": lambda context: begun.append(time.monotonic())}, poll_interval=30):
        until(lambda: _waits(kit, 1))
        kit.queue.enqueue("first", "later")  # so that the worker looks again after the next one is there
        asked = time.monotonic()
        kit.queue.enqueue("w", "later", delay=0.5)
        kit.queue.enqueue("second", "later")
        until(lambda: len(begun) == 3)
    assert 0.5 <= begun[-1] - asked < 10


def test_a_timeout_frees_the_seat_of_a_key(kit: Kit) -> None:
    gate = Gate()
    for number in range(2):
        kit.queue.enqueue(f"w{number}", "gate", concurrency_key="k", concurrency_limit=1)
    with kit.working({"gate": Handler(gate, timeout=0.2)}) as worker:
        until(lambda: worker.health().failed == 2)
        gate.opened.set()
