"""AsyncStream: values one after another, from a source that it closes."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Hashable
from types import TracebackType
from typing import Any, Generic, TypeVar, overload

from promin_postgres._time import Seconds, check_seconds
from promin_postgres.errors import InvalidArgument
from promin_postgres.streams import _async_beside as beside
from promin_postgres.streams import _async_operators as operators
from promin_postgres.streams._concurrency import (
    AsyncFolder,
    AsyncFunction,
    AsyncRoot,
    AsyncSourceLike,
    AsyncUpstream,
    async_apply,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")
D = TypeVar("D")


class AsyncStream(Generic[T_co]):
    """Values one after another: an iterator that is also a context manager.

    Nothing is pulled from the source before a value is asked for, and no more than that takes, except where a method
    says otherwise. The stream is over when its source is, when a function fails, when its consumer is cancelled, and
    when it is closed; each of them closes the source. Streams made of one another have one source: closing any of them
    closes it.

    One consumer at a time; `close` may come from anywhere, and whoever waits for a value then sees the end of the
    stream. What an operator had pulled and not handed out by then goes back to the source, if that takes values back.

    Functions given to the async twin may be coroutine functions.

    Args:
        source: An AsyncSource, or anything that can be iterated over.
    """

    def __init__(self, source: AsyncSourceLike[T_co]) -> None:
        self._upstream: AsyncUpstream[T_co] = _upstream_of(source)
        self._closed = False

    def __aiter__(self) -> AsyncStream[T_co]:
        return self

    async def __anext__(self) -> T_co:
        if self._closed:
            raise StopAsyncIteration
        try:
            return await self._upstream.__anext__()
        except StopAsyncIteration:
            await self.close()
            raise
        except BaseException as error:
            try:
                await self.close()
            except Exception as second:  # noqa: BLE001 - the first one tells more
                error.add_note(f"closing the stream failed too: {second!r}")
            raise

    async def __aenter__(self) -> AsyncStream[T_co]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the source, at once and once. Whoever waits for a value sees the end of the stream."""
        self._closed = True
        await self._upstream.close()

    @overload  # of the async twin
    def map(self, function: Callable[[T_co], Awaitable[R]]) -> AsyncStream[R]: ...
    @overload  # of the async twin
    def map(self, function: Callable[[T_co], R]) -> AsyncStream[R]: ...
    def map(self, function: AsyncFunction[T_co, R]) -> AsyncStream[R]:
        """What `function` makes of each value."""
        return AsyncStream(operators.AsyncMap(self._upstream, function))

    def filter(self, function: AsyncFunction[T_co, object]) -> AsyncStream[T_co]:
        """The values for which `function` is true."""
        return AsyncStream(operators.AsyncFilter(self._upstream, function))

    def tap(self, function: AsyncFunction[T_co, object]) -> AsyncStream[T_co]:
        """The same values, each shown to `function` before it is handed out."""
        return AsyncStream(operators.AsyncTap(self._upstream, function))

    def take(self, count: int) -> AsyncStream[T_co]:
        """The first `count` values; not one more is pulled."""
        return AsyncStream(operators.AsyncTake(self._upstream, _check_count("count", count, least=0)))

    def take_while(self, function: AsyncFunction[T_co, object]) -> AsyncStream[T_co]:
        """The values before the first for which `function` is false; that one is pulled, and given back."""
        return AsyncStream(operators.AsyncTakeWhile(self._upstream, function))

    def drop(self, count: int) -> AsyncStream[T_co]:
        """The values after the first `count`, which are pulled all the same."""
        return AsyncStream(operators.AsyncDrop(self._upstream, _check_count("count", count, least=0)))

    @overload  # of the async twin
    def flat_map(self, function: Callable[[T_co], Awaitable[AsyncSourceLike[R]]]) -> AsyncStream[R]: ...
    @overload  # of the async twin
    def flat_map(self, function: Callable[[T_co], AsyncSourceLike[R]]) -> AsyncStream[R]: ...
    def flat_map(self, function: AsyncFunction[T_co, AsyncSourceLike[R]]) -> AsyncStream[R]:
        """The values of what `function` returns for each: streams or iterables, one after the other."""
        return AsyncStream(operators.AsyncFlatMap(self._upstream, function))

    def batched(self, size: int, *, max_wait: Seconds | None = None) -> AsyncStream[list[T_co]]:
        """Lists of `size` values; the last may be shorter.

        Args:
            size: At least 1.
            max_wait: Hand out a shorter list this long after its first value came, in seconds or as a timedelta. Then
                the next value is waited for in the background, and at most one is held between two lists.
        """
        _check_count("size", size, least=1)
        if max_wait is None:
            return AsyncStream(operators.AsyncBatched(self._upstream, size))
        seconds = check_seconds("max_wait", max_wait)
        return AsyncStream(beside.AsyncTimedBatched(self._upstream, size, seconds))

    def group_within(self, seconds: Seconds, *, max_size: int | None = None) -> AsyncStream[list[T_co]]:
        """Lists of the values that came within `seconds` of the first of them, in seconds or as a timedelta.

        The next value is waited for in the background, and at most one is held between two lists.

        Args:
            max_size: Hand out a list at once when it has so many values; at least 1, None for no bound.
        """
        size = math.inf if max_size is None else _check_count("max_size", max_size, least=1)
        window = check_seconds("seconds", seconds, positive=True)
        return AsyncStream(beside.AsyncTimedBatched(self._upstream, size, window))

    def merge(self, *others: AsyncSourceLike[R]) -> AsyncStream[T_co | R]:
        """The values of this stream and of the others as they come, until all are over; closing it closes all.

        One value of each is waited for in the background, and at most that one is held.
        """
        upstreams: list[AsyncUpstream[Any]] = [self._upstream, *map(_upstream_of, others)]
        return AsyncStream(beside.AsyncMerge(upstreams))

    def dedupe(self) -> AsyncStream[T_co]:
        """The values that differ from the one before them."""
        return AsyncStream(operators.AsyncDedupe(self._upstream))

    def distinct_by(self, key: AsyncFunction[T_co, Hashable], *, remember: int = 100_000) -> AsyncStream[T_co]:
        """The values whose key is not among the last `remember` different keys; at least 1."""
        return AsyncStream(operators.AsyncDistinct(self._upstream, key, _check_count("remember", remember, least=1)))

    @overload  # of the async twin
    def par_map(
        self, function: Callable[[T_co], Awaitable[R]], *, concurrency: int, ordered: bool = ...
    ) -> AsyncStream[R]: ...
    @overload  # of the async twin
    def par_map(self, function: Callable[[T_co], R], *, concurrency: int, ordered: bool = ...) -> AsyncStream[R]: ...
    def par_map(self, function: AsyncFunction[T_co, R], *, concurrency: int, ordered: bool = True) -> AsyncStream[R]:
        """What `function` makes of each value, worked out for several at once.

        Values are pulled and worked on ahead of the consumer, `concurrency` of them at most with those whose results
        wait to be handed out. A plain function runs in a thread and cannot be stopped: closing the stream leaves it to
        itself. A coroutine function, in the async twin, is cancelled.

        Args:
            concurrency: How many at once; at least 1.
            ordered: Hand results out in the order of the values. Else as they come.
        """
        _check_count("concurrency", concurrency, least=1)
        return AsyncStream(beside.AsyncParMap(self._upstream, function, concurrency, ordered))

    def throttle(self, count: int, *, per: Seconds = 1.0) -> AsyncStream[T_co]:
        """The same values, at most `count` of them in any `per` seconds. Waits before it pulls.

        Args:
            count: At least 1.
            per: Seconds or a timedelta.
        """
        _check_count("count", count, least=1)
        return AsyncStream(beside.AsyncThrottle(self._upstream, count, check_seconds("per", per)))

    def timeout(self, seconds: Seconds) -> AsyncStream[T_co]:
        """The same values; TimeoutError when one is waited for longer than `seconds` (or a timedelta)."""
        window = check_seconds("seconds", seconds, positive=True)
        return AsyncStream(beside.AsyncTimeout(self._upstream, window))

    def through(self, pipe: Callable[[AsyncStream[T_co]], R]) -> R:
        """`pipe(stream)`: for steps that are written elsewhere."""
        return pipe(self)

    async def for_each(self, function: AsyncFunction[T_co, object]) -> None:
        """Call `function` with each value, to the end of the stream."""
        async with self:
            async for value in self:
                await async_apply(function, value)

    async def collect(self) -> list[T_co]:
        """All values, to the end of the stream."""
        async with self:
            return [value async for value in self]

    @overload
    async def first(self) -> T_co | None: ...
    @overload
    async def first(self, default: D) -> T_co | D: ...
    async def first(self, default: Any = None) -> Any:
        """The first value, or `default` when there is none. Pulls no other, and closes the stream."""
        async with self:
            async for value in self:
                return value
        return default

    @overload  # of the async twin
    async def reduce(self, function: Callable[[R, T_co], Awaitable[R]], initial: R) -> R: ...
    @overload  # of the async twin
    async def reduce(self, function: Callable[[R, T_co], R], initial: R) -> R: ...
    async def reduce(self, function: AsyncFolder[R, T_co], initial: R) -> R:
        """`function(result, value)` for each value, from `initial` on; the last result."""
        result = initial
        async with self:
            async for value in self:
                result = await async_apply(function, result, value)
        return result

    async def drain(self) -> int:
        """Pull all values and drop them; how many there were."""
        count = 0
        async with self:
            async for _ in self:
                count += 1
        return count


def _upstream_of(source: AsyncSourceLike[Any]) -> AsyncUpstream[Any]:
    """What an operator asks for values. That of a stream directly, so that values can be given back to it."""
    if isinstance(source, AsyncStream):
        return source._upstream
    return source if isinstance(source, operators.AsyncOperator) else AsyncRoot(source)


def _check_count(argument: str, value: int, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidArgument(argument, value, f"must be a whole number of at least {least}")
    return value
