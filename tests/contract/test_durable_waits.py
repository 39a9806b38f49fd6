"""A function that sleeps, waits for signals and for other workflows, without a thread: it is called again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from _storage import query

from promin_postgres.errors import StepFailed, WorkflowCancelled, WorkflowSuspended
from promin_postgres.lookups import StepStatus, StepType, WorkflowStatus
from promin_postgres.workflow import Fallback
from promin_postgres.workflow.definition import ROOT

New = Callable[..., Any]


def wake(dsn: str) -> None:
    """Let the time come that sleeps and waits with a timeout are waiting for."""
    query(
        dsn,
        "UPDATE wf_workflow_steps SET wake_at = wake_at - interval '1 day', "
        "signal_timeout_at = signal_timeout_at - interval '1 day'",
    )


def test_a_sleep_suspends_the_run_until_its_time_has_come(new_durable: New, twin_storage: Any, promin_dsn: str) -> None:
    done = []

    def nap(ctx: Any, given: Any) -> Any:
        ctx.step("before", done.append, "before")
        ctx.sleep("nap", 3600)
        ctx.sleep("nap", timedelta(hours=2))
        return ctx.step("after", done.append, "after")

    flow = new_durable("nap", nap)
    moments = []
    for hours in (1, 1, 2, 2):
        with pytest.raises(WorkflowSuspended) as caught:
            flow.run(workflow_id="w")
        moments.append(caught.value.until)
        assert abs(moments[-1] - datetime.now(UTC) - timedelta(hours=hours)) < timedelta(minutes=1)
        state = twin_storage.load_workflow("w")
        assert state.status is WorkflowStatus.SUSPENDED
        if len(moments) == 2:
            wake(promin_dsn)
    assert moments[0] == moments[1], "the first moment stands"
    assert moments[2] == moments[3]
    assert state.steps["nap"].status is StepStatus.COMPLETED
    assert state.steps["nap#2"].step_type is StepType.SLEEP
    wake(promin_dsn)
    flow.run(workflow_id="w")
    assert done == ["before", "after"]


def test_a_sleep_until_a_moment(new_durable: New) -> None:
    spring = datetime(2100, 3, 20, tzinfo=UTC)

    def nap(ctx: Any, given: Any) -> Any:
        ctx.sleep("past", until=datetime(2000, 1, 1, tzinfo=UTC))
        ctx.sleep("long", until=spring)

    flow = new_durable("nap", nap)
    with pytest.raises(WorkflowSuspended):
        flow.run(workflow_id="w")
    with pytest.raises(WorkflowSuspended) as caught:
        flow.run(workflow_id="w", wait=0.5)
    assert caught.value.until == spring


def test_a_caller_may_stay_until_the_end(new_durable: New, twin_storage: Any) -> None:
    def nap(ctx: Any, given: Any) -> Any:
        ctx.sleep("short", 0.2)
        return ctx.wait_for_signal("answer")

    flow = new_durable("nap", nap)
    timer = threading.Timer(0.6, lambda: twin_storage.deliver_signal("w", "answer", {"yes": True}))
    timer.start()
    assert flow.run(workflow_id="w", wait=30) == {"yes": True}
    timer.join()


@pytest.mark.parametrize("careless", ["except", "finally", "bare except"])
def test_a_suspended_function_goes_no_further_whatever_it_catches(
    new_durable: New, promin_dsn: str, careless: str
) -> None:
    done = []

    def nap(ctx: Any, given: Any) -> Any:
        if careless == "except":
            try:
                ctx.sleep("nap", 3600)
            except Exception:  # noqa: BLE001 - what a careless function may do
                done.append("caught")
        elif careless == "finally":
            try:
                ctx.sleep("nap", 3600)
            finally:
                done.append("finally")
        else:
            with contextlib.suppress(BaseException):
                ctx.sleep("nap", 3600)
            done.append("went on")
            return ctx.step("after", done.append, "after")
        return done.append("after")

    flow = new_durable("nap", nap)
    with pytest.raises(WorkflowSuspended):
        flow.run(workflow_id="w")
    assert "after" not in done
    assert "caught" not in done
    wake(promin_dsn)
    flow.run(workflow_id="w")
    assert done[-1] == "after"


@pytest.mark.parametrize("when", ["before the run", "before the wait", "during"])
def test_a_signal_is_there_whenever_it_came(new_durable: New, twin_storage: Any, when: str) -> None:
    def ask(ctx: Any, given: Any) -> Any:
        if when == "before the wait":
            ctx.step("deliver", lambda: twin_storage.deliver_signal("w", "approval", "yes") and None)
        return ctx.wait_for_signal("answer", signal="approval")

    flow = new_durable("ask", ask)
    if when == "before the run":
        twin_storage.create_workflow("w", workflow_name="ask", steps=specs_of(flow))
        twin_storage.deliver_signal("w", "approval", "yes")
    if when == "during":
        for _ in range(2):
            with pytest.raises(WorkflowSuspended) as caught:
                flow.run(workflow_id="w")
            assert caught.value.signal == "approval"
        assert twin_storage.deliver_signal("w", "approval", "yes"), "somebody waits"
    assert flow.run(workflow_id="w") == "yes"
    step = twin_storage.load_workflow("w").steps["answer"]
    assert (step.step_type, step.status, step.result) == (StepType.SIGNAL, StepStatus.COMPLETED, "yes")


def specs_of(flow: Any) -> Any:
    from promin_postgres.workflow.definition import specs

    return specs(flow.definition)


def test_signals_of_one_name_are_handed_out_in_turn(new_durable: New, twin_storage: Any) -> None:
    def ask(ctx: Any, given: Any) -> Any:
        first = ctx.wait_for_signal("vote")
        return [first, ctx.wait_for_signal("other", signal="vote"), ctx.wait_for_signal("vote")]

    flow = new_durable("ask", ask)
    for vote in (1, 2, 3):
        with pytest.raises(WorkflowSuspended):
            flow.run(workflow_id="w")
        twin_storage.deliver_signal("w", "vote", vote)
    assert flow.run(workflow_id="w") == [1, 2, 3]
    assert flow.run(workflow_id="w") == [1, 2, 3]


@pytest.mark.parametrize(
    ("on_timeout", "expected"), [("fail", "TimeoutError"), ("skip", None), (Fallback("nobody"), "nobody")]
)
def test_a_signal_that_does_not_come_in_time(new_durable: New, promin_dsn: str, on_timeout: Any, expected: Any) -> None:
    def ask(ctx: Any, given: Any) -> Any:
        try:
            return [ctx.wait_for_signal("answer", timeout=60, on_timeout=on_timeout), ctx.sleep("nap", 60)]
        except StepFailed as error:
            ctx.sleep("nap", 60)
            return [error.error_type, error.step_name]

    flow = new_durable("ask", ask)
    with pytest.raises(WorkflowSuspended):
        flow.run(workflow_id="w")
    wake(promin_dsn)
    with pytest.raises(WorkflowSuspended) as caught:
        flow.run(workflow_id="w")
    assert caught.value.until is not None
    wake(promin_dsn)
    assert flow.run(workflow_id="w")[0] == expected


def test_a_function_runs_other_workflows(new_durable: New, new_workflow: New, twin_storage: Any) -> None:
    built = new_workflow("built").step("double", lambda ctx: ctx.input * 2)

    def inner(ctx: Any, given: Any) -> Any:
        return ctx.step("add", lambda: given + 1)

    written = new_durable("written", inner)

    def outer(ctx: Any, given: Any) -> Any:
        first = ctx.subworkflow("child", built, input=given)
        second = ctx.subworkflow("child", written, input=first)
        return [first, second, ctx.subworkflow("named", built, input=second, workflow_id="another id")]

    flow = new_durable("outer", outer)
    assert flow.run(workflow_id="w", input=10) == [20, 21, 42]
    for workflow_id, result in (("w/child", 20), ("w/child#2", 21), ("another id", 42)):
        child = twin_storage.load_workflow(workflow_id)
        assert (child.parent_workflow_id, child.status, child.result) == ("w", WorkflowStatus.COMPLETED, result)
    assert {step.step_type for name, step in twin_storage.load_workflow("w").steps.items() if name != ROOT} == {
        StepType.SUBWORKFLOW
    }


def test_a_failure_of_another_workflow_is_that_of_a_step(new_durable: New, new_workflow: New) -> None:
    fails = [True]

    def work(ctx: Any) -> str:
        if fails:
            raise ValueError("no")
        return "yes"

    child = new_workflow("child").step("a", work)

    def outer(ctx: Any, given: Any) -> Any:
        return ctx.subworkflow("child", child)

    flow = new_durable("outer", outer)
    with pytest.raises(StepFailed) as caught:
        flow.run(workflow_id="w")
    assert caught.value.step_name == "child"
    assert caught.value.workflow_id == "w"
    fails.clear()
    assert flow.run(workflow_id="w") == "yes"


def test_a_child_that_waits_lets_its_parent_wait(new_durable: New, twin_storage: Any) -> None:
    def inner(ctx: Any, given: Any) -> Any:
        return ctx.wait_for_signal("answer")

    child = new_durable("inner", inner)

    def outer(ctx: Any, given: Any) -> Any:
        return ctx.subworkflow("child", child)

    flow = new_durable("outer", outer)
    for _ in range(2):
        with pytest.raises(WorkflowSuspended) as caught:
            flow.run(workflow_id="w")
        assert caught.value.workflow_id == "w"
    twin_storage.deliver_signal("w/child", "answer", "yes")
    assert flow.run(workflow_id="w") == "yes"


def test_cancelling_reaches_children(new_durable: New, twin_storage: Any) -> None:
    def inner(ctx: Any, given: Any) -> Any:
        return ctx.wait_for_signal("answer")

    child = new_durable("inner", inner)

    def outer(ctx: Any, given: Any) -> Any:
        return ctx.subworkflow("child", child)

    flow = new_durable("outer", outer)
    with pytest.raises(WorkflowSuspended):
        flow.run(workflow_id="w")
    assert twin_storage.cancel_workflow("w", cascade=True) == 2
    for workflow, workflow_id in ((flow, "w"), (child, "w/child")):
        with pytest.raises(WorkflowCancelled):
            workflow.run(workflow_id=workflow_id)


def test_another_version_keeps_what_was_completed_and_waits_anew(new_durable: New, promin_dsn: str) -> None:
    done = []

    def nap(ctx: Any, given: Any) -> Any:
        ctx.step("a", done.append, "a")
        ctx.sleep("nap", 3600)
        ctx.step("b", done.append, "b")

    with pytest.raises(WorkflowSuspended):
        new_durable("nap", nap, version="1").run(workflow_id="w")
    newer = new_durable("nap", nap, version="2")
    with pytest.raises(WorkflowSuspended):
        newer.run(workflow_id="w")
    wake(promin_dsn)
    newer.run(workflow_id="w")
    assert done == ["a", "b"]
