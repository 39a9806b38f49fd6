"""Runs that sleep and wait for signals: suspended without a thread, or stayed with for as long as the caller says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from _waiting import until

from promin_postgres import (
    Context,
    Fallback,
    InvalidArgument,
    NotFound,
    StepFailed,
    StepStatus,
    WorkflowStatus,
    WorkflowSuspended,
)

New = Callable[..., Any]


def waits(storage: Any, workflow_id: str, step: str) -> bool:
    state = storage.load_workflow(workflow_id)
    return state is not None and state.steps[step].status is StepStatus.WAITING


def test_a_sleep_suspends_the_run_and_its_moment_is_computed_once(new_workflow: New, twin_storage: Any) -> None:
    flow = new_workflow("w").step("a", lambda ctx: 1).sleep("s", 1.0).step("b", lambda ctx: [ctx.prev, "slept"])
    with pytest.raises(WorkflowSuspended) as caught:
        flow.run(workflow_id="w")
    state = twin_storage.load_workflow("w")
    assert (state.status, state.steps["s"].status) == (WorkflowStatus.SUSPENDED, StepStatus.WAITING)
    assert caught.value.until == state.steps["s"].wake_at
    assert (caught.value.signal, caught.value.child) == (None, None)
    assert twin_storage.try_lock("w") is not None, "nobody holds a suspended run"


def test_a_run_that_slept_goes_on_from_there(new_workflow: New, twin_storage: Any) -> None:
    flow = new_workflow("w").step("a", lambda ctx: 1).sleep("s", 0.7).step("b", lambda ctx: [ctx.prev, "slept"])

    def go_on() -> Any:
        try:
            return flow.run(workflow_id="w")
        except WorkflowSuspended:
            return None

    assert until(go_on) == [None, "slept"]
    steps = twin_storage.load_workflow("w").steps
    assert steps["s"].wake_at - steps["a"].completed_at >= timedelta(seconds=0.7)
    assert steps["s"].completed_at >= steps["s"].wake_at
    assert twin_storage.load_workflow("w").steps["s"].attempt == 1, "looking again is no attempt"


def test_wait_stays_until_the_end_or_leaves_at_once_when_that_is_no_use(new_workflow: New) -> None:
    flow = new_workflow("w").sleep("s", timedelta(seconds=0.4)).step("b", lambda ctx: "slept")
    began = time.monotonic()
    assert flow.run(workflow_id="w", wait=20) == "slept"
    assert 0.4 <= time.monotonic() - began < 10
    began = time.monotonic()
    with pytest.raises(WorkflowSuspended):
        new_workflow("w2").sleep("s", 3600).run(workflow_id="long", wait=20)
    assert time.monotonic() - began < 10
    moment = datetime(2200, 1, 1, tzinfo=UTC)
    with pytest.raises(WorkflowSuspended) as caught:
        new_workflow("w3").sleep("s", until=moment).run(workflow_id="until")
    assert caught.value.until == moment
    assert new_workflow("w4").sleep("s", until=datetime(2020, 1, 1, tzinfo=UTC)).run(workflow_id="past") is None


def test_a_step_beside_a_wait_is_executed_before_the_run_is_suspended(new_workflow: New, twin_storage: Any) -> None:
    executed: list[str] = []
    flow = (
        new_workflow("w")
        .sleep("s", 3600, depends_on=[])
        .step("x", lambda ctx: executed.append("x"), depends_on=[])
        .step("y", lambda ctx: executed.append("y"))
    )
    with pytest.raises(WorkflowSuspended):
        flow.run(workflow_id="w")
    assert executed == ["x", "y"]


def test_a_signal_that_came_before_counts(new_workflow: New, twin_storage: Any) -> None:
    flow = (
        new_workflow("w")
        .step("tell", lambda ctx: twin_storage.deliver_signal("w", "go", {"n": 1}))
        .wait_for_signal("s", signal="go")
    )
    assert flow.run(workflow_id="w") == {"n": 1}
    assert flow.run(workflow_id="w") == {"n": 1}


def test_a_signal_while_the_run_is_suspended_and_while_it_is_stayed_with(new_workflow: New, twin_storage: Any) -> None:
    flow = new_workflow("w").wait_for_signal("s", signal="go").step("b", lambda ctx: ctx.prev + 1)
    with pytest.raises(WorkflowSuspended) as caught:
        flow.run(workflow_id="w")
    assert (caught.value.signal, caught.value.until) == ("go", None)
    assert twin_storage.deliver_signal("w", "go", 41) is True
    assert flow.run(workflow_id="w") == 42

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(flow.run, workflow_id="stay", wait=30)
        until(lambda: waits(twin_storage, "stay", "s"))
        twin_storage.deliver_signal("stay", "go", 1)
        assert running.result() == 2


def test_several_waits_for_one_signal_get_one_delivery_each(new_workflow: New, twin_storage: Any) -> None:
    flow = (
        new_workflow("w")
        .step("a", lambda ctx: 1)
        .wait_for_signal("x", signal="go", depends_on="a")
        .wait_for_signal("y", signal="go", depends_on="a")
        .step("z", lambda ctx: sorted(ctx.deps.values()), depends_on=["x", "y"])
    )
    with pytest.raises(WorkflowSuspended):
        flow.run(workflow_id="w")
    twin_storage.deliver_signal("w", "go", 1)
    with pytest.raises(WorkflowSuspended):
        flow.run(workflow_id="w")
    twin_storage.deliver_signal("w", "go", 2)
    assert flow.run(workflow_id="w") == [1, 2]


@pytest.mark.parametrize(
    ("on_timeout", "result"), [("fail", None), ("skip", None), (Fallback({"late": True}), {"late": True})]
)
def test_a_signal_that_does_not_come_in_time(
    new_workflow: New, twin_storage: Any, on_timeout: Any, result: Any
) -> None:
    flow = new_workflow("w").wait_for_signal("s", signal="go", timeout=0.3, on_timeout=on_timeout)
    with pytest.raises(WorkflowSuspended) as caught:
        flow.run(workflow_id="w")
    assert (caught.value.signal, caught.value.until) == (
        "go",
        twin_storage.load_workflow("w").steps["s"].signal_timeout_at,
    )
    if on_timeout == "fail":
        with pytest.raises(StepFailed, match="TimeoutError: no signal 'go' within"):
            flow.run(workflow_id="w", wait=20)
    else:
        assert flow.run(workflow_id="w", wait=20) == result
        status = StepStatus.SKIPPED if on_timeout == "skip" else StepStatus.COMPLETED
        assert twin_storage.load_workflow("w").steps["s"].status is status


def test_signals_for_runs_that_are_unknown_or_over_are_refused(new_workflow: New, twin_storage: Any) -> None:
    with pytest.raises(NotFound):
        twin_storage.deliver_signal("nobody", "go")
    new_workflow("w").step("a", lambda ctx: 1).run(workflow_id="w")
    with pytest.raises(InvalidArgument, match="has ended"):
        twin_storage.deliver_signal("w", "go")


def test_resume_goes_on_with_a_run_that_there_must_be(new_workflow: New, twin_storage: Any) -> None:
    flow = new_workflow("w").wait_for_signal("s", signal="go")
    with pytest.raises(NotFound):
        flow.resume(workflow_id="w")
    assert twin_storage.load_workflow("w") is None
    with pytest.raises(WorkflowSuspended):
        flow.run(workflow_id="w")
    twin_storage.deliver_signal("w", "go", "payload")
    assert flow.resume(workflow_id="w") == "payload"
    assert flow.resume(workflow_id="w") == "payload"


def test_a_child_that_waits_suspends_its_parent(new_workflow: New, twin_storage: Any) -> None:
    executed: list[str] = []
    child = (
        new_workflow("child")
        .step("x", lambda ctx: executed.append("x"))
        .wait_for_signal("s", signal="go", timeout=3600)
    )
    flow = new_workflow("parent").subworkflow("c", child).step("b", lambda ctx: [ctx.prev])
    with pytest.raises(WorkflowSuspended) as caught:
        flow.run(workflow_id="w")
    assert (caught.value.signal, caught.value.child) == ("go", "w/c")
    assert caught.value.until == twin_storage.load_workflow("w/c").steps["s"].signal_timeout_at
    assert twin_storage.load_workflow("w").status is WorkflowStatus.SUSPENDED
    twin_storage.deliver_signal("w/c", "go", 7)
    assert flow.run(workflow_id="w") == [7]
    assert executed == ["x"]


@pytest.mark.parametrize(
    "races", [40, pytest.param(5_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])], ids=["short", "soak"]
)
def test_no_signal_is_lost_whoever_comes_second(new_workflow: New, twin_storage: Any, races: int) -> None:
    """Delivered before, while and after the step begins to wait, with the run gone on with whenever it is suspended."""
    flow = new_workflow("w").step("a", lambda ctx: 1).wait_for_signal("s", signal="go")
    with ThreadPoolExecutor(2) as pool:
        for number in range(races):
            workflow_id = f"race {number}"
            ready = threading.Event()
            racing = new_workflow("w").step("a", lambda ctx, ready=ready: ready.set()).wait_for_signal("s", signal="go")

            def tell(workflow_id: str = workflow_id, ready: threading.Event = ready, number: int = number) -> None:
                assert ready.wait(20)
                time.sleep((number % 10) * 0.0004)  # no condition: a moment anywhere around the wait is wanted
                twin_storage.deliver_signal(workflow_id, "go", number)

            told = pool.submit(tell)
            try:
                result = racing.run(workflow_id=workflow_id)
            except WorkflowSuspended:
                told.result()
                result = flow.run(workflow_id=workflow_id)
            assert result == number


def test_suspended_runs_hold_no_threads(new_workflow: New, twin_storage: Any) -> None:
    flow = new_workflow("w").sleep("s", 3600)
    threads = threading.active_count()
    for number in range(100):
        with pytest.raises(WorkflowSuspended):
            flow.run(workflow_id=f"w{number}")
    assert threading.active_count() <= threads + 1, "the overseer's own"
    assert len(twin_storage.list_workflows(status=WorkflowStatus.SUSPENDED, limit=200)) == 100


def test_a_context_of_a_step_after_a_wait_has_what_came_before(new_workflow: New) -> None:
    def look(ctx: Context) -> list[Any]:
        return [ctx.deps, ctx.input, ctx.run]

    flow = new_workflow("w").step("a", lambda ctx: {"n": 1}).sleep("s", 0.2).step("b", look, depends_on=["a", "s"])
    with pytest.raises(WorkflowSuspended):
        flow.run(workflow_id="w", input="in")
    assert flow.run(workflow_id="w", wait=20) == [{"a": {"n": 1}, "s": None}, "in", 1]
