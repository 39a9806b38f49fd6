"""What type checkers know of workflows that are functions."""

import asyncio
from typing import Any, assert_type

from promin_postgres import (
    AsyncDurable,
    AsyncDurableContext,
    AsyncPostgresWorkflowStorage,
    Durable,
    DurableContext,
    PostgresWorkflowStorage,
    Retry,
    async_durable,
    durable,
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
