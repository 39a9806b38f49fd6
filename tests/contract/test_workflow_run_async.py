"""What only tasks can do: coroutine steps, cancellation, and a loop that nobody blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from promin_postgres.database import AsyncDatabase
from promin_postgres.errors import StepFailed
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow import Context, async_workflow
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage


@asynccontextmanager
async def storage_on(dsn: str) -> AsyncIterator[AsyncPostgresWorkflowStorage]:
    async with AsyncDatabase.connect(dsn) as db, await AsyncPostgresWorkflowStorage.create(db) as storage:
        yield storage


def test_coroutine_steps_of_every_form_run_side_by_side_on_the_loop(promin_dsn: str) -> None:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        barrier = asyncio.Barrier(4)

        async def meet(ctx: Context, extra: str = "") -> str:
            assert asyncio.get_running_loop() is loop
            async with asyncio.timeout(20):
                await barrier.wait()
            return ctx.step_name + extra

        class Meeting:
            async def __call__(self, ctx: Context) -> str:
                return await meet(ctx)

        async with storage_on(promin_dsn) as storage:
            workflow = (
                async_workflow("w", storage=storage)
                .step("function", meet, depends_on=[])
                .step("partial", partial(meet, extra="!"), depends_on=[])
                .step("object", Meeting(), depends_on=[])
                .step("lambda", lambda ctx: meet(ctx), depends_on=[])
            )
            return await workflow.run(workflow_id="w")

    assert asyncio.run(main()) == {
        "function": "function", "partial": "partial!", "object": "object", "lambda": "lambda",
    }  # fmt: skip


def test_a_plain_function_does_not_stop_the_loop(promin_dsn: str) -> None:
    async def main() -> Any:
        turned = threading.Event()
        async with storage_on(promin_dsn) as storage:

            def block(ctx: Context) -> bool:
                loop.call_soon_threadsafe(turned.set)
                return turned.wait(20)

            loop = asyncio.get_running_loop()
            return await async_workflow("w", storage=storage).step("a", block).run(workflow_id="w")

    assert asyncio.run(main()) is True


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
def test_a_coroutine_that_takes_too_long_is_cancelled(promin_dsn: str, beside: bool) -> None:
    cancelled: list[str] = []

    async def slow(ctx: Context) -> None:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            cancelled.append(ctx.step_name)
            raise

    async def main() -> None:
        async with storage_on(promin_dsn) as storage:
            workflow = async_workflow("w", storage=storage).step("slow", slow, timeout=0.05)
            if beside:
                workflow = workflow.step("other", lambda ctx: None, depends_on=[])
            await workflow.run(workflow_id="w")

    with pytest.raises(StepFailed, match=r"TimeoutError: still running after 0\.05 seconds"):
        asyncio.run(main())
    assert cancelled == ["slow"]


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
def test_a_cancelled_run_stops_its_steps_has_not_failed_and_can_be_taken_up(promin_dsn: str, beside: bool) -> None:
    async def main() -> None:
        started = asyncio.Event()
        log: list[str] = []

        async def step(ctx: Context) -> str:
            started.set()
            try:
                await asyncio.sleep(0 if log else 20)
            except asyncio.CancelledError:
                log.append("stopped")
                raise
            return "done"

        async with storage_on(promin_dsn) as storage:
            workflow = async_workflow("w", storage=storage).step("a", step)
            if beside:
                workflow = workflow.step("other", lambda ctx: None, depends_on=[])
            run = asyncio.create_task(workflow.run(workflow_id="w"))
            await started.wait()
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
            assert log == ["stopped"]
            state = await storage.load_workflow("w")
            assert state is not None
            assert (state.status, state.steps["a"].status) == (WorkflowStatus.RUNNING, StepStatus.PENDING)
            result = await workflow.run(workflow_id="w")
            assert result == ({"a": "done", "other": None} if beside else "done")

    asyncio.run(main())


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
def test_a_step_that_cancels_itself_does_not_leave_the_run_waiting(promin_dsn: str, beside: bool) -> None:
    async def main() -> None:
        async def gives_up(ctx: Context) -> None:
            raise asyncio.CancelledError

        async with storage_on(promin_dsn) as storage:
            workflow = async_workflow("w", storage=storage).step("a", gives_up)
            if beside:
                workflow = workflow.step("other", lambda ctx: None, depends_on=[])
            with pytest.raises(asyncio.CancelledError):
                await workflow.run(workflow_id="w")

    asyncio.run(main())
