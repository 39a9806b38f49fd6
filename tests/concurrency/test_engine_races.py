"""Workers, signals, children and cancellations at once: nothing is lost, nothing comes twice, nobody deadlocks."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from _engine import Hand, Task, drain, hands
from _storage import open_storage, query
from _twins import Twin
from _waiting import until

from promin_postgres.database import AsyncDatabase, Database
from promin_postgres.errors import LeaseLost, WorkflowCancelled
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow.storage import StepSpec

SUITE_RUNS = "async"
ONE = (StepSpec(step_name="s"),)
DAG = (
    StepSpec(step_name="a"),
    *(StepSpec(step_name=f"b{number}", depends_on=("a",)) for number in range(3)),
    StepSpec(step_name="join", depends_on=("b0", "b1", "b2")),
    StepSpec(step_name="last", depends_on=("join", "a")),
)
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
WAITERS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '/* workflow/%'
"""
HELD_BACK = """
SELECT count(*) FROM wf_step_queue q
JOIN wf_workflow_signals g ON g.workflow = q.workflow AND g.run = q.run AND q.waits_for = 'signal:' || g.signal_name
WHERE q.gate = 1 AND g.consumed < cardinality(g.payloads)
"""


@pytest.fixture
def make_hand(promin_dsn: str) -> Iterator[Callable[..., Hand]]:
    with hands(promin_dsn) as make:
        yield make


