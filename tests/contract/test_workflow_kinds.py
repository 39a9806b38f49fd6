"""Steps of every kind: what they give, what is recorded of them, and what becomes of them when they fail."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from _waiting import until

from promin_postgres import (
    CodecError,
    Context,
    Fallback,
    NonRetryable,
    Retry,
    StepFailed,
    StepStatus,
    WorkflowCancelled,
    WorkflowStatus,
)

New = Callable[..., Any]
TWICE = Retry(max_attempts=2, base=0)


def fail(ctx: Context) -> None:
    raise ValueError(f"{ctx.step_name} will not")


def test_a_map_executes_each_element_once_and_gives_their_results_in_order(new_workflow: New) -> None:
    executed: Counter[int] = Counter()
    at_once, most = threading.Semaphore(3), []

    def square(ctx: Context) -> int:
        assert at_once.acquire(blocking=False), "more than three at the same time"
        executed[ctx.index] += 1
        most.append(ctx.attempt)
        at_once.release()
        return ctx.item * ctx.item

    flow = (
        new_workflow("w")
        .step("list", lambda ctx: list(range(ctx.input)))
        .map_over("squares", square, over="list", concurrency=3)
        .step("sum", lambda ctx: sum(ctx.prev))
    )
    assert flow.run(workflow_id="w", input=1_203) == sum(n * n for n in range(1_203))
    assert executed == Counter(range(1_203))
    assert set(most) == {1}
    assert flow.run(workflow_id="none", input=0) == 0, "no elements are a list too"


def test_a_map_goes_over_what_a_function_gives(new_workflow: New) -> None:
    flow = new_workflow("w").map_over("m", lambda ctx: [ctx.item, ctx.prev], over=lambda ctx: (n for n in ctx.input))
    assert flow.run(workflow_id="w", input=["a", "b"]) == [["a", None], ["b", None]]


def test_an_element_is_tried_again_by_itself_and_a_resumed_map_executes_only_what_is_left(
    new_workflow: New, twin_storage: Any
) -> None:
    executed: Counter[int] = Counter()
    listed: list[int] = []
    broken = {5}

    def work(ctx: Context) -> int:
        executed[ctx.item] += 1
        if ctx.item in broken or (ctx.item == 3 and ctx.attempt == 1):
            raise ValueError(f"not {ctx.item}")
        return ctx.item

    def elements(ctx: Context) -> list[int]:
        listed.append(1)
        return list(range(10))

    flow = new_workflow("w").map_over("m", work, over=elements, concurrency=1, retry=TWICE)
    with pytest.raises(StepFailed, match="element 5: not 5") as caught:
        flow.run(workflow_id="w")
    assert isinstance(caught.value.__cause__, ValueError)
    assert executed == {0: 1, 1: 1, 2: 1, 3: 2, 4: 1, 5: 2}
    tasks = {task.task_index: task for task in twin_storage.load_workflow("w").steps["m"].tasks}
    assert {index: tasks[index].status for index in (3, 5, 6)} == {
        3: StepStatus.COMPLETED, 5: StepStatus.FAILED, 6: StepStatus.PENDING,
    }  # fmt: skip
    assert (tasks[3].attempt, tasks[5].error.message) == (2, "not 5")
    assert sorted(tasks) == list(range(10)), "elements, and nothing else"

    broken.clear()
    assert flow.run(workflow_id="w") == list(range(10))
    assert executed == {0: 1, 1: 1, 2: 1, 3: 2, 4: 1, 5: 3, 6: 1, 7: 1, 8: 1, 9: 1}
    assert len(listed) == 1, "the elements were recorded"


def test_a_map_refuses_what_has_no_elements_and_what_does_not_encode(new_workflow: New, twin_storage: Any) -> None:
    for given in ("text", 7, None):
        flow = new_workflow("w").step("a", lambda ctx: ctx.input).map_over("m", fail, over="a")
        with pytest.raises(StepFailed, match="gave no elements to step 'm'"):
            flow.run(workflow_id=f"w {given}", input=given)
    with pytest.raises(CodecError, match="element 1 for step 'm'"):
        new_workflow("w").map_over("m", fail, over=lambda ctx: [1, {2}]).run(workflow_id="in")
    with pytest.raises(CodecError, match="step 'm', element 0"):
        new_workflow("w").map_over("m", lambda ctx: {ctx.index}, over=lambda ctx: [1], retry=TWICE).run(
            workflow_id="out"
        )


def test_a_branch_calls_one_function_and_its_decision_holds(new_workflow: New) -> None:
    answers = [True, False, False]
    called: list[str] = []

    def big(ctx: Context) -> str:
        called.append("big")
        if len(called) == 1:
            raise ValueError
        return "big"

    flow = new_workflow("w").branch("b", condition=lambda ctx: answers.pop(0), if_true=big, if_false=fail, retry=TWICE)
    assert flow.run(workflow_id="w") == "big"
    assert called == ["big", "big"], "the second attempt went the same way, though the condition would not"
    one_armed = new_workflow("w2").branch("b", condition=lambda ctx: ctx.input, if_true=lambda ctx: "yes")
    assert one_armed.run(workflow_id="t", input=True) == "yes"
    assert one_armed.run(workflow_id="f", input=False) is None


def test_parallel_functions_run_side_by_side_and_each_only_once(new_workflow: New) -> None:
    meeting = threading.Barrier(2)
    executed: Counter[str] = Counter()
    broken = [1]

    def left(ctx: Context) -> str:
        executed["left"] += 1
        meeting.wait(20)
        return "L"

    def right(ctx: Context) -> None:
        executed["right"] += 1
        if executed["right"] == 1:
            meeting.wait(20)
        if broken:
            raise ValueError("not yet")

    flow = new_workflow("w").parallel("p", {"left": left, 'the "right"': right})
    with pytest.raises(StepFailed, match="'the \"right\"': not yet"):
        flow.run(workflow_id="w")
    broken.clear()
    assert flow.run(workflow_id="w") == {"left": "L", 'the "right"': None}
    assert executed == {"left": 1, "right": 2}


@pytest.mark.parametrize(
    ("on_failure", "result"),
    [("skip", None), (Fallback("instead"), "instead"), (Fallback(lambda ctx: str(ctx.error)), "a will not")],
)
def test_a_step_that_fails_for_good_may_be_put_up_with(
    new_workflow: New, twin_storage: Any, on_failure: Any, result: Any
) -> None:
    flow = (
        new_workflow("w")
        .step("a", fail, retry=TWICE, on_failure=on_failure)
        .step("b", lambda ctx: [ctx.prev, "went on"])
    )
    assert flow.run(workflow_id="w") == [result, "went on"]
    assert flow.run(workflow_id="w") == [result, "went on"]
    step = twin_storage.load_workflow("w").steps["a"]
    assert step.status is (StepStatus.SKIPPED if on_failure == "skip" else StepStatus.COMPLETED)
    assert (step.result, step.error.message) == (result, "a will not")
    attempts = twin_storage.load_step_attempts("w", step_name="a")
    assert [(one.attempt, one.status) for one in attempts] == [(1, StepStatus.FAILED), (2, StepStatus.FAILED)]


def test_a_fallback_that_fails_fails_the_step(new_workflow: New) -> None:
    flow = new_workflow("w").step("a", fail, on_failure=Fallback(lambda ctx: 1 / 0))
    with pytest.raises(StepFailed, match="ZeroDivisionError"):
        flow.run(workflow_id="w")
    with pytest.raises(CodecError, match="fallback of step 'a'"):
        new_workflow("w").step("a", fail, on_failure=Fallback(lambda ctx: {1})).run(workflow_id="w2")


def test_some_errors_are_not_tried_again(new_workflow: New) -> None:
    class Declined(NonRetryable):
        pass

    attempts: list[int] = []

    def work(ctx: Context) -> None:
        attempts.append(ctx.attempt)
        raise ctx_errors[ctx.input]

    ctx_errors = {"declined": Declined("no"), "wrong": KeyError("x"), "odd": TypeError("x"), "slow": TimeoutError("x")}

    def passing(error: Exception) -> bool:
        if isinstance(error, TypeError):
            raise RuntimeError("a predicate of this kind")
        return isinstance(error, TimeoutError)

    flow = new_workflow("w").step("a", work, retry=Retry(max_attempts=3, base=0), retry_if=passing)
    for given, expected in (("declined", [1]), ("wrong", [1]), ("odd", [1]), ("slow", [1, 2, 3])):
        attempts.clear()
        with pytest.raises(StepFailed):
            flow.run(workflow_id=given, input=given)
        assert attempts == expected


def test_a_subworkflow_is_a_run_of_its_own_with_its_result(new_workflow: New, twin_storage: Any) -> None:
    child = new_workflow("child").step("double", lambda ctx: ctx.input * 2)
    flow = (
        new_workflow("parent")
        .step("a", lambda ctx: 4)
        .subworkflow("one", child, input=lambda ctx: ctx.prev)
        .subworkflow("two", child, input=5, workflow_id=lambda ctx: f"{ctx.workflow_id} and {ctx.prev}")
        .step("sum", lambda ctx: ctx.prev, depends_on="two")
    )
    assert flow.run(workflow_id="w") == 10
    assert twin_storage.load_workflow("w").steps["one"].result == 8
    for child_id, result in (("w/one", 8), ("w and 8", 10)):
        state = twin_storage.load_workflow(child_id)
        assert (state.workflow_name, state.parent_workflow_id, state.result) == ("child", "w", result)
    assert flow.run(workflow_id="w", force=True) == 10
    assert twin_storage.load_workflow("w/one#2").result == 8, "a fresh run has children of its own"


def test_a_child_that_failed_fails_its_step_and_is_gone_on_with_when_the_parent_is(new_workflow: New) -> None:
    executed: list[str] = []
    broken = [1]

    def note(ctx: Context) -> str:
        executed.append(ctx.step_name)
        if ctx.step_name == "y" and broken:
            raise ValueError("not yet")
        return ctx.step_name

    child = new_workflow("child").step("x", note).step("y", note)
    flow = new_workflow("parent").step("a", note).subworkflow("c", child, workflow_id="the child").step("b", note)
    with pytest.raises(StepFailed, match="not yet") as caught:
        flow.run(workflow_id="w")
    assert caught.value.step_name == "c"
    assert isinstance(caught.value.__cause__, StepFailed)
    assert caught.value.__cause__.step_name == "y"
    broken.clear()
    assert flow.run(workflow_id="w") == "b"
    assert executed == ["a", "x", "y", "y", "b"]


def test_cancelling_a_parent_cancels_its_children(new_workflow: New, twin_storage: Any) -> None:
    seen = threading.Event()

    def cancel(ctx: Context) -> None:
        twin_storage.cancel_workflow("w", cascade=True)
        until(lambda: ctx.cancelled)
        seen.set()

    child = new_workflow("child").step("x", cancel).step("y", fail)
    flow = new_workflow("parent").subworkflow("c", child).step("b", fail)
    with pytest.raises(WorkflowCancelled):
        flow.run(workflow_id="w")
    assert seen.wait(20)
    for workflow_id in ("w", "w/c"):
        assert twin_storage.load_workflow(workflow_id).status is WorkflowStatus.CANCELLED


def test_a_child_id_that_belongs_to_another_workflow_is_refused(new_workflow: New) -> None:
    new_workflow("other").step("a", lambda ctx: 1).run(workflow_id="taken")
    child = new_workflow("child").step("a", lambda ctx: 2)
    flow = new_workflow("parent").subworkflow("c", child, workflow_id="taken")
    with pytest.raises(StepFailed, match="'other'"):
        flow.run(workflow_id="w")
