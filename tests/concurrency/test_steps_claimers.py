"""Many claimers at once: each task to one of them, none lost, no key over its limit, nobody in a deadlock."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from _tasks import from_start, kill, new_steps, some, steps, watch
from _waiting import until

from promin_postgres.steps import Completed, Failed, NewTask

__all__ = ["new_steps", "steps", "watch"]

SUITE_RUNS = "async"

CLAIMERS = 8
FAIRNESS = ["strict-priority", "round-robin", "weighted"]
QUEUES = ["default", "other"]


def crowd(work: Callable[[int], None], size: int = CLAIMERS) -> None:
    """Run `work` in as many threads, and raise what one of them raised."""
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - told at the end
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=[number]) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("shared", [False, True], ids=["each his own", "one shared"])
@pytest.mark.parametrize("fairness", FAIRNESS)
def test_each_task_goes_to_one_claimer(new_steps: Any, fairness: str, shared: bool) -> None:
    one = new_steps()
    dice = random.Random(1)
    ids = one.enqueue_many(
        NewTask(workflow_id=f"w{n % 37}", step_name=f"s{n}", priority=dice.randrange(11), queue=QUEUES[n % 2])
        for n in range(1_200)
    )
    claimed: list[int] = []
    lost: list[int] = []

    def work(number: int) -> None:
        queue = one if shared else new_steps()
        outcomes: list[Completed] = []
        limit = 1 + 3 * number
        while tasks := queue.settle_and_claim(outcomes, queues=QUEUES, limit=limit, fairness=fairness):
            claimed.extend(task.id for task in tasks)
            outcomes = [Completed(task) for task in tasks[1:]]
            lost.extend(queue.complete_many([Completed(tasks[0].id)]))

    crowd(work)
    assert Counter(claimed) == Counter(ids)
    assert lost == []
    assert one.metrics()["default"].completed == one.metrics()["other"].completed == 600


@pytest.mark.parametrize(
    "number", [240, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])], ids=["short", "soak"]
)
def test_no_key_is_over_its_limit(new_steps: Any, watch: psycopg.Connection[Any], number: int) -> None:
    """Counted by those who run: they are in from after the claim until before the settlement."""
    steps = new_steps()
    limits = {"a": 1, "b": 3, "c": 7}
    keys = [*limits, None]
    steps.enqueue_many(
        NewTask(
            workflow_id=f"w{n % 11}", step_name=f"s{n}", queue=QUEUES[n % 2], priority=n % 3,
            concurrency_key=(key := keys[n % 4]), concurrency_limit=key and limits[key],
        )
        for n in range(number)
    )  # fmt: skip
    running: Counter[str | None] = Counter()
    most: Counter[str | None] = Counter()
    lock = threading.Lock()

    def work(claimer: int) -> None:
        dice = random.Random(claimer)
        queue = new_steps()
        outcomes: list[Any] = []
        done = False
        while not done:
            tasks = queue.settle_and_claim(
                outcomes, queues=QUEUES, limit=dice.randint(1, 12), fairness=FAIRNESS[claimer % 3]
            )
            with lock:
                for task in tasks:
                    running[task.concurrency_key] += 1
                    most[task.concurrency_key] = max(most[task.concurrency_key], running[task.concurrency_key])
            with lock:
                for task in tasks:
                    running[task.concurrency_key] -= 1
            if tasks and dice.random() < 0.1:
                queue.release(tasks.pop())
            outcomes = [
                Completed(task) if dice.random() < 0.9 or task.attempt > 3 else Failed(task, error="e", retry_in=0)
                for task in tasks
            ]
            if not outcomes:
                metrics = queue.metrics().values()
                done = sum(counts.pending + counts.running for counts in metrics) == 0

    crowd(work)
    assert all(0 < most[key] <= limit for key, limit in limits.items())
    assert sum(counts.completed for counts in steps.metrics().values()) == number
    assert watch.execute("SELECT sum(taken) FROM wf_step_limits").fetchone() == (0,)


def test_nothing_stays_parked_when_claimers_die_with_their_seats(new_steps: Any, watch: Any) -> None:
    steps = new_steps()
    steps.enqueue_many(some(40, concurrency_key="k", concurrency_limit=3))
    done = 0
    for _ in range(5):
        mortal = new_steps()
        tasks = mortal.claim(queues=["default"], limit=10)
        done += len(tasks[1:])
        assert len(tasks) == 3
        mortal.complete_many(Completed(task) for task in tasks[1:])
        mortal.claim(queues=["default"], limit=10)
        kill(watch, mortal)

    def finish() -> bool:
        tasks = from_start(steps).claim(queues=["default"], limit=10)
        assert len(tasks) <= 3
        assert steps.complete_many(Completed(task) for task in tasks) == []
        return bool(steps.metrics()["default"].completed == 40)

    until(finish)
    assert done == 10
    assert watch.execute("SELECT taken FROM wf_step_limits").fetchone() == (0,)


def test_settlements_in_any_order_do_not_block_each_other(new_steps: Any, watch: Any) -> None:
    """Batches whose tasks share keys, in different orders: the seats are locked in one."""
    number = 480
    one = new_steps()
    keys = [f"k{n}" for n in range(12)]
    one.enqueue_many(
        NewTask(workflow_id="w", step_name=f"s{n}", concurrency_key=keys[n % 12], concurrency_limit=1_000)
        for n in range(number)
    )
    tasks = one.claim(queues=["default"], limit=number)
    before = watch.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    begin = threading.Barrier(CLAIMERS)

    def settle(claimer: int) -> None:
        dice = random.Random(claimer)
        mine = tasks[claimer::CLAIMERS]
        dice.shuffle(mine)
        begin.wait()
        while mine:
            batch, mine = mine[:15], mine[15:]
            half = len(batch) // 2
            lost = one.complete_many(
                [
                    *(Completed(task) for task in batch[:half]),
                    *(Failed(t, error="e", retry_in=60) for t in batch[half:]),
                ]
            )
            assert lost == []

    crowd(settle)
    watch.execute("SELECT pg_stat_clear_snapshot()")
    after = watch.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert after == before
    assert watch.execute("SELECT sum(taken) FROM wf_step_limits").fetchone() == (0,)


WORKERS = """
CREATE VIEW {name} AS
SELECT * FROM kept WHERE (SELECT pg_sleep(0) FROM pg_advisory_xact_lock_shared(1)) IS NOT NULL
"""


@pytest.mark.parametrize("call", ["claim", "requeue_stuck"])
def test_who_begins_to_live_during_a_look_is_not_taken_for_dead(
    new_steps: Any, promin_dsn: str, watch: psycopg.Connection[Any], call: str
) -> None:
    """A look that is under way does not see him among the living, and meets a task that he was given meanwhile."""
    slow, gone = new_steps(), new_steps()
    slow.enqueue("w", "s")
    slow.claim(queues=["nothing"])
    (task,) = gone.claim(queues=["default"])
    kill(watch, gone)
    # The workers are read through a view that waits at a gate, after the snapshot was taken.
    watch.execute("ALTER TABLE wf_workers RENAME TO kept")
    watch.execute(WORKERS.format(name="wf_workers"))
    found: list[Any] = []
    with psycopg.connect(promin_dsn, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(1)")
        look = {"claim": lambda: from_start(slow).claim(queues=["default"]), "requeue_stuck": slow.requeue_stuck}[call]
        thread = threading.Thread(target=lambda: found.append(look()))
        thread.start()
        until(lambda: waits(watch))
        # The fresh one lives, and takes the dead one's task over, while the other looks.
        watch.execute("INSERT INTO kept (id, expires_at) VALUES ('fresh', now() + interval '1 hour')")
        watch.execute(
            "UPDATE wf_step_queue SET claimed_by = 'fresh', claimed_at = clock_timestamp(), lease = lease + 1"
        )
        gate.execute("SELECT pg_advisory_unlock(1)")
        thread.join()
    assert found == [[] if call == "claim" else 0]
    assert slow.get(task.id).claimed_by == "fresh"


def waits(watch: psycopg.Connection[Any]) -> bool:
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = ("
    return bool(watch.execute(waiting + "SELECT oid FROM pg_database WHERE datname = current_database())").fetchall())


def test_a_task_taken_over_while_it_waits_for_a_seat_takes_none(
    new_steps: Any, promin_dsn: str, watch: psycopg.Connection[Any]
) -> None:
    slow = new_steps()
    slow.enqueue_many(some(2, concurrency_key="k", concurrency_limit=1))
    (first,) = slow.claim(queues=["default"])
    slow.complete(first)
    found: list[Any] = []
    with psycopg.connect(promin_dsn) as gate:
        gate.execute("SELECT 1 FROM wf_step_limits FOR UPDATE")
        thread = threading.Thread(target=lambda: found.append(from_start(slow).claim(queues=["default"])))
        thread.start()
        until(lambda: claimed_and_waits(watch))
        with psycopg.connect(promin_dsn, autocommit=True) as taker, pytest.raises(psycopg.errors.LockNotAvailable):
            taker.execute("SELECT 1 FROM wf_step_queue FOR UPDATE NOWAIT")
    thread.join()
    assert [task.step_name for task in found[0]] == ["s1"]
    assert watch.execute("SELECT taken FROM wf_step_limits").fetchone() == (1,)


def claimed_and_waits(watch: psycopg.Connection[Any]) -> bool:
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND query LIKE '/* steps/admit */%'"
    )
    return bool(watch.execute(waiting).fetchall())
