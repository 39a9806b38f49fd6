"""What becomes of a run in which a step failed for good: tried again, undone, published; and who hears of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from _twins import Twin
from _waiting import until

from promin_postgres import (
    AsyncPgQueue,
    Compensation,
    Context,
    DeadlineExceeded,
    Event,
    Hooks,
    PgQueue,
    Retry,
    StepFailed,
    StepStatus,
    Undone,
    WorkflowCancelled,
    WorkflowError,
    WorkflowStatus,
)
from promin_postgres.lookups import AttemptType

New = Callable[..., Any]
THRICE = Retry(max_attempts=3, base=0)


class Work:
    """Steps and compensations that fail as often as they are told to, and remember what was called."""

    def __init__(self, **failures: int) -> None:
        self.failures = failures
        self.called: list[str] = []

    def _call(self, name: str) -> None:
        self.called.append(name)
        if self.failures.get(name, 0) > 0:
            self.failures[name] -= 1
            raise ValueError(f"{name} will not")

    def do(self, ctx: Context) -> str:
        self._call(ctx.step_name)
        return ctx.step_name.upper()

    def undo(self, ctx: Context) -> None:
        self._call(f"un{ctx.step_name}({ctx.result}, {ctx.input}, {ctx.error.error_type.rpartition('.')[2]})")


def test_a_workflow_is_tried_again_from_the_step_that_failed(new_workflow: New, twin_storage: Any) -> None:
    work = Work(b=4)
    flow = (
        new_workflow("w", retry=THRICE)
        .step("a", work.do)
        .step("b", work.do, retry=Retry(max_attempts=2, base=0))
        .step("c", work.do)
    )
    assert flow.run(workflow_id="w") == "C"
    assert work.called == ["a", "b", "b", "b", "b", "b", "c"], "two attempts in each of three rounds, the last ended it"
    assert twin_storage.load_run("w").retries == 2


def test_a_workflow_whose_retries_are_used_up_fails_and_gets_new_ones_when_it_is_run_again(
    new_workflow: New, twin_storage: Any
) -> None:
    work = Work(b=5)
    flow = new_workflow("w", retry=THRICE).step("a", work.do).step("b", work.do)
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w")
    assert work.called == ["a", "b", "b", "b"]
    assert flow.run(workflow_id="w") == "B"
    assert work.called == ["a", "b", "b", "b", "b", "b", "b"]


def test_what_was_done_is_undone_in_reverse_order_and_one_that_fails_does_not_stop_the_others(
    new_workflow: New, twin_storage: Any
) -> None:
    reports: list[Undone] = []
    error = "StepFailed"
    work = Work(d=99, **{f"unb(B, in, {error})": 99})
    flow = (
        new_workflow("w", compensate=Compensation(retry=Retry(max_attempts=2, base=0), on_complete=reports.append))
        .step("a", work.do, compensate=work.undo)
        .step("b", work.do, compensate=work.undo)
        .step("plain", work.do)
        .step("c", work.do, compensate=work.undo)
        .step("d", work.do, compensate=work.undo)
    )
    with pytest.raises(StepFailed, match="'d'"):
        flow.run(workflow_id="w", input="in")
    undoing = [f"un{step}({step.upper()}, in, {error})" for step in "cbba"]
    assert work.called == ["a", "b", "plain", "c", "d", *undoing], "what failed was never done"
    (report,) = reports
    assert (report.workflow_id, report.steps, list(report.failures)) == ("w", ("c", "a"), ["b"])
    assert report.failures["b"].message == f"{undoing[1]} will not"
    assert report.error.error_type.endswith("StepFailed")
    state = twin_storage.load_workflow("w")
    assert state.status is WorkflowStatus.FAILED
    assert {name: step.status.name for name, step in state.steps.items()} == {
        "a": "COMPENSATED", "b": "COMPLETED", "plain": "COMPLETED", "c": "COMPENSATED", "d": "FAILED",
    }  # fmt: skip
    attempts = [one for one in twin_storage.load_step_attempts("w") if one.attempt_type is AttemptType.COMPENSATION]
    assert [(one.step_name, one.attempt, one.status.name) for one in attempts] == [
        ("c", 1, "COMPLETED"), ("b", 1, "FAILED"), ("b", 2, "FAILED"), ("a", 1, "COMPLETED"),
    ]  # fmt: skip


def test_the_order_of_undoing_is_that_of_completion_and_not_of_declaration(new_workflow: New) -> None:
    work = Work(end=1)
    second = threading.Event()

    def first(ctx: Context) -> str:
        assert second.wait(20)
        return "x"

    def last(ctx: Context) -> str:
        try:
            return "y"
        finally:
            second.set()

    undone: list[str] = []
    flow = (
        new_workflow("w")
        .step("slow", first, depends_on=[], compensate=lambda ctx: undone.append(ctx.step_name))
        .step("quick", last, depends_on=[], compensate=lambda ctx: undone.append(ctx.step_name))
        .step("after", lambda ctx: None, depends_on="quick", compensate=lambda ctx: undone.append(ctx.step_name))
        .step("end", work.do, depends_on=["slow", "after"])
    )
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w")
    assert set(undone) == {"slow", "quick", "after"}
    assert undone.index("after") < undone.index("quick")


def test_run_again_executes_what_was_undone_once_more(new_workflow: New, twin_storage: Any) -> None:
    work = Work(c=1)
    flow = new_workflow("w").step("a", work.do, compensate=work.undo).step("b", work.do).step("c", work.do)
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w")
    assert flow.run(workflow_id="w") == "C"
    assert work.called == ["a", "b", "c", "una(A, None, StepFailed)", "a", "c"]
    assert [step.status.name for step in twin_storage.load_workflow("w").steps.values()] == ["COMPLETED"] * 3


@pytest.mark.parametrize("trigger", ["after-retries", "immediate"])
def test_when_compensation_begins(new_workflow: New, trigger: Any) -> None:
    work = Work(b=99)
    flow = (
        new_workflow("w", retry=THRICE, compensate=Compensation(trigger=trigger))
        .step("a", work.do, compensate=lambda ctx: work.called.append("una"))
        .step("b", work.do)
    )
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w")
    assert work.called == ["a", *["b"] * (3 if trigger == "after-retries" else 1), "una"]


def test_an_interrupted_compensation_goes_on_where_it_was(new_workflow: New, twin_storage: Any) -> None:
    """As when the process dies while it undoes: what was undone is not undone twice, and the first error stands."""
    work = Work(c=1)

    def undo(ctx: Context) -> None:
        work.called.append(f"un{ctx.step_name}")
        if ctx.step_name == "a" and work.called.count("una") == 1:
            raise KeyboardInterrupt

    flow = new_workflow("w").step("a", work.do, compensate=undo).step("b", work.do, compensate=undo).step("c", work.do)
    with pytest.raises(KeyboardInterrupt):
        flow.run(workflow_id="w")
    assert twin_storage.load_workflow("w").status is WorkflowStatus.COMPENSATING
    with pytest.raises(WorkflowError, match="c will not"):
        flow.run(workflow_id="w")
    assert work.called == ["a", "b", "c", "unb", "una", "una"]
    state = twin_storage.load_workflow("w")
    assert (state.status, state.error.error_type) == (WorkflowStatus.FAILED, "promin_postgres.errors.StepFailed")


def test_a_failed_run_is_published_once_to_the_dead_letter_sink(
    twin: Twin, twin_db: Any, new_workflow: New, twin_storage: Any
) -> None:
    queue = twin.pick(PgQueue, AsyncPgQueue).create(twin_db, "dead")
    sink = queue._target if twin.is_async else queue
    work = Work(b=1)
    flow = new_workflow("w", dlq=sink, metadata={"team": "x"}).step("a", work.do).step("b", work.do)
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w", input={"n": 1})
    (letter,) = queue.pop(10)
    assert letter["error"]["traceback"]
    del letter["error"]["traceback"]
    assert letter == {
        "workflow_id": "w", "workflow_name": "w", "run": 1, "input": {"n": 1}, "metadata": {"team": "x"},
        "error": {
            "type": "promin_postgres.errors.StepFailed",
            "message": "step 'b' of workflow 'w' failed in attempt 1: ValueError: b will not",
        },
    }  # fmt: skip


def test_a_sink_that_fails_does_not_keep_the_run_from_failing(
    new_workflow: New, twin_storage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Sink:
        def publish(self, letter: Any) -> None:
            raise OSError("full")

    with pytest.raises(StepFailed):
        new_workflow("w", dlq=Sink()).step("a", Work(a=1).do).run(workflow_id="w")
    assert twin_storage.load_workflow("w").status is WorkflowStatus.FAILED
    assert "was not told of the failure of workflow 'w'" in caplog.text


def test_hooks_hear_of_what_happened_and_cannot_change_it(new_workflow: New, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[tuple[str, Event]] = []

    def hook(kind: str) -> Callable[[Event], None]:
        def hear(event: Event) -> None:
            heard.append((kind, event))
            raise RuntimeError("a hook of this kind")

        return hear

    hooks = Hooks(**{f"on_{kind}": hook(kind) for kind in (
        "step_start", "step_complete", "step_failure", "workflow_complete", "workflow_failure",
    )})  # fmt: skip
    work = Work(b=2)
    flow = new_workflow("w", hooks=hooks).step("a", work.do).step("b", work.do, retry=Retry(max_attempts=2, base=0))
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w")
    assert [(kind, event.step_name, event.attempt, event.result, event.final) for kind, event in heard] == [
        ("step_start", "a", 1, None, False), ("step_complete", "a", 1, "A", True),
        ("step_start", "b", 1, None, False), ("step_failure", "b", 1, None, False),
        ("step_start", "b", 2, None, False), ("step_failure", "b", 2, None, True),
        ("workflow_failure", None, None, None, True),
    ]  # fmt: skip
    assert [type(event.error).__name__ for _, event in heard if event.error] == [
        "ValueError",
        "ValueError",
        "StepFailed",
    ]
    heard.clear()
    assert flow.run(workflow_id="w") == "B"
    assert [(kind, event.result) for kind, event in heard][-1] == ("workflow_complete", "B")
    assert "a hook of workflow 'w' raised" in caplog.text


def test_a_run_that_is_not_over_by_its_deadline_fails_and_its_step_sees_it(
    new_workflow: New, twin_storage: Any
) -> None:
    left = threading.Event()
    undone: list[str] = []

    def hang(ctx: Context) -> None:
        until(lambda: ctx.cancelled)
        left.set()

    flow = (
        new_workflow("w", deadline=0.5, retry=THRICE)
        .step("a", lambda ctx: 1, compensate=lambda ctx: undone.append("a"))
        .step("b", hang)
    )
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="'w' was not over by its deadline"):
        flow.run(workflow_id="w")
    assert time.monotonic() - began < 10
    assert left.wait(20)
    state = twin_storage.load_workflow("w")
    assert (state.status, state.error.error_type) == (WorkflowStatus.FAILED, "promin_postgres.errors.DeadlineExceeded")
    assert (undone, state.steps["b"].status) == (["a"], StepStatus.PENDING)


def test_the_deadline_counts_while_a_run_waits(new_workflow: New) -> None:
    flow = new_workflow("w", deadline=0.4).wait_for_signal("s", signal="go")
    with pytest.raises(DeadlineExceeded):
        flow.run(workflow_id="w", wait=30)


def test_a_step_sees_that_its_run_was_cancelled(new_workflow: New, twin_storage: Any) -> None:
    entered, seen = threading.Event(), threading.Event()

    def work(ctx: Context) -> None:
        entered.set()
        until(lambda: ctx.cancelled)
        seen.set()

    flow = new_workflow("w").step("a", work).step("b", Work().do)
    running = threading.Thread(target=lambda: outcomes.append(flow.run_safe(workflow_id="w")))
    outcomes: list[Any] = []
    running.start()
    assert entered.wait(20)
    twin_storage.cancel_workflow("w")
    running.join(20)
    assert seen.wait(20)
    assert isinstance(outcomes[0].error, WorkflowCancelled)
    assert twin_storage.load_workflow("w").steps["b"].attempt == 0
