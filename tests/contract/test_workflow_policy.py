"""What a second `run` with an id comes to, and runs whose end is looked at and not raised."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from _storage import query
from _waiting import until

from promin_postgres import (
    AlreadyExists,
    CodecError,
    Context,
    Idempotency,
    InvalidArgument,
    NotFound,
    StepFailed,
    WorkflowInFlight,
    WorkflowStatus,
    WorkflowSuspended,
)
from promin_postgres.workflow.definition import specs

New = Callable[..., Any]


class Work:
    def __init__(self) -> None:
        self.executed: list[Any] = []
        self.broken = False

    def __call__(self, ctx: Context) -> Any:
        self.executed.append(ctx.input)
        if self.broken:
            raise ValueError("broken")
        return [len(self.executed), ctx.input]


def age(dsn: str, seconds: float) -> None:
    """Let the run have ended so much longer ago."""
    query(dsn, "UPDATE wf_workflows SET completed_at = completed_at - make_interval(secs => %s)", seconds)


def test_a_completed_run_is_the_answer_until_its_time_is_over(new_workflow: New, promin_dsn: str) -> None:
    work = Work()
    flow = new_workflow("w", idempotency=Idempotency(ttl=60)).step("a", work)
    assert flow.run(workflow_id="w", input="x") == [1, "x"]
    age(promin_dsn, 50)
    assert flow.run(workflow_id="w", input="y") == [1, "x"]
    age(promin_dsn, 20)
    assert flow.run(workflow_id="w", input="y") == [2, "y"], "another run, with the input given now"
    assert flow.resume(workflow_id="w") == [2, "y"]


def test_an_expired_run_may_be_replayed(new_workflow: New, promin_dsn: str) -> None:
    work = Work()
    flow = new_workflow("w", idempotency=Idempotency(ttl=60, failure_ttl=60, on_expiry="replay")).step("a", work)
    assert flow.run(workflow_id="w", input="x") == [1, "x"]
    age(promin_dsn, 70)
    assert flow.run(workflow_id="w", input="y") == [1, "x"]


@pytest.mark.parametrize("on_expiry", ["fresh-run", "replay"])
def test_a_failed_run_is_the_answer_until_its_time_is_over(
    new_workflow: New, twin_storage: Any, promin_dsn: str, on_expiry: Any
) -> None:
    first, work = Work(), Work()
    flow = (
        new_workflow("w", idempotency=Idempotency(failure_ttl=60, on_expiry=on_expiry)).step("a", first).step("b", work)
    )
    work.broken = True
    for _ in range(2):
        with pytest.raises(StepFailed, match="broken") as caught:
            flow.run(workflow_id="w", input="x")
        assert caught.value.step_name == "b"
    assert len(work.executed) == 1, "the record is the answer"
    work.broken = False
    age(promin_dsn, 61)
    fresh = on_expiry == "fresh-run"
    assert flow.run(workflow_id="w", input="y") == [2, "y" if fresh else "x"]
    assert len(first.executed) == (2 if fresh else 1)
    assert twin_storage.load_run("w").run == (2 if fresh else 1)


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_who_comes_while_the_run_is_driven_joins_it(new_workflow: New, ends: str) -> None:
    entered, released = threading.Event(), threading.Event()
    executed: list[int] = []

    def hold(ctx: Context) -> str:
        executed.append(1)
        entered.set()
        assert released.wait(20)
        if ends == "badly":
            raise ValueError("bad end")
        return "done"

    flow = new_workflow("w", idempotency=Idempotency()).step("a", hold)
    rejecting = new_workflow("w", idempotency=Idempotency(on_in_flight="reject")).step("a", hold)
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(flow.run_safe, workflow_id="w")]
        assert entered.wait(20)
        runs += [pool.submit(flow.run_safe, workflow_id="w") for _ in range(2)]
        with pytest.raises(WorkflowInFlight):
            rejecting.run(workflow_id="w")
        released.set()
        outcomes = [run.result() for run in runs]
    assert len(executed) == 1
    if ends == "well":
        assert [outcome.result for outcome in outcomes] == ["done"] * 3
    else:
        assert all(isinstance(outcome.error, StepFailed) for outcome in outcomes)


def test_who_joined_takes_the_run_over_when_its_driver_is_gone(new_workflow: New, twin_storage: Any) -> None:
    work = Work()
    flow = new_workflow("w", idempotency=Idempotency()).step("a", work)
    twin_storage.create_workflow("w", workflow_name="w", steps=specs(flow.definition), input="recorded")
    lease = twin_storage.try_lock("w")
    with ThreadPoolExecutor(1) as pool:
        joined = pool.submit(flow.run, workflow_id="w")
        until(lambda: twin_storage.watch._waiters)
        assert work.executed == []
        twin_storage.release_lock(lease)
        assert joined.result() == [1, "recorded"]


def test_run_safe_gives_back_what_run_would_raise(new_workflow: New, twin_storage: Any) -> None:
    work = Work()
    work.broken = True
    flow = new_workflow("w").step("a", work).wait_for_signal("s", signal="go").step("b", work)
    outcome = flow.run_safe(workflow_id="w", input=1)
    assert (outcome.workflow_id, outcome.status, outcome.ok, outcome.result) == (
        "w",
        WorkflowStatus.FAILED,
        False,
        None,
    )
    assert isinstance(outcome.error, StepFailed)
    work.broken = False
    outcome = flow.run_safe(workflow_id="w")
    assert (outcome.status, type(outcome.error)) == (WorkflowStatus.SUSPENDED, WorkflowSuspended)
    lease = twin_storage.try_lock("w")
    outcome = flow.run_safe(workflow_id="w")
    assert (outcome.status, type(outcome.error)) == (WorkflowStatus.RUNNING, WorkflowInFlight)
    twin_storage.release_lock(lease)
    twin_storage.deliver_signal("w", "go")
    outcome = flow.run_safe(workflow_id="w")
    assert (outcome.ok, outcome.result, outcome.error) == (True, [3, 1], None)
    twin_storage.start_fresh_run("w")
    twin_storage.cancel_workflow("w")
    assert flow.run_safe(workflow_id="w").status is WorkflowStatus.CANCELLED
    with pytest.raises(CodecError, match="input"):
        flow.run_safe(workflow_id="w2", input={1})
    with pytest.raises(InvalidArgument, match="workflow_id"):
        flow.run_safe(workflow_id="")
    with pytest.raises(InvalidArgument, match="is a run of workflow 'w'"):
        new_workflow("another").step("a", work).run_safe(workflow_id="w")
    assert twin_storage.load_workflow("w2") is None


def test_a_run_that_workers_drive_is_not_driven_here(new_workflow: New, twin_storage: Any) -> None:
    work = Work()
    flow = new_workflow("w", idempotency=Idempotency()).step("a", work)
    twin_storage.start_run("w", workflow_name="w", steps=specs(flow.definition), ends_in_task=False)
    with pytest.raises(WorkflowInFlight):
        new_workflow("w").step("a", work).run(workflow_id="w")
    with ThreadPoolExecutor(1) as pool:
        joined = pool.submit(flow.run, workflow_id="w")
        until(lambda: joined.running())
        twin_storage.complete_workflow("w", "by workers")
        assert joined.result() == "by workers"
    assert work.executed == []


def test_a_fork_executes_only_from_the_step_on(new_workflow: New, twin_storage: Any) -> None:
    executed: list[str] = []

    def note(ctx: Context) -> str:
        executed.append(f"{ctx.workflow_id}:{ctx.step_name}")
        return f"{ctx.step_name} of {ctx.input}"

    flow = (
        new_workflow("w")
        .step("a", note)
        .step("b", note)
        .step("c", note)
        .step("aside", note, depends_on="a")
        .step("end", lambda ctx: sorted(ctx.deps.values()), depends_on=["c", "aside"])
    )
    result = flow.run(workflow_id="first", input="x")
    executed.clear()
    handle = flow.fork("first", from_step="b", new_workflow_id="second")
    assert handle.workflow_id == "second"
    assert executed == []
    assert flow.run(workflow_id="second", input="not looked at") == result
    assert executed == ["second:b", "second:c"]
    assert twin_storage.load_workflow("first").status is WorkflowStatus.COMPLETED
    with pytest.raises(NotFound):
        flow.fork("nobody", from_step="b", new_workflow_id="third")
    with pytest.raises(InvalidArgument, match="from_step='nowhere'"):
        flow.fork("first", from_step="nowhere", new_workflow_id="third")
    with pytest.raises(AlreadyExists):
        flow.fork("first", from_step="b", new_workflow_id="second")
    with pytest.raises(InvalidArgument, match="is a run of workflow 'w'"):
        new_workflow("other").step("b", note).fork("first", from_step="b", new_workflow_id="third")
    assert twin_storage.load_workflow("third") is None


def test_a_run_that_failed_on_workers_can_be_gone_on_with_here(new_workflow: New, twin_storage: Any) -> None:
    flow = new_workflow("w").step("a", lambda ctx: "here")
    flow.start(workflow_id="w")
    twin_storage.fail_workflow("w", ValueError("there"))
    assert flow.run(workflow_id="w") == "here"
    assert twin_storage.load_run("w").on_workers is False
