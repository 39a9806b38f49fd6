"""A step that fails is tried again as its policy says; one that fails for good fails the run, and `run` resumes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from _waiting import until

from promin_postgres._retry import Retry
from promin_postgres.errors import LeaseLost, StepFailed
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow import Context

New = Callable[..., Any]


class Work:
    """A step function that fails as often as it is told to, and remembers its executions."""

    def __init__(self, failures: dict[str, int]) -> None:
        self.failures = failures
        self.executed: list[tuple[str, int]] = []

    def __call__(self, ctx: Context) -> str:
        self.executed.append((ctx.step_name, ctx.attempt))
        if self.failures.get(ctx.step_name, 0) > 0:
            self.failures[ctx.step_name] -= 1
            raise ValueError(f"{ctx.step_name} will not\x00")
        return ctx.step_name.upper()


def test_a_failed_run_is_resumed_from_the_step_that_failed(new_workflow: New, twin_storage: Any) -> None:
    work = Work({"b": 1})
    workflow = new_workflow("w").step("a", work).step("b", work).step("c", work)
    with pytest.raises(StepFailed) as caught:
        workflow.run(workflow_id="w")
    failure = caught.value
    assert (failure.workflow_id, failure.step_name, failure.attempt) == ("w", "b", 1)
    assert (failure.error_type, failure.error_message) == ("ValueError", "b will not\\x00")
    assert isinstance(failure.__cause__, ValueError)
    assert failure.traceback is not None
    assert "in __call__" in failure.traceback
    state = twin_storage.load_workflow("w")
    assert state.status == WorkflowStatus.FAILED
    assert state.error.error_type == "promin_postgres.errors.StepFailed"
    assert "step 'b'" in state.error.message
    assert [step.status for step in state.steps.values()] == [
        StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.PENDING,
    ]  # fmt: skip
    assert state.steps["b"].error.error_type == "ValueError"

    assert workflow.run(workflow_id="w") == "C"
    assert work.executed == [("a", 1), ("b", 1), ("b", 2), ("c", 1)]
    state = twin_storage.load_workflow("w")
    assert (state.status, state.error, state.steps["b"].error) == (WorkflowStatus.COMPLETED, None, None)


def test_a_step_is_tried_as_often_as_its_policy_allows(new_workflow: New, twin_storage: Any) -> None:
    work = Work({"a": 2})
    workflow = new_workflow("w").step("a", work, retry=Retry(max_attempts=3, base=0))
    assert workflow.run(workflow_id="w") == "A"
    assert work.executed == [("a", 1), ("a", 2), ("a", 3)]
    attempts = twin_storage.load_step_attempts("w")
    assert [(a.attempt, a.status, a.error and a.error.message) for a in attempts] == [
        (1, StepStatus.FAILED, "a will not\\x00"),
        (2, StepStatus.FAILED, "a will not\\x00"),
        (3, StepStatus.COMPLETED, None),
    ]


def test_a_policy_begins_anew_when_the_failed_run_is_resumed(new_workflow: New) -> None:
    work = Work({"a": 5})
    workflow = new_workflow("w").step("a", work, retry=Retry(max_attempts=3, base=0))
    with pytest.raises(StepFailed) as caught:
        workflow.run(workflow_id="w")
    assert caught.value.attempt == 3
    assert workflow.run(workflow_id="w") == "A"
    assert [attempt for _, attempt in work.executed] == [1, 2, 3, 4, 5, 6]


def test_a_pause_holds_up_nobody_else(new_workflow: New) -> None:
    others_done = threading.Event()
    moments: list[float] = []

    def flaky(ctx: Context) -> str:
        moments.append(time.monotonic())
        if ctx.attempt == 1:
            raise ValueError
        assert others_done.is_set(), "they ran while this one was pausing"
        return "late"

    def last(ctx: Context) -> None:
        others_done.set()

    workflow = (
        new_workflow("w", max_concurrency=1)
        .step("flaky", flaky, retry=Retry(max_attempts=2, base=0.3, jitter="none"))
        .step("other", lambda ctx: None, depends_on=[])
        .step("last", last)
    )
    assert workflow.run(workflow_id="w") == {"flaky": "late", "last": None}
    assert moments[1] - moments[0] >= 0.3


def test_what_is_under_way_is_let_finish_and_nothing_else_starts(new_workflow: New, twin_storage: Any) -> None:
    started = threading.Event()
    executed: list[str] = []

    def slow(ctx: Context) -> str:
        executed.append(ctx.step_name)
        started.set()
        until(lambda: twin_storage.load_workflow("w").steps["bad"].status == StepStatus.FAILED)
        return "finished"

    def bad(ctx: Context) -> None:
        executed.append(ctx.step_name)
        assert started.wait(20)
        raise ValueError

    workflow = (
        new_workflow("w", max_concurrency=2)
        .step("slow", slow, depends_on=[])
        .step("bad", bad, depends_on=[])
        .step("third", slow, depends_on=[])
        .step("after", slow, depends_on="slow")
    )
    with pytest.raises(StepFailed, match="'bad'"):
        workflow.run(workflow_id="w")
    assert sorted(executed) == ["bad", "slow"]
    steps = twin_storage.load_workflow("w").steps
    assert steps["slow"].result == "finished"
    assert {steps["third"].status, steps["after"].status} == {StepStatus.PENDING}


def test_a_step_in_its_pause_does_not_hold_up_the_failure_and_goes_on_after_it(
    new_workflow: New, twin_storage: Any
) -> None:
    paused = threading.Event()
    attempts: list[int] = []

    def pausing(ctx: Context) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            paused.set()
            raise ValueError

    def bad(ctx: Context) -> None:
        assert paused.wait(20)
        until(lambda: twin_storage.load_step_attempts("w"))
        if ctx.attempt == 1:
            raise KeyError

    workflow = (
        new_workflow("w")
        .step("pausing", pausing, retry=Retry(max_attempts=2, base=3600, jitter="none"), depends_on=[])
        .step("bad", bad, depends_on=[])
    )
    with pytest.raises(StepFailed, match="KeyError"):
        workflow.run(workflow_id="w")
    assert twin_storage.load_workflow("w").steps["pausing"].status == StepStatus.PENDING
    workflow.run(workflow_id="w")
    assert attempts == [1, 2]


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
def test_an_execution_that_takes_too_long_has_failed_and_can_see_it(new_workflow: New, beside: bool) -> None:
    left_behind = threading.Event()

    def slow(ctx: Context) -> str:
        if ctx.attempt == 2:
            assert left_behind.wait(20)
            assert not ctx.cancelled
            return "in time"
        assert not ctx.cancelled
        until(lambda: ctx.cancelled)
        assert not ctx.lost
        left_behind.set()
        return "too late"

    workflow = new_workflow("w").step("slow", slow, timeout=0.05, retry=Retry(max_attempts=2, base=0))
    if beside:
        workflow = workflow.step("other", lambda ctx: None, depends_on=[])
    result = {"slow": "in time", "other": None} if beside else "in time"
    assert workflow.run(workflow_id="w") == result
    assert workflow.run(workflow_id="w") == result, "what came too late is not recorded"


def test_a_timeout_names_itself_and_a_functions_own_is_its_own(new_workflow: New) -> None:
    released = threading.Event()
    workflow = new_workflow("w").step("slow", lambda ctx: released.wait(20), timeout=0.05)
    try:
        with pytest.raises(StepFailed) as caught:
            workflow.run(workflow_id="w")
    finally:
        released.set()
    assert (caught.value.error_type, caught.value.error_message) == ("TimeoutError", "still running after 0.05 seconds")

    def raises(ctx: Context) -> None:
        raise TimeoutError("the printer's")

    with pytest.raises(StepFailed, match="the printer's"):
        new_workflow("v").step("own", raises, timeout=20).run(workflow_id="v")


@pytest.mark.parametrize("error", [LeaseLost("another thing"), StopIteration(), RecursionError()], ids=type)
def test_whatever_a_function_raises_is_the_failure_of_its_step(new_workflow: New, error: Exception) -> None:
    def raises(ctx: Context) -> None:
        raise error

    workflow = new_workflow("w").step("a", raises)
    with pytest.raises(StepFailed, match=type(error).__name__):
        workflow.run(workflow_id="w")
    with pytest.raises(StepFailed, match=type(error).__name__):
        workflow.step("beside", lambda ctx: None, depends_on=[]).run(workflow_id="v")