@pytest.fixture
def storage(twin: Twin, promin_dsn: str) -> Iterator[Any]:
    """With a connection for each of sixteen workers."""
    with (
        twin.pick(Database, AsyncDatabase).connect(promin_dsn, max_size=18) as db,
        open_storage(twin, db) as storage,
    ):
        yield storage


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """All at once; what each returns."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def start_all(storage: Any, runs: int, steps: Sequence[StepSpec], **fields: Any) -> None:
    def some(first: int) -> None:
        for number in range(first, runs, 4):
            storage.start_run(f"w{number}", workflow_name="n", steps=steps, **fields)

    together([lambda first=first: some(first) for first in range(4)])


def deadlocks(dsn: str) -> int:
    return int(query(dsn, DEADLOCKS)[0][0])


@pytest.mark.parametrize("runs", [60, pytest.param(5_000, marks=pytest.mark.soak)])
def test_joins_under_sixteen_workers(storage: Any, make_hand: Any, promin_dsn: str, runs: int) -> None:
    start_all(storage, runs, DAG)
    made = [make_hand(f"hand{number}") for number in range(16)]

    def work(number: int) -> Counter[tuple[str, str]]:
        chance, seen = random.Random(number), Counter[tuple[str, str]]()
        held: list[Task] = []
        while True:
            held += made[number].claim(chance.randint(1, 12))
            if not held:
                if not query(promin_dsn, "SELECT 1 FROM wf_step_queue LIMIT 1"):
                    return seen
                continue
            chance.shuffle(held)
            size = chance.randint(1, 20)
            batch, held = held[:size], held[size:]
            seen.update((task.workflow_id, task.step_name) for task in batch)
            outcomes = [made[number].done(task, f'"{task.step_name}"') for task in batch]
            assert storage.settle_steps(outcomes) == set()

    seen: Counter[tuple[str, str]] = Counter()
    for one in together([lambda number=number: work(number) for number in range(16)]):
        seen.update(one)
    assert len(seen) == len(DAG) * runs, "no join is lost"
    assert set(seen.values()) == {1}, "and none comes twice"
    assert query(promin_dsn, "SELECT status, count(*) FROM wf_workflows GROUP BY 1") == [(4, runs)]
    assert query(promin_dsn, "SELECT count(*) FROM wf_step_attempts") == [(len(DAG) * runs,)]
    assert query(promin_dsn, "SELECT status, pending_deps, count(*) FROM wf_workflow_steps GROUP BY 1, 2") == [
        (4, 0, len(DAG) * runs)
    ]
    assert deadlocks(promin_dsn) == 0


@pytest.mark.parametrize("races", [100, pytest.param(5_000, marks=pytest.mark.soak)])
def test_a_signal_and_the_wait_for_it(storage: Any, make_hand: Any, promin_dsn: str, races: int) -> None:
    start_all(storage, races, ONE)
    hand = make_hand()
    tasks = {task.workflow_id: task for task in hand.claim(races)}
    order = [f"w{number}" for number in range(races)]

    def deliver(first: int) -> int:
        return sum(storage.deliver_signal(workflow_id, "go", workflow_id) for workflow_id in order[first::4])

    def wait(first: int) -> int:
        parked = 0
        for workflow_id in order[first::4]:
            lease = hand.lease(tasks[workflow_id])
            while (found := storage.take_signal(workflow_id, "s", "go", lease=lease)) is None:
                if storage.park(lease, signal="go"):
                    parked += 1
                    break
            else:
                assert found.value() == workflow_id
        return parked

    calls = [lambda first=first: deliver(first) for first in range(4)]
    calls += [lambda first=first: wait(first) for first in range(4)]
    told = together(calls)
    awaited, parked = sum(told[:4]), sum(told[4:])
    assert awaited == parked, "whoever waited was found by the delivery"
    assert query(promin_dsn, HELD_BACK) == [(0,)]
    woken = hand.claim(races)
    assert len(woken) == parked
    for task in woken:
        assert storage.take_signal(task.workflow_id, "s", "go", lease=hand.lease(task)).value() == task.workflow_id
    assert query(promin_dsn, "SELECT consumed, count(*) FROM wf_workflow_signals GROUP BY 1") == [(1, races)]
    assert deadlocks(promin_dsn) == 0


@pytest.mark.parametrize("races", [60, pytest.param(3_000, marks=pytest.mark.soak)])
def test_the_end_of_a_child_and_the_wait_for_it(storage: Any, make_hand: Any, promin_dsn: str, races: int) -> None:
    start_all(storage, races, ONE)
    hand = make_hand()
    tasks = {task.workflow_id: task for task in hand.claim(races)}
    order = [f"w{number}" for number in range(races)]
    for workflow_id in order:
        storage.create_workflow(f"c-{workflow_id}", workflow_name="n", parent_workflow_id=workflow_id, parent_step="s")

    def end(first: int) -> None:
        for number, workflow_id in enumerate(order[first::4]):
            if number % 3:
                storage.complete_workflow(f"c-{workflow_id}", number)
            else:
                storage.cancel_workflow(f"c-{workflow_id}")

    def wait(first: int) -> int:
        mine = order[first::4]
        return sum(storage.park(hand.lease(tasks[workflow_id]), child=f"c-{workflow_id}") for workflow_id in mine)

    calls = [lambda first=first: end(first) for first in range(4)]
    calls += [lambda first=first: wait(first) for first in range(4)]
    parked = sum(together(calls)[4:])
    assert len(hand.claim(races)) == parked, "who waits is woken"
    assert query(promin_dsn, "SELECT count(*) FROM wf_step_queue WHERE gate = 1") == [(0,)]
    assert deadlocks(promin_dsn) == 0


def test_a_cancellation_and_children_being_begun(storage: Any, make_hand: Any, promin_dsn: str) -> None:
    runs = 40
    start_all(storage, runs, ONE)

    def begin(number: int, child: int) -> bool:
        try:
            storage.start_run(f"c{number}-{child}", workflow_name="n", steps=ONE, parent_workflow_id=f"w{number}")
        except WorkflowCancelled:
            return False
        return True

    begun = Counter[bool]()
    for number in range(runs):
        calls: list[Callable[[], Any]] = [lambda n=number, c=child: begin(n, c) for child in range(3)]
        calls.append(lambda n=number: storage.cancel_workflow(f"w{n}", cascade=True))
        *children, cancelled = together(calls)
        assert cancelled == 1 + sum(children)
        begun.update(children)
    assert set(begun) == {True, False}, "both orders came up"
    assert query(promin_dsn, "SELECT status, count(*) FROM wf_workflows GROUP BY 1") == [(6, runs + begun[True])]
    assert make_hand().claim() == []
    assert deadlocks(promin_dsn) == 0


def test_a_cancellation_waits_for_a_child_that_is_being_begun(twin: Twin, storage: Any, promin_dsn: str) -> None:
    storage.start_run("w", workflow_name="n", steps=ONE)
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with ThreadPoolExecutor(1) as pool, connect(promin_dsn) as connection:
        storage.start_run("c", workflow_name="n", steps=ONE, parent_workflow_id="w", connection=connection)
        storage.start_run("d", workflow_name="n", steps=ONE, parent_workflow_id="c", connection=connection)
        cancelled = pool.submit(storage.cancel_workflow, "w", cascade=True)
        until(lambda: query(promin_dsn, WAITERS))
        connection.commit()
        assert cancelled.result() == 3
    assert query(promin_dsn, "SELECT count(*) FROM wf_step_queue") == [(0,)]


def test_a_settlement_that_waited_too_long_writes_nothing(storage: Any, make_hand: Any, promin_dsn: str) -> None:
    """Whoever held the task died while he waited for the workflow, and somebody else took it over."""
    storage.start_run("w", workflow_name="n", steps=DAG)
    one, other = make_hand("one"), make_hand("other")
    lost = one.one("a")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(promin_dsn) as connection:
        connection.execute("SELECT 1 FROM wf_workflows FOR UPDATE")
        settled = pool.submit(storage.settle_steps, [one.done(lost, '"late"')])
        until(lambda: query(promin_dsn, WAITERS))
        one.die()
        found = other.one("a")
        connection.commit()
        assert settled.result() == {lost.id}
    assert storage.load_workflow("w").steps["a"].status is StepStatus.PENDING
    assert storage.load_step_attempts("w") == []
    assert storage.settle_steps([other.done(found, '"own"')]) == set()
    assert sorted(drain(storage, other)) == sorted(step.step_name for step in DAG[1:])


def test_a_takeover_waits_for_a_write_under_way_and_none_follows_it(
    twin: Twin, storage: Any, make_hand: Any, promin_dsn: str
) -> None:
    storage.start_run("w", workflow_name="n", steps=ONE)
    one, other = make_hand("one"), make_hand("other")
    task = one.one("s")
    one.die()
    one.live()
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with connect(promin_dsn) as connection:
        storage.save_step_result("w", "element", 1, lease=one.lease(task), connection=connection)
        one.die()
        assert other.claim() == [], "its row is locked"
        connection.commit()
    assert other.one("s")
    one.live()
    with pytest.raises(LeaseLost):
        storage.save_step_result("w", "other", 1, lease=one.lease(task))


def test_a_write_waits_for_a_takeover_under_way(storage: Any, make_hand: Any, promin_dsn: str) -> None:
    storage.start_run("w", workflow_name="n", steps=ONE)
    one, other = make_hand("one"), make_hand("other")
    task = one.one("s")
    one.die()
    with ThreadPoolExecutor(1) as pool:
        other.connection.autocommit = False
        other.claim()
        one.live()
        written = pool.submit(storage.save_step_result, "w", "x", 1, lease=one.lease(task))
        until(lambda: query(promin_dsn, WAITERS))
        other.connection.commit()
        with pytest.raises(LeaseLost):
            written.result()
    assert set(storage.load_workflow("w").steps) == {"s"}


def test_a_backend_that_dies_in_the_middle_leaves_all_or_nothing(
    twin: Twin, storage: Any, make_hand: Any, promin_dsn: str
) -> None:
    """The statement is done and its transaction is not; what it did is done once more by the next."""
    for number in range(3):
        storage.start_run(f"w{number}", workflow_name="n", steps=DAG)
    hand = make_hand()
    tasks = hand.claim()
    outcomes = [hand.done(task, "1") for task in tasks]
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with connect(promin_dsn) as connection:
        assert storage.settle_steps(outcomes, connection=connection) == set()
        query(promin_dsn, "SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    until(lambda: storage.settle_steps(outcomes) == set())
    assert storage.settle_steps(outcomes) == {task.id for task in tasks}
    assert len(drain(storage, hand)) == 3 * (len(DAG) - 1)
    assert len(storage.list_workflows(status=WorkflowStatus.COMPLETED)) == 3


def test_a_failure_and_what_is_settled_beside_it(storage: Any, make_hand: Any, promin_dsn: str) -> None:
    """However they meet, the run is ended once, after all that was under way, and nothing is begun."""
    steps = (*ONE, *(StepSpec(step_name=f"b{number}") for number in range(4)))
    steps += tuple(StepSpec(step_name=f"after{number}", depends_on=(f"b{number}",)) for number in range(4))
    error = '{"type": "E", "message": "boom", "traceback": null}'
    hand, ender = make_hand("hand"), make_hand("ender")
    for number in range(25):
        storage.start_run(f"w{number}", workflow_name="n", steps=steps)
        first, *others = hand.claim()

        def end() -> int:
            tries = 0
            while True:
                for task in ender.claim():
                    if task.step_name:  # a step that was begun before the failure: it comes to its end
                        storage.settle_steps([ender.done(task, "1")])
                    else:
                        tries += 1
                        if storage.begin_ending(ender.lease(task)):
                            lease = ender.lease(task)
                            storage.fail_workflow(task.workflow_id, ValueError("boom"), lease=lease)
                            return tries

        calls: list[Callable[[], Any]] = [
            lambda task=task: storage.settle_steps([hand.done(task, "1")]) for task in others
        ]
        calls.append(lambda task=first: storage.settle_steps([hand.done(task, status=StepStatus.FAILED, error=error)]))
        calls.append(end)
        assert together(calls)[-1] >= 1
        state = storage.load_workflow(f"w{number}")
        assert state.status is WorkflowStatus.FAILED
        assert {state.steps[f"b{n}"].status for n in range(4)} == {StepStatus.COMPLETED}
        assert query(promin_dsn, "SELECT count(*) FROM wf_step_queue") == [(0,)]
    assert deadlocks(promin_dsn) == 0
