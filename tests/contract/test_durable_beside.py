"""Steps of a function side by side: from threads, and from tasks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from promin_postgres import (
    AsyncDurableContext,
    AsyncPostgresWorkflowStorage,
    DurableContext,
    PostgresWorkflowStorage,
    async_durable,
    durable,
)
from promin_postgres.errors import InvalidArgument, StepFailed


@pytest.fixture
def storage(promin_dsn: str) -> Iterator[PostgresWorkflowStorage]:
    with PostgresWorkflowStorage.create(promin_dsn) as storage:
        yield storage


def test_threads(storage: PostgresWorkflowStorage) -> None:
    barrier = threading.Barrier(3, timeout=20)
    done: list[int] = []
    fails = [True]

    def work(number: int) -> int:
        done.append(number)
        if fails:
            barrier.wait()
            if number == 1:
                raise ValueError
        return number * 2

    @durable("w", storage=storage)
    def flow(ctx: DurableContext, given: Any) -> list[int]:
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(lambda number: ctx.step(f"s{number}", work, number), range(3)))

    with pytest.raises(StepFailed):
        flow.run(workflow_id="w")
    fails.clear()
    assert flow.run(workflow_id="w") == [0, 2, 4]
    assert sorted(done) == [0, 1, 1, 2]


def test_threads_with_one_name_and_threads_that_wait_are_refused(storage: PostgresWorkflowStorage) -> None:
    seen: list[Any] = []

    @durable("w", storage=storage)
    def flow(ctx: DurableContext, given: Any) -> int:
        ctx.step("same", int)

        def beside() -> None:
            for ask in (lambda: ctx.step("same", int), lambda: ctx.sleep("nap", 1)):
                try:
                    ask()
                except InvalidArgument as error:
                    seen.append(error.problem)

        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
        return ctx.step("same", int)

    assert flow.run(workflow_id="w") == 0
    assert "names of their own" in seen[0]
    assert "only the function itself can wait" in seen[1]


def test_a_function_that_returns_waits_for_its_steps(storage: PostgresWorkflowStorage) -> None:
    entered, released = threading.Event(), threading.Event()

    def slow() -> str:
        entered.set()
        assert released.wait(20)
        return "recorded"

    @durable("w", storage=storage)
    def flow(ctx: DurableContext, given: Any) -> None:
        threading.Thread(target=ctx.step, args=("slow", slow)).start()
        assert entered.wait(20)
        threading.Timer(0.2, released.set).start()

    flow.run(workflow_id="w")
    state = storage.load_workflow("w")
    assert state is not None
    assert state.steps["slow"].result == "recorded"


def test_tasks(promin_dsn: str) -> None:
    async def main() -> None:
        done: list[int] = []
        fails = [True]
        together = asyncio.Barrier(3)

        async def work(number: int) -> int:
            done.append(number)
            if fails:
                await together.wait()
                if number == 1:
                    raise ValueError
            return number * 2

        async with await AsyncPostgresWorkflowStorage.create(promin_dsn) as storage:

            @async_durable("w", storage=storage)
            async def flow(ctx: AsyncDurableContext, given: Any) -> list[int]:
                # One name for all: they are numbered where they are asked for, not where they are executed.
                return await asyncio.gather(*(ctx.step("work", work, number) for number in range(3)))

            with pytest.raises(StepFailed) as caught:
                await flow.run(workflow_id="w")
            assert caught.value.step_name == "work#2"
            fails.clear()
            assert await flow.run(workflow_id="w") == [0, 2, 4]
            assert sorted(done) == [0, 1, 1, 2]

    asyncio.run(main())


def test_tasks_with_one_name_and_tasks_that_wait_are_refused(promin_dsn: str) -> None:
    async def main() -> None:
        async with await AsyncPostgresWorkflowStorage.create(promin_dsn) as storage:

            @async_durable("w", storage=storage)
            async def flow(ctx: AsyncDurableContext, given: Any) -> list[str]:
                async def branch() -> int:
                    return await ctx.step("same", int)

                found = await asyncio.gather(branch(), branch(), ctx.sleep("nap", 1), return_exceptions=True)
                return [one.problem if isinstance(one, InvalidArgument) else str(one) for one in found]

            first, second, third = await flow.run(workflow_id="w")
            assert first == "0"
            assert "names of their own" in second
            assert "only the function itself can wait" in third

    asyncio.run(main())


def test_a_task_that_fails_takes_those_beside_it_with_it(promin_dsn: str) -> None:
    async def main() -> None:
        fails = [True]

        async def fail() -> str:
            if fails:
                raise ValueError
            return "mended"

        async with await AsyncPostgresWorkflowStorage.create(promin_dsn) as storage:

            @async_durable("w", storage=storage)
            async def flow(ctx: AsyncDurableContext, given: Any) -> list[Any]:
                async with asyncio.TaskGroup() as group:
                    long = group.create_task(ctx.step("long", asyncio.sleep, 30 if fails else 0, "long"))
                    short = group.create_task(ctx.step("short", fail))
                return [long.result(), short.result()]

            with pytest.raises(ExceptionGroup):
                await asyncio.wait_for(flow.run(workflow_id="w"), 20)
            fails.clear()
            assert await flow.run(workflow_id="w") == ["long", "mended"]

    asyncio.run(main())
