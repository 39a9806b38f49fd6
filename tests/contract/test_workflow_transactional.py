"""A transactional step: what it writes and its checkpoint are there together, or neither is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from _storage import query
from _twins import Twin
from _waiting import until

from promin_postgres import Context, LeaseLost, Retry, StepFailed, StepStatus, WorkflowCancelled

New = Callable[..., Any]


@pytest.fixture(autouse=True)
def payments(promin_dsn: str) -> Callable[[], list[str]]:
    query(promin_dsn, "CREATE TABLE payments (what text NOT NULL)")
    return lambda: [what for (what,) in query(promin_dsn, "SELECT what FROM payments ORDER BY what")]


@pytest.fixture
def pay(twin: Twin) -> Callable[..., Any]:
    """Makes a step function that writes a payment, and then does something else."""

    def make(then: Callable[[Context], Any] = lambda ctx: "paid") -> Any:
        statement = b"INSERT INTO payments (what) VALUES (%s)"

        def pay(ctx: Context) -> Any:
            ctx.connection.execute(statement, [f"{ctx.workflow_id} {ctx.attempt}"])
            return then(ctx)

        async def async_pay(ctx: Context) -> Any:
            await ctx.connection.execute(statement, [f"{ctx.workflow_id} {ctx.attempt}"])
            return then(ctx)

        return async_pay if twin.is_async else pay

    return make


def test_both_are_committed_together(new_workflow: New, twin_storage: Any, pay: Any, payments: Any) -> None:
    flow = new_workflow("w").step("pay", pay(), transactional=True).step("b", lambda ctx: [ctx.prev, ctx.connection])
    assert flow.run(workflow_id="w") == ["paid", None]
    assert payments() == ["w 1"]
    step = twin_storage.load_workflow("w").steps["pay"]
    assert (step.status, step.result, step.attempt) == (StepStatus.COMPLETED, "paid", 1)


def test_an_attempt_that_fails_leaves_nothing(new_workflow: New, twin_storage: Any, pay: Any, payments: Any) -> None:
    def once(ctx: Context) -> str:
        if ctx.attempt == 1:
            raise ValueError
        return "paid"

    flow = new_workflow("w").step("pay", pay(once), transactional=True, retry=Retry(max_attempts=2, base=0))
    assert flow.run(workflow_id="w") == "paid"
    assert payments() == ["w 2"]
    attempts = twin_storage.load_step_attempts("w")
    assert [one.status for one in attempts] == [StepStatus.FAILED, StepStatus.COMPLETED]


def test_a_result_that_does_not_encode_leaves_nothing(new_workflow: New, pay: Any, payments: Any) -> None:
    with pytest.raises(ValueError, match="step 'pay'"):
        new_workflow("w").step("pay", pay(lambda ctx: {1}), transactional=True).run(workflow_id="w")
    assert payments() == []


def test_a_step_whose_run_was_taken_over_leaves_nothing(
    new_workflow: New, twin_storage: Any, pay: Any, payments: Any, promin_dsn: str
) -> None:
    def usurp(ctx: Context) -> str:
        query(promin_dsn, "UPDATE wf_workflow_leases SET token = gen_random_uuid()")
        return "paid"

    with pytest.raises(LeaseLost):
        new_workflow("w").step("pay", pay(usurp), transactional=True).run(workflow_id="w")
    assert payments() == []
    assert twin_storage.load_workflow("w").steps["pay"].status is StepStatus.PENDING


def test_a_step_whose_run_was_cancelled_leaves_nothing(
    new_workflow: New, twin_storage: Any, pay: Any, payments: Any, promin_dsn: str
) -> None:
    def cancel(ctx: Context) -> str:
        query(promin_dsn, "UPDATE wf_workflows SET status = 6")
        return "paid"

    with pytest.raises(WorkflowCancelled):
        new_workflow("w").step("pay", pay(cancel), transactional=True).run(workflow_id="w")
    assert payments() == []


def test_a_step_that_takes_too_long_leaves_nothing_even_when_it_runs_on(
    new_workflow: New, twin: Twin, pay: Any, payments: Any
) -> None:
    late: list[Any] = []
    gone = threading.Event()

    def hang(ctx: Context) -> str:
        try:
            until(lambda: ctx.cancelled)
            until(lambda: ctx.connection.closed)
            ctx.connection.execute(b"INSERT INTO payments (what) VALUES ('late')")
        except BaseException as error:
            late.append(error)
            raise
        finally:
            gone.set()
        return "paid"

    if twin.is_async:  # a coroutine is cancelled; only a thread runs on

        async def hang_async(ctx: Context) -> None:
            import asyncio

            await ctx.connection.execute(b"INSERT INTO payments (what) VALUES ('early')")
            try:
                await asyncio.sleep(60)
            finally:
                gone.set()

        flow = new_workflow("w").step("pay", hang_async, transactional=True, timeout=0.3)
    else:
        flow = new_workflow("w").step("pay", pay(hang), transactional=True, timeout=0.3)
    with pytest.raises(StepFailed, match="still running after"):
        flow.run(workflow_id="w")
    assert gone.wait(20)
    assert payments() == []
    if not twin.is_async:
        assert "closed" in str(late[0])
    assert new_workflow("w2").step("pay", pay(), transactional=True).run(workflow_id="w2") == "paid"
