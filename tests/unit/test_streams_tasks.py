"""What only the async twin has: coroutine functions, async iterables, cancellation."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from typing import Any

import pytest
from _tanks import AsyncTank

from promin_postgres.streams import AsyncStream


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            async with asyncio.timeout(20):
                await test(*args, **kwargs)

        asyncio.run(main())

    return run


async def until(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 - lets the others go on, whichever they are
        await asyncio.sleep(0)


@on_a_loop
async def test_functions_may_be_coroutine_functions() -> None:
    async def less(x: int) -> int:
        await asyncio.sleep(0)
        return x - 1

    async def add(total: int, x: int) -> int:
        return total + x

    async def letters(x: int) -> str:
        return "ab"[:x]

    seen: list[int] = []

    async def note(x: int) -> None:
        seen.append(x)

    def numbers() -> AsyncStream[int]:
        return AsyncStream([3, 1, 2, 1])

    assert await numbers().map(less).collect() == [2, 0, 1, 0]
    assert await numbers().filter(less).collect() == [3, 2]
    assert await numbers().take_while(less).collect() == [3]
    assert await numbers().distinct_by(less).collect() == [3, 1, 2]
    assert await numbers().flat_map(letters).collect() == ["a", "b", "a", "a", "b", "a"]
    assert await numbers().par_map(less, concurrency=2).collect() == [2, 0, 1, 0]
    assert await numbers().reduce(add, 0) == 7
    await numbers().tap(note).for_each(note)
    assert seen == [3, 3, 1, 1, 2, 2, 1, 1]


@on_a_loop
async def test_a_function_cannot_end_a_stream_by_stop_async_iteration() -> None:
    async def stop(_: int) -> None:
        raise StopAsyncIteration

    for stream in (AsyncStream([1]).map(stop), AsyncStream([1]).par_map(stop, concurrency=1)):
        with pytest.raises(RuntimeError, match="raised StopAsyncIteration"):
            await stream.collect()


@on_a_loop
async def test_an_async_generator_is_interrupted_and_closed() -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def values() -> AsyncIterator[int]:
        try:
            yield 1
            begun.set()
            await asyncio.Event().wait()
        finally:
            over.set()

    stream = AsyncStream(values())
    consumer = asyncio.create_task(stream.collect())
    await begun.wait()
    await stream.close()
    assert await consumer == [1]
    assert over.is_set()
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


@on_a_loop
async def test_an_idle_async_generator_is_closed() -> None:
    over: list[str] = []

    async def values() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            over.append("async")

    def plain() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            over.append("plain")

    for source in (values(), plain()):
        async with AsyncStream(source) as stream:
            assert await stream.__anext__() == 1
    assert over == ["async", "plain"]


@on_a_loop
async def test_a_timeout_of_the_source_is_its_own() -> None:
    async def values() -> AsyncIterator[int]:
        yield 1
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        await AsyncStream(values()).drain()


@pytest.mark.parametrize(
    "build",
    [
        lambda s: s,
        lambda s: s.map(str),
        lambda s: s.batched(9),
        lambda s: s.batched(9, max_wait=60),
        lambda s: s.merge([]).timeout(60),
    ],
)
def test_cancelling_the_consumer_closes_the_source_and_gives_back(build: Any) -> None:
    @on_a_loop
    async def check() -> None:
        tank = AsyncTank([1, 2], lasting=True)
        found: list[Any] = []
        consumer = asyncio.create_task(build(AsyncStream(tank)).for_each(found.append))
        await until(lambda: len(tank.tank.pulled) == 2 and tank.tank.waiting)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        assert tank.tank.closed == 1
        assert [int(value) for value in found] + tank.tank.returned == [1, 2]
        await nothing_is_left()

    check()


@on_a_loop
async def test_closing_cancels_coroutine_functions_and_waits_for_them() -> None:
    ended: list[int] = []
    begun = asyncio.Semaphore(0)

    async def work(x: int) -> None:
        begun.release()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(x)

    stream = AsyncStream([1, 2, 3]).par_map(work, concurrency=2)
    consumer = asyncio.create_task(stream.collect())
    for _ in range(2):
        await begun.acquire()
    await stream.close()
    assert sorted(ended) == [1, 2]
    assert await consumer == []
    await nothing_is_left()


@on_a_loop
async def test_a_function_may_close_the_stream_that_calls_it() -> None:
    async def work(x: int) -> int:
        await stream.close()
        return x

    stream = AsyncStream([1, 2, 3]).par_map(work, concurrency=2)
    assert await stream.collect() == []
    await nothing_is_left()


@on_a_loop
async def test_a_pull_is_not_cancelled_but_ended_by_its_source() -> None:
    class Slow:
        def __init__(self) -> None:
            self.asked, self.closing = asyncio.Event(), asyncio.Event()
            self.returned: list[int] = []

        async def __anext__(self) -> int:
            self.asked.set()
            await self.closing.wait()
            return 1

        async def close(self) -> None:
            self.closing.set()

        async def give_back(self, value: int) -> None:
            self.returned.append(value)

    slow = Slow()
    stream = AsyncStream(slow).timeout(60)
    consumer = asyncio.create_task(stream.collect())
    await slow.asked.wait()
    await stream.close()
    assert await consumer == []
    await nothing_is_left()
    assert slow.returned == [1]


async def nothing_is_left() -> None:
    gc.collect()
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
