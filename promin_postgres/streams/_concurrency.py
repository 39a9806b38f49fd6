"""What threads and tasks do differently in a stream, written twice by hand.

A function of the caller's may be a coroutine function in one twin only; a generator that is running cannot be closed,
and an async one can be interrupted; what runs beside the consumer runs in threads or in tasks.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import GeneratorType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast

T = TypeVar("T")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)

Function: TypeAlias = Callable[[T], R]
AsyncFunction: TypeAlias = Callable[[T], R | Awaitable[R]]
"""A caller's function of one value; in the async twin a plain one or a coroutine function."""

Folder: TypeAlias = Callable[[R, T], R]
AsyncFolder: TypeAlias = Callable[[R, T], R | Awaitable[R]]
"""A caller's function of a result and a value, as `Function`."""


class Source(Protocol[T_co]):
    """What a Stream is made of.

    `close` may come from any thread while another waits in `__next__`: it wakes that one, which then raises
    StopIteration. It is called once. A source may also have `give_back(value)`: called, from any thread and perhaps
    after `close`, with a value that an operator had pulled and that nobody will see any more.
    """

    def __next__(self) -> T_co: ...

    def close(self) -> None: ...


class AsyncSource(Protocol[T_co]):
    """What an AsyncStream is made of.

    `close` may come while another task waits in `__anext__`: it wakes that one, which then raises
    StopAsyncIteration. It is called once. A source may also have `async def give_back(value)`: called, perhaps after
    `close`, with a value that an operator had pulled and that nobody will see any more.
    """

    async def __anext__(self) -> T_co: ...

    async def close(self) -> None: ...


class Upstream(Source[T_co], Protocol[T_co]):
    """What operators are made on: a root, or another operator."""

    @property
    def takes_back(self) -> bool:
        """Whether the source at its end has `give_back`."""
        ...

    def give_back(self, value: Any) -> None: ...


class AsyncUpstream(AsyncSource[T_co], Protocol[T_co]):
    """What operators are made on: a root, or another operator."""

    @property
    def takes_back(self) -> bool:
        """Whether the source at its end has `give_back`."""
        ...

    async def give_back(self, value: Any) -> None: ...


SourceLike: TypeAlias = Source[T] | Iterable[T]
AsyncSourceLike: TypeAlias = AsyncSource[T] | AsyncIterable[T] | Iterable[T]
"""A source, or whatever can be iterated over."""


def apply(function: Callable[..., R], *args: Any) -> R:
    """Call a caller's function. Its StopIteration would look like the end of the stream."""
    try:
        return function(*args)
    except StopIteration as error:
        raise RuntimeError("a function given to a stream raised StopIteration") from error


async def async_apply(function: Callable[..., R | Awaitable[R]], *args: Any) -> R:
    """Call a caller's function, and await what it returns if need be.

    Its StopAsyncIteration would look like the end of the stream.
    """
    try:
        result = function(*args)
        return cast(R, await result if inspect.isawaitable(result) else result)
    except (StopIteration, StopAsyncIteration) as error:
        raise RuntimeError(f"a function given to a stream raised {type(error).__name__}") from error


class Root(Generic[T]):
    """The lower end of every stream: closes its source once, and makes a source of anything iterable."""

    _source: Any

    def __init__(self, source: SourceLike[T]) -> None:
        self._source = cast(Any, source)
        if not hasattr(source, "__next__"):
            self._source = iter(self._source)
        self._is_generator = isinstance(self._source, GeneratorType)
        self._closed = False
        self._first = threading.Lock()
        self._running = threading.Lock()

    def __next__(self) -> T:
        if self._closed:
            raise StopIteration
        if not self._is_generator:
            return self._source.__next__()  # type: ignore[no-any-return]
        try:
            with self._running:
                return next(self._source)  # type: ignore[no-any-return]
        finally:
            if self._closed:
                self._close_generator()

    def close(self) -> None:
        if not self._first.acquire(blocking=False):
            return
        self._closed = True
        if self._is_generator:
            self._close_generator()
        elif hasattr(self._source, "close"):
            self._source.close()

    @property
    def takes_back(self) -> bool:
        return hasattr(self._source, "give_back")

    def give_back(self, value: Any) -> None:
        if self.takes_back:
            self._source.give_back(value)

    def _close_generator(self) -> None:
        """A running generator cannot be closed: whoever runs it does it then, having seen `_closed`."""
        if self._running.acquire(blocking=False):
            try:
                self._source.close()
            finally:
                self._running.release()


class AsyncRoot(Generic[T]):
    """The lower end of every stream: closes its source once, and makes a source of anything iterable."""

    _source: Any

    def __init__(self, source: AsyncSourceLike[T]) -> None:
        self._source = cast(Any, source)
        if not hasattr(source, "__anext__"):
            self._source = aiter(self._source) if hasattr(source, "__aiter__") else _Each(self._source)
        self._is_closable = hasattr(self._source, "close")
        self._closed = False
        self._pending: asyncio.Timeout | None = None

    async def __anext__(self) -> T:
        if self._closed:
            raise StopAsyncIteration
        if self._is_closable:
            return await self._source.__anext__()  # type: ignore[no-any-return]
        guard = self._pending = asyncio.timeout(None)
        try:
            async with guard:
                return await self._source.__anext__()  # type: ignore[no-any-return]
        except TimeoutError:
            if not guard.expired():
                raise  # the source's own
            raise StopAsyncIteration from None
        finally:
            self._pending = None
            if self._closed:
                await self._close_generator()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._is_closable:
            await async_apply(self._source.close)
        elif self._pending is not None:
            self._pending.reschedule(asyncio.get_running_loop().time())
        else:
            await self._close_generator()

    @property
    def takes_back(self) -> bool:
        return hasattr(self._source, "give_back")

    async def give_back(self, value: Any) -> None:
        if self.takes_back:
            await self._source.give_back(value)

    async def _close_generator(self) -> None:
        if hasattr(self._source, "aclose"):
            await self._source.aclose()


class _Each(Generic[T]):
    """The values of something that is not asynchronous."""

    def __init__(self, values: Iterable[T]) -> None:
        self._iterator: Any = iter(values)

    async def __anext__(self) -> T:
        try:
            return next(self._iterator)  # type: ignore[no-any-return]
        except StopIteration:
            raise StopAsyncIteration from None

    def close(self) -> None:
        if hasattr(self._iterator, "close"):
            self._iterator.close()
