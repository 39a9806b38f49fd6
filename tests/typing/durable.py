"""What type checkers know of workflows that are functions."""

import asyncio
from typing import Any, assert_type

from promin_postgres import (
    AsyncDurable,
    AsyncDurableContext,
    AsyncDurableScheduler,
    AsyncPostgresWorkflowStorage,
    Durable,
    DurableContext,
    DurableScheduler,
    PgQueue,
    PostgresWorkflowStorage,
    Retry,
    Stream,
    WorkflowResult,
    async_durable,
    async_workflow,
    durable,
    trigger,
    workflow,
)


def length(text: str, more: int = 0) -> int:
    return len(text) + more


async def lower(text: str) -> str:
    return text.lower()


def sync(storage: PostgresWorkflowStorage) -> None:
    @durable("order", storage=storage, version="1")
    def order(ctx: DurableContext, given: dict[str, str]) -> list[int]:
        found = ctx.step("length", length, given["name"], 2, retry=Retry(), timeout=5)
        assert_type(found, int)
        ctx.sleep("nap", 60)
        assert_type(ctx.wait_for_signal("answer", timeout=5, on_timeout="skip"), Any)
        ctx.step("length", length, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        return [found]

    assert_type(order, Durable)
    order.run(workflow_id="w", input={"name": "ada"})
    assert_type(order.to_mermaid(), str)


async def asynchronous(storage: AsyncPostgresWorkflowStorage) -> None:
    @async_durable("order", storage=storage, retry=Retry())
    async def order(ctx: AsyncDurableContext, given: dict[str, str]) -> None:
        assert_type(await ctx.step("lower", lower, given["name"]), str)
        assert_type(await ctx.step("length", length, given["name"], 1), int)
        both = await asyncio.gather(ctx.step("a", lower, "A"), ctx.step("b", length, "B", 1))
        assert_type(both, tuple[str, int])
        await ctx.sleep("nap", 60)
        await ctx.step("lower", lower, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]

    assert_type(order, AsyncDurable)
    await order.run(workflow_id="w", input={"name": "ada"})

    @async_durable("plain", storage=storage)  # type: ignore[arg-type]
    def plain(ctx: AsyncDurableContext, given: Any) -> int:  # pyright: ignore[reportArgumentType]
        return 1


def triggers(storage: PostgresWorkflowStorage, queue: PgQueue[str]) -> None:
    @durable("order", storage=storage)
    def order(ctx: DurableContext, given: str) -> None: ...

    pipe = trigger(workflow=order, to_workflow_id=str, concurrency=4, on_duplicate="run")
    results = queue.subscribe_ack().through(pipe)
    assert_type(results, Stream[WorkflowResult])
    trigger(workflow=order, to_workflow_id=str, on_duplicate="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def binds(storage: PostgresWorkflowStorage, scheduler: DurableScheduler) -> None:
    report = workflow("report", storage=storage).step("write", lambda ctx: ctx.input)
    scheduler.bind("nightly", workflow=report, to_input=lambda tick: tick.scheduled_at.isoformat())
    scheduler.bind("nightly", workflow=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def async_binds(storage: AsyncPostgresWorkflowStorage, scheduler: AsyncDurableScheduler) -> None:
    report = async_workflow("report", storage=storage).step("write", lambda ctx: ctx.input)
    await scheduler.bind("nightly", workflow=report, to_workflow_id=lambda tick: f"report {tick.tick_number}")
