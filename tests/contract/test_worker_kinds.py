"""Every kind of step, every policy of a workflow, on workers."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from _runs import Runs
from _waiting import until
from _workers import spawn

from promin_postgres import Retry
from promin_postgres.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NonRetryable,
    StepFailed,
    WorkflowCancelled,
    WorkflowError,
)
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow import Compensation, Fallback, Hooks

QUICKLY = Retry(max_attempts=3, base=0.01)


def fail(ctx: Any) -> None:
    raise ValueError(f"no from {ctx.step_name}")


def nothing(ctx: Any) -> None:
    pass


# -- kinds


def test_a_map_step_has_one_result_for_each_element(runs: Runs) -> None:
    tries: dict[int, int] = {}

    def double(ctx: Any) -> int:
        tries[ctx.item] = tries.get(ctx.item, 0) + 1
        if ctx.item == 7 and tries[7] < 3:
            raise ValueError("not yet")
        return int(2 * ctx.item)

    mapped = (
        runs.workflow("map")
        .step("numbers", lambda ctx: list(range(ctx.input)))
        .map_over("double", double, over="numbers", concurrency=4, retry=QUICKLY)
        .step("sum", lambda ctx: sum(ctx.prev))
    )
    handle = mapped.start(workflow_id="w", input=20)
    with runs.working(mapped):
        assert handle.result(timeout=30) == 380
    assert tries == {n: 3 if n == 7 else 1 for n in range(20)}


def test_a_branch_decides_once_and_parallel_functions_give_a_dict(runs: Runs) -> None:
    both = (
        runs.workflow("both")
        .branch("which", condition=lambda ctx: ctx.input > 1, if_true=lambda ctx: "big", if_false=lambda ctx: "small")
        .parallel("par", {"a": lambda ctx: ctx.prev + "a", "b": lambda ctx: ctx.prev + "b"})
    )
    handle = both.start(workflow_id="w", input=2)
    runs.drain(both)
    assert handle.result() == {"a": "biga", "b": "bigb"}


def test_a_sleep_holds_nobody_and_ends_at_its_moment(runs: Runs) -> None:
    woken: list[datetime] = []
    sleeper = (
        runs.workflow("sleeper")
        .step("a", nothing)
        .sleep("pause", 0.5)
        .step("b", lambda ctx: woken.append(datetime.now(UTC)))
    )
    began = datetime.now(UTC)
    handles = [sleeper.start(workflow_id=f"w{n}") for n in range(200)]
    with runs.working(sleeper, concurrency=2) as worker:
        until(lambda: runs.query("SELECT count(*) FROM wf_step_queue WHERE gate = 1")[0][0] > 0)
        for handle in handles:
            handle.result(timeout=30)
        assert worker.health().failed == 0
    assert len(woken) == 200
    assert min(woken) >= began + timedelta(seconds=0.5)


def test_a_sleep_until_a_moment_that_has_passed(runs: Runs) -> None:
    sleeper = runs.workflow("sleeper").sleep("pause", until=datetime.now(UTC) - timedelta(1)).step("b", lambda ctx: 5)
    handle = sleeper.start(workflow_id="w")
    runs.drain(sleeper)
    assert handle.result() == 5


@pytest.mark.parametrize("when", ["before", "during", "after the worker is gone"])
def test_a_signal_reaches_its_step(runs: Runs, when: str) -> None:
    waiting = runs.workflow("waiting").wait_for_signal("wait", signal="go").step("b", lambda ctx: ctx.prev)
    handle = waiting.start(workflow_id="w")
    if when == "before":
        handle.signal("go", {"n": 1})
    if when == "after the worker is gone":
        runs.drain(waiting)
        assert handle.state().steps["wait"].status.name == "WAITING"
        handle.signal("go", {"n": 1})
    with runs.working(waiting):
        if when == "during":
            until(lambda: handle.state().steps["wait"].status.name == "WAITING")
            handle.signal("go", {"n": 1})
        assert handle.result(timeout=20) == {"n": 1}
    with pytest.raises(InvalidArgument, match="has ended"):
        handle.signal("go")


def test_each_signal_goes_to_one_step(runs: Runs) -> None:
    two = runs.workflow("two").wait_for_signal("a", signal="s").wait_for_signal("b", signal="s").step(
        "c", lambda ctx: ctx.prev)  # fmt: skip
    handle = two.start(workflow_id="w")
    for n in range(2):
        handle.signal("s", n)
    runs.drain(two)
    assert handle.result() == 1
    assert {name: step.result for name, step in handle.state().steps.items()} == {"a": 0, "b": 1, "c": 1}


def test_a_signal_that_does_not_come(runs: Runs) -> None:
    strict = runs.workflow("strict").wait_for_signal("wait", signal="s", timeout=0.2)
    lenient = runs.workflow("lenient").wait_for_signal("wait", signal="s", timeout=0.2, on_timeout=Fallback("none"))
    failing, falling = strict.start(workflow_id="1"), lenient.start(workflow_id="2")
    with runs.working(strict, lenient):
        assert falling.result(timeout=20) == "none"
        with pytest.raises(StepFailed, match=r"no signal 's' within 0\.2 seconds"):
            failing.result(timeout=20)


def test_a_child_runs_on_workers_and_its_result_is_that_of_the_step(runs: Runs) -> None:
    child = runs.workflow("child").step("a", lambda ctx: ctx.input + 1).step("b", lambda ctx: ctx.prev * 10)
    parent = (
        runs.workflow("parent")
        .step("seed", lambda ctx: ctx.input)
        .subworkflow("sub", child, input=lambda ctx: ctx.prev)
        .step("last", lambda ctx: ctx.prev + 1)
    )
    handles = [parent.start(workflow_id=f"w{n}", input=n) for n in range(20)]
    with runs.working(parent):
        assert [handle.result(timeout=30) for handle in handles] == [10 * (n + 1) + 1 for n in range(20)]
    assert runs.storage.load_workflow("w3/sub").parent_workflow_id == "w3"


def test_a_child_that_fails_fails_its_step(runs: Runs) -> None:
    child = runs.workflow("child").step("a", fail)
    parent = runs.workflow("parent").subworkflow("sub", child)
    mild = runs.workflow("mild").subworkflow("sub", child, on_failure="skip").step("b", lambda ctx: ctx.prev)
    failing, skipping = parent.start(workflow_id="1"), mild.start(workflow_id="2")
    with runs.working(parent, mild):
        with pytest.raises(StepFailed, match="no from a"):
            failing.result(timeout=20)
        assert skipping.result(timeout=20) is None


def test_a_cancellation_takes_the_children_with_it(runs: Runs) -> None:
    child = runs.workflow("child").wait_for_signal("wait", signal="never")
    parent = runs.workflow("parent").subworkflow("sub", child)
    handle = parent.start(workflow_id="w")
    with runs.working(parent):
        until(lambda: (found := runs.storage.load_workflow("w/sub")) and found.steps["wait"].status.name == "WAITING")
        handle.cancel()
        with pytest.raises(WorkflowCancelled):
            handle.result(timeout=20)
    assert parent.get_handle("w/sub").status() is WorkflowStatus.CANCELLED
    assert runs.left() == 0


# -- policies


def test_a_step_that_may_fail(runs: Runs) -> None:
    lenient = (
        runs.workflow("lenient")
        .step("skipped", fail, on_failure="skip", retry=QUICKLY)
        .step("value", fail, on_failure=Fallback([1]), depends_on=[])
        .step("function", fail, on_failure=Fallback(lambda ctx: str(ctx.error)), depends_on=[])
        .step("all", lambda ctx: ctx.deps, depends_on=["skipped", "value", "function"])
    )
    handle = lenient.start(workflow_id="w")
    with runs.working(lenient):
        assert handle.result(timeout=20) == {"skipped": None, "value": [1], "function": "no from function"}
    steps = handle.state().steps
    assert (steps["skipped"].status.name, steps["value"].status.name) == ("SKIPPED", "COMPLETED")
    assert runs.attempts("w", "skipped") == ["FAILED"] * 3


def test_what_is_not_to_be_repeated(runs: Runs) -> None:
    def give_up(ctx: Any) -> None:
        raise NonRetryable("never")

    once = runs.workflow("once").step("a", give_up, retry=QUICKLY)
    picky = runs.workflow("picky").step("a", fail, retry=QUICKLY, retry_if=lambda error: "yes" in str(error))
    once.start(workflow_id="1")
    picky.start(workflow_id="2")
    runs.drain(once, picky)
    assert runs.attempts("1", "a") == runs.attempts("2", "a") == ["FAILED"]


def test_a_run_that_failed_goes_on_where_it_failed(runs: Runs) -> None:
    calls: list[str] = []

    def flaky(ctx: Any) -> str:
        calls.append(ctx.step_name)
        if calls.count("b") < 3 and ctx.step_name == "b":
            raise ValueError("not yet")
        return str(ctx.step_name)

    again = runs.workflow("again", retry=QUICKLY).step("a", flaky).step("b", flaky).step("c", flaky)
    handle = again.start(workflow_id="w")
    with runs.working(again):
        assert handle.result(timeout=20) == "c"
    assert calls == ["a", "b", "b", "b", "c"]


def test_what_was_done_is_undone_in_reverse_order(runs: Runs) -> None:
    undone: list[Any] = []
    reports: list[Any] = []

    def undo(ctx: Any) -> None:
        undone.append((ctx.step_name, ctx.result))
        if ctx.step_name == "b":
            raise ValueError("cannot")

    trip = runs.workflow("trip", compensate=Compensation(on_complete=reports.append))
    for name in ("a", "b", "c"):
        trip = trip.step(name, lambda ctx: ctx.step_name.upper(), compensate=undo)
    trip = trip.step("d", fail, compensate=undo)
    handle = trip.start(workflow_id="w")
    with runs.working(trip), pytest.raises(StepFailed):
        handle.result(timeout=20)
    assert undone == [("c", "C"), ("b", "B"), ("a", "A")]
    assert [(report.steps, list(report.failures)) for report in reports] == [(("c", "a"), ["b"])]
    assert {name: step.status.name for name, step in handle.state().steps.items()} == {
        "a": "COMPENSATED", "b": "COMPLETED", "c": "COMPENSATED", "d": "FAILED",
    }  # fmt: skip
    assert runs.left() == 0


def test_a_compensation_is_repeated(runs: Runs) -> None:
    undone: list[int] = []

    def undo(ctx: Any) -> None:
        undone.append(ctx.attempt)
        if len(undone) < 3:
            raise ValueError("not yet")

    trip = runs.workflow("trip", compensate=Compensation(retry=QUICKLY)).step("a", nothing, compensate=undo)
    trip = trip.step("b", fail)
    handle = trip.start(workflow_id="w")
    with runs.working(trip), pytest.raises(StepFailed):
        handle.result(timeout=20)
    assert undone == [1, 2, 3]
    assert handle.state().steps["a"].status.name == "COMPENSATED"


def test_a_failed_run_is_published(runs: Runs) -> None:
    class Sink:
        def __init__(self) -> None:
            self.letters: list[Any] = []

        def publish(self, value: Any) -> None:
            self.letters.append(value)

    sink = Sink()
    doomed = runs.workflow("doomed", dlq=sink, metadata={"k": 1}).step("a", fail)
    handle = doomed.start(workflow_id="w", input=[1])
    with runs.working(doomed), pytest.raises(StepFailed):
        handle.result(timeout=20)
    (letter,) = sink.letters
    assert (letter["workflow_id"], letter["input"], letter["metadata"]) == ("w", [1], {"k": 1})
    assert "no from a" in letter["error"]["message"]


def test_hooks_hear_of_what_was_recorded(runs: Runs) -> None:
    heard: list[Any] = []

    def hear(name: str) -> Any:
        return lambda event: heard.append((name, event.step_name, event.attempt, event.result, event.final))

    hooks = Hooks(
        on_step_start=hear("start"), on_step_complete=hear("complete"), on_step_failure=hear("failure"),
        on_workflow_complete=hear("done"), on_workflow_failure=hear("failed"),
    )  # fmt: skip
    chain = (
        runs.workflow("chain", hooks=hooks)
        .step("a", lambda ctx: 1)
        .step("b", lambda ctx: ctx.attempt if ctx.attempt > 1 else fail(ctx), retry=Retry(max_attempts=2, base=0))
    )
    handle = chain.start(workflow_id="w")
    doomed = runs.workflow("doomed", hooks=Hooks(on_workflow_failure=hear("failed"))).step("a", fail)
    with runs.working(chain):
        assert handle.result(timeout=20) == 2
    until(lambda: len(heard) == 7)
    expected = [
        ("start", "a", 1, None, False), ("complete", "a", 1, 1, True), ("start", "b", 1, None, False),
        ("failure", "b", 1, None, False), ("start", "b", 2, None, False), ("complete", "b", 2, 2, True),
        ("done", None, None, 2, True),
    ]  # fmt: skip
    # What follows an execution begins once that is recorded, and may be heard of first.
    for execution in (("a", 1), ("b", 1), ("b", 2), (None, None)):
        assert [one for one in heard if one[1:3] == execution] == [one for one in expected if one[1:3] == execution]
    heard.clear()
    doomed.start(workflow_id="x")
    runs.drain(doomed)
    assert heard == [("failed", None, None, None, True)]


def test_a_run_has_to_be_over_by_its_deadline(runs: Runs) -> None:
    seen: list[bool] = []

    def linger(ctx: Any) -> None:
        until(lambda: ctx.cancelled)
        seen.append(ctx.cancelled)

    busy = runs.workflow("busy", deadline=1.0).step("a", linger).step("b", nothing)
    waits = runs.workflow("waits", deadline=0.3).wait_for_signal("a", signal="never")
    sleeps = runs.workflow("sleeps", deadline=0.3).sleep("a", 3600)
    handles = [one.start(workflow_id=one.definition.name) for one in (busy, waits, sleeps)]
    with runs.working(busy, waits, sleeps):
        for handle in handles:
            with pytest.raises(DeadlineExceeded):
                handle.result(timeout=20)
    assert seen == [True]
    assert handles[0].state().steps["a"].status.name == "COMPLETED"
    assert runs.left() == 0


def test_a_cancelled_run_tells_its_handlers(runs: Runs) -> None:
    entered, left = threading.Event(), threading.Event()

    def linger(ctx: Any) -> str:
        entered.set()
        until(lambda: ctx.cancelled)
        left.set()
        return "nobody wants it"

    busy = runs.workflow("busy").step("a", linger).step("b", nothing)
    handle = busy.start(workflow_id="w")
    with runs.working(busy):
        assert entered.wait(20)
        handle.cancel()
        assert left.wait(20)
    state = handle.state()
    assert (state.status, state.steps["a"].result) == (WorkflowStatus.CANCELLED, None)
    assert (runs.attempts("w", "a"), runs.left()) == ([], 0)


def test_a_transactional_step_commits_with_its_checkpoint(runs: Runs) -> None:
    runs.watch.execute("CREATE TABLE ledger (workflow_id text, attempt int)")

    def book(ctx: Any) -> str:
        # The sync twin is given a connection, the async one an async connection.
        written = ctx.connection.execute("INSERT INTO ledger VALUES (%s, %s)", [ctx.workflow_id, ctx.attempt])
        if ctx.attempt == 1:
            raise ValueError("after the write")
        return "booked" if written is not None else ""

    async def async_book(ctx: Any) -> str:
        await ctx.connection.execute("INSERT INTO ledger VALUES (%s, %s)", [ctx.workflow_id, ctx.attempt])
        if ctx.attempt == 1:
            raise ValueError("after the write")
        return "booked"

    booking = (
        runs.workflow("booking")
        .step("book", async_book if runs.twin.is_async else book, transactional=True, retry=QUICKLY)
        .step("b", lambda ctx: ctx.prev)
    )
    handles = [booking.start(workflow_id=f"w{n}") for n in range(10)]
    with runs.working(booking):
        assert [handle.result(timeout=30) for handle in handles] == ["booked"] * 10
    assert runs.query("SELECT count(*), min(attempt), max(attempt) FROM ledger") == [(10, 2, 2)]
    assert runs.attempts("w0", "book") == ["FAILED", "COMPLETED"]


def test_a_timeout_ends_an_attempt(runs: Runs) -> None:
    def slow(ctx: Any) -> int:
        if ctx.attempt == 1:
            until(lambda: ctx.cancelled)
        return int(ctx.attempt)

    slowly = runs.workflow("slowly").step("a", slow, timeout=0.2, retry=QUICKLY)
    handle = slowly.start(workflow_id="w")
    with runs.working(slowly):
        assert handle.result(timeout=20) == 2


def test_what_was_delivered_too_often_has_failed(runs: Runs) -> None:
    lenient = runs.workflow("lenient").step("a", nothing, on_failure=Fallback("survived"))
    strict = runs.workflow("strict").step("a", nothing)
    handles = [lenient.start(workflow_id="1"), strict.start(workflow_id="2")]
    runs.watch.execute("UPDATE wf_step_queue SET deliveries = 3")
    with runs.working(lenient, strict, max_deliveries=3):
        assert handles[0].result(timeout=20) == "survived"
        with pytest.raises(StepFailed, match="Unsettled: claimed 3 times and never settled"):
            handles[1].result(timeout=20)


DYING = """
import os, sys
from promin_postgres.workflow import PostgresWorkflowStorage, workflow

