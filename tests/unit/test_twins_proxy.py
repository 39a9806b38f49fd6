"""The proxy that lets one contract test run on both twins does not lie about either."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from _twins import Twin


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name
        self.barrier = threading.Barrier(2, timeout=10)

    @property
    def sibling(self) -> Shop:
        return Shop(self.name + "'")

    def greet(self, other: Shop) -> tuple[str, str]:
        return self.name, other.name

    def fail(self) -> None:
        raise KeyError(self.name)

    def leave(self) -> None:
        raise SystemExit(self.name)

    def meet(self) -> int:
        return self.barrier.wait()

    @contextmanager
    def open(self) -> Iterator[Shop]:
        try:
            yield self.sibling
        except KeyError:
            self.name = "caught"

    def items(self) -> Iterator[int]:
        yield from range(3)


class AsyncShop:
    def __init__(self, name: str) -> None:
        self.name = name
        self.barrier = asyncio.Barrier(2)

    @property
    def sibling(self) -> AsyncShop:
        return AsyncShop(self.name + "'")

    async def greet(self, other: AsyncShop) -> tuple[str, str]:
        assert type(other) is AsyncShop, "arguments arrive bare"
        await asyncio.sleep(0)
        return self.name, other.name

    async def fail(self) -> None:
        raise KeyError(self.name)

    async def leave(self) -> None:
        raise SystemExit(self.name)

    async def meet(self) -> int:
        async with asyncio.timeout(10):
            return await self.barrier.wait()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncShop]:
        try:
            yield self.sibling
        except KeyError:
            self.name = "caught"

    async def items(self) -> AsyncIterator[int]:
        for number in range(3):
            yield number


@pytest.fixture
def shop(twin: Twin) -> Any:
    return twin.pick(Shop, AsyncShop)("corner")


def test_methods_attributes_and_iterators_read_the_same(shop: Any) -> None:
    assert shop.name == "corner"
    assert shop.greet(shop.sibling) == ("corner", "corner'")
    assert list(shop.items()) == [0, 1, 2]
    shop.name = "market"
    assert shop.greet(shop)[0] == "market"


def test_context_managers_enter_and_see_errors(shop: Any) -> None:
    with shop.open() as inner:
        assert inner.greet(shop) == ("corner'", "corner")
        raise KeyError
    assert shop.name == "caught"


def test_errors_come_through_and_leave_the_loop_usable(shop: Any) -> None:
    with pytest.raises(KeyError, match="corner"):
        shop.fail()
    with pytest.raises(SystemExit, match="corner"):
        shop.leave()
    assert shop.greet(shop) == ("corner", "corner")


def test_calls_from_two_threads_run_side_by_side(shop: Any) -> None:
    met: list[int] = []
    threads = [threading.Thread(target=lambda: met.append(shop.meet())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(met) == [0, 1]
