"""Workers execute durable functions: one task each, which is parked while the function waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from _durable import as_function
from _runs import Runs
from _waiting import until

from promin_postgres import Retry, async_durable, durable
from promin_postgres.errors import StepFailed, WorkflowCancelled
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow import Fallback

New = Callable[..., Any]


@pytest.fixture
def new(runs: Runs) -> New:
    def make(name: str, function: Any, **options: Any) -> Any:
        decorate = runs.twin.pick(durable, async_durable)(name, storage=runs.storage, **options)
        return decorate(as_function(runs.twin, function))

    return make


def wake(runs: Runs) -> None:
    """Let the time come that parked tasks wait for, and their steps."""
    runs.watch.execute(
        "UPDATE wf_workflow_steps SET wake_at = wake_at - interval '1 day',"
        " signal_timeout_at = signal_timeout_at - interval '1 day'"
    )
    runs.watch.execute("UPDATE wf_step_queue SET available_at = now() WHERE available_at IS NOT NULL")


def test_a_worker_executes_a_function_and_its_steps_once(new: New, runs: Runs) -> None:
    done: list[Any] = []

    def order(ctx: Any, given: Any) -> Any:
        for number in range(given):
            ctx.step("add", done.append, number)
        return done

    flow = new("order", order)
    handle = flow.start(workflow_id="w", input=3)
    worker = runs.drain(flow)
    assert handle.result() == done == [0, 1, 2]
    assert handle.status() is WorkflowStatus.COMPLETED
    assert {name: step.status for name, step in handle.state().steps.items()} == dict.fromkeys(
        ["#", "add", "add#2", "add#3"], StepStatus.COMPLETED
    )
    assert (worker.health().completed, runs.left()) == (1, 0)
    assert flow.run(workflow_id="w") == [0, 1, 2], "the record is the answer"


def test_a_failing_function_fails_its_run(new: New, runs: Runs) -> None:
    def order(ctx: Any, given: Any) -> Any:
        ctx.step("a", int, "no number")

    flow = new("order", order)
    handle = flow.start(workflow_id="w")
    runs.drain(flow)
    with pytest.raises(StepFailed, match="invalid literal"):
        handle.result()
    assert handle.state().steps["a"].status is StepStatus.FAILED
    assert runs.left() == 0


def test_an_error_that_was_dealt_with_is_seen_again_by_the_next_worker(new: New, runs: Runs) -> None:
    seen = []

    def order(ctx: Any, given: Any) -> Any:
        try:
            ctx.step("a", int, "no number")
        except StepFailed as error:
            seen.append((error.error_type, error.error_message))
        ctx.sleep("nap", 3600)
        return "done"

    flow = new("order", order)
    handle = flow.start(workflow_id="w")
    runs.drain(flow)
    wake(runs)
    runs.drain(flow)
    assert handle.result() == "done"
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert runs.attempts("w", "a") == ["FAILED"]


def test_waits_park_the_task(new: New, runs: Runs) -> None:
    calls = []

    def order(ctx: Any, given: Any) -> Any:
        calls.append(len(calls))
        ctx.step("a", calls.__len__)
        ctx.sleep("nap", 3600)
        ctx.sleep("nap", 3600)
        first = ctx.wait_for_signal("answer")
        second = ctx.wait_for_signal("answer")
        return [first, second]

    flow = new("order", order)
    handle = flow.start(workflow_id="w")
    for calls_so_far, waiting in ((1, "nap"), (2, "nap#2"), (3, "answer")):
        for _ in range(2):
            runs.drain(flow)
        assert len(calls) == calls_so_far
        assert handle.state().steps[waiting].status is StepStatus.WAITING
        wake(runs)
    handle.signal("answer", 1)
    runs.drain(flow)
    assert handle.state().steps["answer#2"].status is StepStatus.WAITING
    handle.signal("answer", 2)
    runs.drain(flow)
    assert handle.result() == [1, 2]
    assert runs.attempts("w", "a") == ["COMPLETED"]
    assert runs.attempts("w", "#") == ["COMPLETED"]


def test_a_signal_that_came_before_the_wait_needs_none(new: New, runs: Runs) -> None:
    def order(ctx: Any, given: Any) -> Any:
        return ctx.wait_for_signal("answer", signal="approval")

    flow = new("order", order)
    handle = flow.start(workflow_id="w")
    handle.signal("approval", {"yes": True})
    runs.drain(flow)
    assert handle.result() == {"yes": True}


@pytest.mark.parametrize("on_timeout", ["fail", "skip", Fallback("nobody")])
def test_a_signal_that_does_not_come_in_time(new: New, runs: Runs, on_timeout: Any) -> None:
    def order(ctx: Any, given: Any) -> Any:
        try:
            return ctx.wait_for_signal("answer", timeout=3600, on_timeout=on_timeout)
        except StepFailed as error:
            return error.error_type

    flow = new("order", order)
    handle = flow.start(workflow_id="w")
    runs.drain(flow)
    wake(runs)
    runs.drain(flow)
    expected = {"fail": "TimeoutError", "skip": None}
    assert handle.result() == (expected[on_timeout] if isinstance(on_timeout, str) else "nobody")


def test_a_long_pause_between_attempts_holds_no_thread(new: New, runs: Runs) -> None:
    attempts = []

    def flaky() -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("not yet")
        return "yes"

    def order(ctx: Any, given: Any) -> Any:
        return ctx.step("a", flaky, retry=Retry(max_attempts=3, base=3600, cap=7200, jitter="none"))

    flow = new("order", order)
    handle = flow.start(workflow_id="w")
    for count in (1, 2, 3):
        for _ in range(2):
            runs.drain(flow)
        assert len(attempts) == count
        if count < 3:
            assert not handle.status().is_final
            wake(runs)
    assert handle.result() == "yes"
    assert runs.attempts("w", "a") == ["FAILED", "FAILED", "COMPLETED"]


def test_children_run_on_workers_while_their_parent_is_parked(new: New, runs: Runs) -> None:
    def inner(ctx: Any, given: Any) -> Any:
        return ctx.step("double", lambda: given * 2)

    child = new("inner", inner)
    built = runs.workflow("built").step("add", lambda ctx: ctx.input + 1)

    def outer(ctx: Any, given: Any) -> Any:
        first = ctx.subworkflow("child", child, input=given)
        return ctx.subworkflow("child", built, input=first)

    flow = new("outer", outer)
    handle = flow.start(workflow_id="w", input=10)
    runs.drain(flow, child, built)
    assert handle.result() == 21
    state = runs.storage.load_workflow("w/child#2")
    assert (state.parent_workflow_id, state.status) == ("w", WorkflowStatus.COMPLETED)


def test_a_child_that_fails_fails_the_step_of_its_parent(new: New, runs: Runs) -> None:
    child = runs.workflow("built").step("add", lambda ctx: 1 // 0)

    def outer(ctx: Any, given: Any) -> Any:
        try:
            ctx.subworkflow("child", child)
        except StepFailed as error:
            return [error.step_name, "ZeroDivisionError" in error.error_message]

    flow = new("outer", outer)
    handle = flow.start(workflow_id="w")
    runs.drain(flow, child)
    assert handle.result() == ["child", True]


def test_cancelling_a_parked_function_and_its_child(new: New, runs: Runs) -> None:
    def inner(ctx: Any, given: Any) -> Any:
        ctx.sleep("nap", 3600)

    child = new("inner", inner)

    def outer(ctx: Any, given: Any) -> Any:
        ctx.subworkflow("child", child)

    flow = new("outer", outer)
    handle = flow.start(workflow_id="w")
    runs.drain(flow, child)
    assert runs.left() == 2
    handle.cancel()
    with pytest.raises(WorkflowCancelled):
        handle.result()
    assert runs.storage.load_workflow("w/child").status is WorkflowStatus.CANCELLED
    assert runs.left() == 0


def test_a_function_that_is_being_executed_sees_that_it_was_cancelled(new: New, runs: Runs) -> None:
    entered, seen = threading.Event(), threading.Event()
    later = []

    def work() -> None:
        entered.set()
        assert seen.wait(20)

    def order(ctx: Any, given: Any) -> Any:
        threading.Thread(target=lambda: until(lambda: ctx.cancelled) and seen.set(), daemon=True).start()
        ctx.step("a", work)
        ctx.step("b", later.append, 1)

    flow = new("order", order)
    handle = flow.start(workflow_id="w")
    with runs.working(flow):
        assert entered.wait(20)
        handle.cancel()
        assert seen.wait(20)
        until(lambda: runs.left() == 0)
    assert later == []
    assert handle.status() is WorkflowStatus.CANCELLED


def test_a_function_that_changed_is_left_alone_until_the_old_one_is_back(new: New, runs: Runs) -> None:
    def before(ctx: Any, given: Any) -> Any:
        ctx.step("a", int)
        ctx.sleep("nap", 3600)

    def after(ctx: Any, given: Any) -> Any:
        ctx.step("b", int)

    handle = new("order", before, version="1").start(workflow_id="w")
    runs.drain(new("order", before, version="1"))
    wake(runs)
    runs.drain(new("order", after, version="1"))
    assert not handle.status().is_final
    assert "b" not in handle.state().steps
    wake(runs)
    runs.drain(new("order", before, version="1"))
    assert handle.status() is WorkflowStatus.COMPLETED


def test_a_workflow_retry_executes_anew_what_the_function_failed_of(new: New, runs: Runs) -> None:
    done: list[str] = []

    def work(name: str) -> str:
        done.append(name)
        if done.count(name) == 1 and name == "b":
            raise ValueError("once")
        return name

    def order(ctx: Any, given: Any) -> Any:
        return [ctx.step(name, work, name) for name in "abc"]

    flow = new("order", order, retry=Retry(max_attempts=2, base=0))
    handle = flow.start(workflow_id="w")
    runs.drain(flow)
    assert handle.result() == ["a", "b", "c"]
    assert done == ["a", "b", "b", "c"]


def test_a_sleep_that_is_over_at_once(new: New, runs: Runs) -> None:
    done: list[str] = []

    def order(ctx: Any, given: Any) -> Any:
        ctx.step("a", done.append, "a")
        ctx.sleep("nap", 0)
        return ctx.step("b", lambda: done.append("b") or "done")

    flow = new("order", order)
    handle = flow.start(workflow_id="w")
    runs.drain(flow)
    assert handle.result() == "done"
    assert done == ["a", "b"]
