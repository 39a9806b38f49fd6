"""Workflows that are functions: what is recorded of them is what they see again, whenever they go on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from _durable import bare
from _twins import Twin

from promin_postgres._retry import Retry
from promin_postgres.errors import (
    AlreadyExists,
    CodecError,
    InvalidArgument,
    NonRetryable,
    StepFailed,
    WorkflowCancelled,
    WorkflowError,
    WorkflowInFlight,
)
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow import async_durable, durable
from promin_postgres.workflow.definition import ROOT

New = Callable[..., Any]


class Work:
    """Step functions that leave a trace, and fail as often as they are told to."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.failures: dict[Any, int] = {}

    def __call__(self, value: Any) -> Any:
        self.done.append(value)
        if self.failures.get(value, 0) > 0:
            self.failures[value] -= 1
            raise ValueError(f"{value} does not work")
        return value


@pytest.fixture
def work() -> Work:
    return Work()


def test_a_function_runs_once_and_its_record_is_the_answer(new_durable: New, twin_storage: Any, work: Work) -> None:
    def order(ctx: Any, given: Any) -> Any:
        user = ctx.step("fetch", work, given["user"])
        other = ctx.step("fetch", work, "other")
        return {"user": user, "other": other, "id": ctx.workflow_id}

    flow = new_durable("order", order)
    expected = {"user": "ada", "other": "other", "id": "o-1"}
    assert flow.run(workflow_id="o-1", input={"user": "ada"}) == expected
    assert flow.run(workflow_id="o-1", input={"user": "bob"}) == expected
    assert work.done == ["ada", "other"]
    state = twin_storage.load_workflow("o-1")
    assert (state.status, state.result, state.workflow_name) == (WorkflowStatus.COMPLETED, expected, "order")
    assert {name: (step.status, step.result) for name, step in state.steps.items()} == {
        ROOT: (StepStatus.COMPLETED, expected),
        "fetch": (StepStatus.COMPLETED, "ada"),
        "fetch#2": (StepStatus.COMPLETED, "other"),
    }


def test_what_is_recorded_is_not_executed_again(new_durable: New, work: Work) -> None:
    def order(ctx: Any, given: Any) -> Any:
        return [ctx.step("a", work, 1), ctx.step("b", work, 2), ctx.step("c", work, 3)]

    flow = new_durable("order", order)
    work.failures[2] = 1
    with pytest.raises(StepFailed) as caught:
        flow.run(workflow_id="w")
    assert (caught.value.step_name, caught.value.error_type, caught.value.attempt) == ("b", "ValueError", 1)
    assert isinstance(caught.value.__cause__, ValueError)
    assert flow.run(workflow_id="w") == [1, 2, 3]
    assert work.done == [1, 2, 2, 3]


def test_values_are_what_they_are_after_a_restart_from_the_first_time_on(new_durable: New, work: Work) -> None:
    seen = []

    def order(ctx: Any, given: Any) -> Any:
        value = ctx.step("a", lambda: {"1": (2, 3)})
        seen.append(value)
        value["more"] = given.pop("x")
        ctx.step("b", work, "b")
        return value

    flow = new_durable("order", order)
    work.failures["b"] = 1
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w", input={"x": 1})
    assert flow.run(workflow_id="w") == {"1": [2, 3], "more": 1}
    assert all(value is not seen[0] for value in seen[1:])


def test_a_failure_that_was_dealt_with_is_seen_again_and_not_executed_again(new_durable: New, work: Work) -> None:
    seen = []

    def order(ctx: Any, given: Any) -> Any:
        try:
            ctx.step("pay", work, "pay")
        except StepFailed as error:
            seen.append((error.step_name, error.error_type, error.error_message, error.attempt))
            ctx.step("tell", work, "tell")
        return ctx.step("last", work, "last")

    flow = new_durable("order", order)
    work.failures.update(pay=5, last=2)
    for _ in range(2):
        with pytest.raises(StepFailed, match="last"):
            flow.run(workflow_id="w")
    assert flow.run(workflow_id="w") == "last"
    assert set(seen) == {("pay", "ValueError", "pay does not work", 1)}
    assert work.done == ["pay", "tell", "last", "last", "last"]


def test_what_the_function_failed_of_is_executed_again_also_when_it_cleaned_up(new_durable: New, work: Work) -> None:
    def order(ctx: Any, given: Any) -> Any:
        ctx.step("reserve", work, "reserve")
        try:
            ctx.step("pay", work, "pay")
        except StepFailed as error:
            ctx.step("cancel", work, "cancel")
            raise RuntimeError("no payment") from error
        ctx.step("ship", work, "ship")
        return ctx.step("thank", work, "thank")

    flow = new_durable("order", order)
    work.failures.update(pay=1, thank=1)
    with pytest.raises(RuntimeError, match="no payment"):
        flow.run(workflow_id="w")
    with pytest.raises(StepFailed, match="thank"):
        flow.run(workflow_id="w")
    assert flow.run(workflow_id="w") == "thank"
    assert work.done == ["reserve", "pay", "cancel", "pay", "ship", "thank", "thank"]