storage = PostgresWorkflowStorage.create(sys.argv[1], use_advisory_locks=sys.argv[2] == "session", lock_duration=1)
chain = workflow("chain", storage=storage).step("a", lambda ctx: "a").step("b", lambda ctx: os._exit(7))
chain.step("c", lambda ctx: ctx.prev + "c").run(workflow_id="w")
"""


@pytest.mark.parametrize("lock", ["session", "row"])
def test_an_inline_run_whose_process_died_is_taken_up(runs: Runs, lock: str) -> None:
    process = spawn(DYING, runs.dsn, lock)
    assert process.wait(60) == 7
    process.communicate()
    calls: list[str] = []

    def note(ctx: Any) -> str:
        calls.append(ctx.step_name)
        return (ctx.prev or "") + str(ctx.step_name)

    chain = runs.workflow("chain").step("a", note).step("b", note).step("c", note)
    assert chain.get_handle("w").status() is WorkflowStatus.RUNNING
    with runs.working(chain):
        assert chain.get_handle("w").result(timeout=60) == "abc"
    assert calls == ["b", "c"]


def test_a_run_that_failed_without_a_step(runs: Runs) -> None:
    chain = runs.workflow("chain").step("a", nothing)
    handle = chain.start(workflow_id="w")
    runs.watch.execute("UPDATE wf_workflows SET status = 5")
    with pytest.raises(WorkflowError, match="no error was recorded"):
        handle.result()


def test_the_connection_of_a_start_may_be_the_callers(runs: Runs) -> None:
    chain = runs.workflow("chain").step("a", nothing)
    with runs.caller() as connection:
        handle = chain.start(workflow_id="w", connection=connection)
        assert runs.query("SELECT count(*) FROM wf_workflows") == [(0,)]
    runs.drain(chain)
    assert handle.status() is WorkflowStatus.COMPLETED

    def start_and_break() -> None:
        with runs.caller() as connection:
            chain.start(workflow_id="x", connection=connection)
            connection.execute("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        start_and_break()
    assert runs.query("SELECT count(*) FROM wf_workflows") == [(1,)]


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_ten_thousand_sleepers_hold_no_thread_and_no_connection(runs: Runs) -> None:
    sleeper = runs.workflow("sleeper").step("a", nothing).sleep("pause", 60).step("b", nothing)
    for number in range(10_000):
        sleeper.start(workflow_id=f"w{number}")

    def awake() -> int:
        ((number,),) = runs.query("SELECT count(*) FROM wf_workflow_steps WHERE step_name = 'pause' AND status = 1")
        return int(number)

    with runs.working(sleeper, concurrency=8):
        until(lambda: awake() == 0, timeout=300, every=0.5)
        ((connections,),) = runs.query(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        threads = [one.name for one in threading.enumerate()]
        assert connections <= 15
        assert len(threads) <= 30, threads
        until(lambda: runs.left() == 0, timeout=300, every=0.5)
    assert runs.query("SELECT status, count(*) FROM wf_workflows GROUP BY 1") == [(4, 10_000)]
