"""What a stream does to its values one at a time. Each asks its upstream for a value only when it needs one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from promin_postgres.streams._concurrency import AsyncFunction, AsyncRoot, AsyncSourceLike, AsyncUpstream, async_apply

T = TypeVar("T")
R = TypeVar("R")


class AsyncOperator(Generic[T]):
    """Passes on what comes from upstream, and hands up what has to be closed or given back."""

    def __init__(self, upstream: AsyncUpstream[Any]) -> None:
        self._upstream = upstream

    async def __anext__(self) -> T:
        return await self._upstream.__anext__()  # type: ignore[no-any-return]

    @property
    def takes_back(self) -> bool:
        return self._upstream.takes_back

    async def close(self) -> None:
        await self._upstream.close()

    async def give_back(self, value: Any) -> None:
        await self._upstream.give_back(value)


class AsyncChanging(AsyncOperator[T]):
    """Passes on other values than it takes: there is nothing that could be given back."""

    async def give_back(self, value: Any) -> None:
        pass


class AsyncMap(AsyncChanging[R]):
    def __init__(self, upstream: AsyncUpstream[T], function: AsyncFunction[T, R]) -> None:
        super().__init__(upstream)
        self._function = function

    async def __anext__(self) -> R:
        return await async_apply(self._function, await self._upstream.__anext__())


class AsyncFilter(AsyncOperator[T]):
    def __init__(self, upstream: AsyncUpstream[T], function: AsyncFunction[T, object]) -> None:
        super().__init__(upstream)
        self._function = function

    async def __anext__(self) -> T:
        while True:
            value: T = await self._upstream.__anext__()
            if await async_apply(self._function, value):
                return value


class AsyncTap(AsyncOperator[T]):
    def __init__(self, upstream: AsyncUpstream[T], function: AsyncFunction[T, object]) -> None:
        super().__init__(upstream)
        self._function = function

    async def __anext__(self) -> T:
        value: T = await self._upstream.__anext__()
        await async_apply(self._function, value)
        return value


class AsyncTake(AsyncOperator[T]):
    def __init__(self, upstream: AsyncUpstream[T], count: int) -> None:
        super().__init__(upstream)
        self._left = count

    async def __anext__(self) -> T:
        if self._left == 0:
            raise StopAsyncIteration
        value: T = await self._upstream.__anext__()
        self._left -= 1
        return value


class AsyncTakeWhile(AsyncOperator[T]):
    def __init__(self, upstream: AsyncUpstream[T], function: AsyncFunction[T, object]) -> None:
        super().__init__(upstream)
        self._function = function

    async def __anext__(self) -> T:
        value: T = await self._upstream.__anext__()
        if await async_apply(self._function, value):
            return value
        await self._upstream.give_back(value)
        raise StopAsyncIteration


class AsyncDrop(AsyncOperator[T]):
    def __init__(self, upstream: AsyncUpstream[T], count: int) -> None:
        super().__init__(upstream)
        self._left = count

    async def __anext__(self) -> T:
        while self._left:
            await self._upstream.__anext__()
            self._left -= 1
        return await self._upstream.__anext__()  # type: ignore[no-any-return]


class AsyncFlatMap(AsyncChanging[R]):
    def __init__(self, upstream: AsyncUpstream[T], function: AsyncFunction[T, AsyncSourceLike[R]]) -> None:
        super().__init__(upstream)
        self._function = function
        self._inner: AsyncRoot[R] | None = None
        self._closed = False

    async def __anext__(self) -> R:
        while True:
            if self._inner is not None:
                try:
                    return await self._inner.__anext__()
                except StopAsyncIteration:
                    await self._inner.close()
                    self._inner = None
            value = await self._upstream.__anext__()
            self._inner = AsyncRoot(await async_apply(self._function, value))
            if self._closed:  # meanwhile, by somebody who could not see the new one
                await self._inner.close()

    async def close(self) -> None:
        self._closed = True
        try:
            await self._upstream.close()
        finally:
            inner = self._inner
            if inner is not None:
                await inner.close()


class AsyncDistinct(AsyncOperator[T]):
    """Drops what has the same key as one of the last `remember` different ones."""

    def __init__(self, upstream: AsyncUpstream[T], key: AsyncFunction[T, Hashable], remember: int) -> None:
        super().__init__(upstream)
        self._key = key
        self._remember = remember
        self._seen: OrderedDict[Hashable, None] = OrderedDict()

    async def __anext__(self) -> T:
        while True:
            value: T = await self._upstream.__anext__()
            key = await async_apply(self._key, value)
            is_new = key not in self._seen
            self._seen[key] = None
            self._seen.move_to_end(key)
            if len(self._seen) > self._remember:
                self._seen.popitem(last=False)
            if is_new:
                return value


class AsyncDedupe(AsyncOperator[T]):
    """Drops what equals the value before it."""

    def __init__(self, upstream: AsyncUpstream[T]) -> None:
        super().__init__(upstream)
        self._last: object = object()

    async def __anext__(self) -> T:
        while True:
            value: T = await self._upstream.__anext__()
            if value != self._last:
                self._last = value
                return value


class AsyncBatched(AsyncChanging[list[T]]):
    """Lists of `size` values. Holds none between two lists."""

    def __init__(self, upstream: AsyncUpstream[T], size: float) -> None:
        super().__init__(upstream)
        self._size = size
        self._end: Exception | None = None

    async def __anext__(self) -> list[T]:
        if self._end is not None:
            raise self._end
        batch: list[T] = []
        try:
            await self._fill(batch)
        except Exception as error:  # noqa: BLE001 - raised after what came before it
            self._end = error
        except BaseException:
            await self.give_back(batch)
            raise
        if not batch and self._end is not None:
            raise self._end
        return batch

    async def give_back(self, value: Any) -> None:
        for one in value:
            await self._upstream.give_back(one)

    async def _fill(self, batch: list[T]) -> None:
        while len(batch) < self._size:
            batch.append(await self._upstream.__anext__())