def test_an_error_of_the_function_itself_comes_out_as_it_is(new_durable: New, twin_storage: Any, work: Work) -> None:
    broken = [True]

    def order(ctx: Any, given: Any) -> Any:
        value = ctx.step("a", work, 1)
        if broken.pop():
            raise LookupError("a defect")
        return value

    flow = new_durable("order", order)
    with pytest.raises(LookupError, match="a defect"):
        flow.run(workflow_id="w")
    state = twin_storage.load_workflow("w")
    assert state.status is WorkflowStatus.FAILED
    assert (state.error.error_type, state.error.message) == ("LookupError", "a defect")
    broken.append(False)
    assert flow.run(workflow_id="w") == 1
    assert work.done == [1]


def test_a_step_is_retried_and_counted(new_durable: New, twin_storage: Any, work: Work) -> None:
    def order(ctx: Any, given: Any) -> Any:
        return ctx.step("a", work, "a", retry=Retry(max_attempts=3, base=0))

    flow = new_durable("order", order)
    work.failures["a"] = 4
    with pytest.raises(StepFailed) as caught:
        flow.run(workflow_id="w")
    assert caught.value.attempt == 3
    assert flow.run(workflow_id="w") == "a", "a run that is taken up again has all of its attempts"
    assert twin_storage.load_workflow("w").steps["a"].attempt == 5
    attempts = twin_storage.load_step_attempts("w", step_name="a")
    assert [attempt.status for attempt in attempts] == [StepStatus.FAILED] * 4 + [StepStatus.COMPLETED]


def test_some_errors_are_not_retried(new_durable: New) -> None:
    seen = []

    def refuse(error: type[Exception]) -> None:
        seen.append(error)
        raise error("no")

    def order(ctx: Any, given: Any) -> Any:
        options = {"retry": Retry(max_attempts=3, base=0), "retry_if": lambda error: isinstance(error, OSError)}
        for name, error in (("a", NonRetryable), ("b", KeyError), ("c", OSError)):
            with pytest.raises(StepFailed):
                ctx.step(name, refuse, error, **options)

    new_durable("order", order).run(workflow_id="w")
    assert seen == [NonRetryable, KeyError, OSError, OSError, OSError]


def test_a_step_that_takes_too_long_has_failed(new_durable: New) -> None:
    released = threading.Event()

    def order(ctx: Any, given: Any) -> Any:
        try:
            ctx.step("slow", released.wait, 20, timeout=0.05)
        except StepFailed as error:
            return error.error_type
        finally:
            released.set()

    assert new_durable("order", order).run(workflow_id="w") == "TimeoutError"


def test_a_result_that_does_not_encode_fails_its_step_and_names_it(new_durable: New, twin_storage: Any) -> None:
    def order(ctx: Any, given: Any) -> Any:
        ctx.step("odd", lambda: {"at": [object()]}, retry=Retry(max_attempts=3, base=0))

    flow = new_durable("order", order)
    with pytest.raises(StepFailed, match=r"'odd'.*\$\.at\[0\]") as caught:
        flow.run(workflow_id="w")
    assert isinstance(caught.value.__cause__, CodecError)
    assert caught.value.attempt == 1
    assert twin_storage.load_workflow("w").steps["odd"].status is StepStatus.FAILED


def test_a_function_whose_result_does_not_encode_fails(new_durable: New, twin_storage: Any) -> None:
    flow = new_durable("order", lambda_of(lambda ctx, given: object()))
    with pytest.raises(CodecError, match="result of the function"):
        flow.run(workflow_id="w")
    assert twin_storage.load_workflow("w").status is WorkflowStatus.FAILED
    with pytest.raises(CodecError):
        flow.run(workflow_id="other", input=object())
    assert twin_storage.load_workflow("other") is None


def lambda_of(function: Any) -> Any:
    def named(ctx: Any, given: Any) -> Any:
        return function(ctx, given)

    return named


@pytest.mark.parametrize("name", ["", "a#2", "#", "x" * 241, None])
def test_bad_names_of_steps_are_refused(new_durable: New, name: Any, work: Work) -> None:
    flow = new_durable("order", lambda_of(lambda ctx, given: ctx.step(name, work, 1)))
    with pytest.raises(InvalidArgument) as caught:
        flow.run(workflow_id="w")
    assert caught.value.argument == "name"
    assert work.done == []


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("function", lambda ctx: ctx.step("a", "not callable")),
        ("timeout", lambda ctx: ctx.step("a", print, timeout=0)),
        ("retry", lambda ctx: ctx.step("a", print, retry=3)),
        ("seconds", lambda ctx: ctx.sleep("a", -1)),
        ("seconds", lambda ctx: ctx.sleep("a")),
        ("signal", lambda ctx: ctx.wait_for_signal("a", signal="")),
        ("on_timeout", lambda ctx: ctx.wait_for_signal("a", on_timeout="skip")),
        ("workflow", lambda ctx: ctx.subworkflow("a", "not a workflow")),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_recorded(
    new_durable: New, twin_storage: Any, argument: str, call: Any
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        new_durable("order", lambda_of(lambda ctx, given: call(ctx))).run(workflow_id="w")
    assert caught.value.argument == argument
    assert set(twin_storage.load_workflow("w").steps) == {ROOT}


def test_only_functions_of_two_arguments_are_taken(twin_storage: Any) -> None:
    async def asynchronous(ctx: Any, given: Any) -> None: ...

    def plain(ctx: Any, given: Any) -> None: ...

    async def asynchronous_of_one(ctx: Any) -> None: ...

    for decorate, functions in (
        (durable("w", storage=twin_storage), [asynchronous, lambda ctx: None, print, None, 7]),
        (async_durable("w", storage=twin_storage), [plain, asynchronous_of_one, print, None]),
    ):
        for function in functions:
            with pytest.raises(InvalidArgument) as caught:
                decorate(function)
            assert caught.value.argument == "function"
    with pytest.raises(InvalidArgument):
        durable("", storage=twin_storage)(plain)
    with pytest.raises(InvalidArgument):
        durable("w", storage=twin_storage, queue="")(plain)


def test_force_runs_the_function_afresh(new_durable: New, work: Work) -> None:
    def order(ctx: Any, given: Any) -> Any:
        return ctx.step("a", work, given)

    flow = new_durable("order", order)
    assert flow.run(workflow_id="w", input=1) == 1
    assert flow.run(workflow_id="w", force=True) == 1
    assert flow.run(workflow_id="w", force=True, input=2) == 2
    assert work.done == [1, 1, 2]


def test_a_cancelled_run_stops_at_its_next_step_whatever_it_catches(
    new_durable: New, twin_storage: Any, work: Work
) -> None:
    caught: list[type[Exception]] = []

    def order(ctx: Any, given: Any) -> Any:
        for number in range(3):
            try:
                ctx.step(f"s{number}", lambda number=number: work(number) or twin_storage.cancel_workflow("w"))
            except Exception as error:  # noqa: BLE001 - what a careless function may do
                caught.append(type(error))
        return "done"

    flow = new_durable("order", order)
    for _ in range(2):
        with pytest.raises(WorkflowCancelled):
            flow.run(workflow_id="w")
    assert work.done == [0]
    assert caught == [WorkflowCancelled] * 3
    assert twin_storage.load_workflow("w").status is WorkflowStatus.CANCELLED


def test_one_run_is_driven_by_one_at_a_time(new_durable: New) -> None:
    def order(ctx: Any, given: Any) -> Any:
        return ctx.step("a", again)

    def again() -> None:
        with pytest.raises(WorkflowInFlight):
            flow.run(workflow_id="w")

    flow = new_durable("order", order)
    flow.run(workflow_id="w")


def test_a_checkpoint_that_somebody_else_wrote_stops_the_function(
    new_durable: New, twin_storage: Any, work: Work
) -> None:
    """As when a process was taken for dead and goes on: nothing that it does counts, whatever it catches."""

    def order(ctx: Any, given: Any) -> Any:
        with contextlib.suppress(AlreadyExists):
            ctx.step("a", lambda: twin_storage.save_step_result("w", "a", "somebody else's"))
        return ctx.step("b", work, "b")

    with pytest.raises(AlreadyExists):
        new_durable("order", order).run(workflow_id="w")
    assert work.done == []
    assert twin_storage.load_workflow("w").status is WorkflowStatus.RUNNING


def test_nothing_can_be_asked_for_when_the_function_has_ended(
    new_durable: New, twin: Twin, twin_storage: Any, work: Work
) -> None:
    kept = []

    def order(ctx: Any, given: Any) -> Any:
        kept.append(twin.wrap(bare(ctx)))

    new_durable("order", order).run(workflow_id="w")
    (ctx,) = kept
    with pytest.raises(WorkflowError, match="has ended"):
        ctx.step("late", work, 1)
    assert work.done == []
    assert set(twin_storage.load_workflow("w").steps) == {ROOT}


def test_a_long_function_is_replayed_in_two_statements(new_durable: New, twin_storage: Any, work: Work) -> None:
    def order(ctx: Any, given: Any) -> Any:
        total = sum(ctx.step("add", work, number) for number in range(300))
        ctx.step("last", work, "last")
        return total

    flow = new_durable("order", order)
    work.failures["last"] = 1
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w")
    assert flow.run(workflow_id="w") == sum(range(300))
    assert work.done.count("last") == 2
    assert len(work.done) == 302
