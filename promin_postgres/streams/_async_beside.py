"""What a stream does to its values while others are waited for or worked on, with a crew beside its consumer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol, TypeVar

from promin_postgres.streams._async_operators import AsyncBatched, AsyncChanging, AsyncOperator
from promin_postgres.streams._concurrency import AsyncFunction, AsyncUpstream
from promin_postgres.streams._crew import AsyncCrew, Outcome

T = TypeVar("T")
R = TypeVar("R")


class AsyncClosable(Protocol):
    async def close(self) -> None: ...


class AsyncTimedBatched(AsyncBatched[T]):
    """Lists of at most `size` values that came within `seconds` of the first. Holds at most one between two lists."""

    def __init__(self, upstream: AsyncUpstream[T], size: float, seconds: float) -> None:
        super().__init__(upstream, size)
        self._seconds = seconds
        self._crew = AsyncCrew(upstream.close)
        self._pulling = False

    async def _fill(self, batch: list[T]) -> None:
        left: float | None = None
        deadline = 0.0
        while left is None or (left > 0 and len(batch) < self._size):
            if not self._pulling:
                await self._crew.pull(None, self._upstream)
                self._pulling = True
            outcome = await self._crew.next(left)
            if outcome is None:
                return
            self._pulling = False
            batch.append(outcome.get())
            if left is None:
                deadline = time.monotonic() + self._seconds
            left = deadline - time.monotonic()

    async def close(self) -> None:
        await _end(self._crew, self._upstream)


class AsyncTimeout(AsyncOperator[T]):
    """Fails when a value is waited for longer than `seconds`."""

    def __init__(self, upstream: AsyncUpstream[T], seconds: float) -> None:
        super().__init__(upstream)
        self._seconds = seconds
        self._crew = AsyncCrew(upstream.close)

    async def __anext__(self) -> T:
        await self._crew.pull(None, self._upstream)
        outcome = await self._crew.next(self._seconds)
        if outcome is None:
            raise TimeoutError(f"no value came within {self._seconds:g} seconds")
        return outcome.get()  # type: ignore[no-any-return]

    async def close(self) -> None:
        await _end(self._crew, self._upstream)


class AsyncThrottle(AsyncOperator[T]):
    """At most `count` values in any `seconds`. Waits before it pulls, and so holds nothing."""

    def __init__(self, upstream: AsyncUpstream[T], count: int, seconds: float) -> None:
        super().__init__(upstream)
        self._seconds = seconds
        self._moments: deque[float] = deque(maxlen=count)
        self._crew = AsyncCrew(upstream.close)

    async def __anext__(self) -> T:
        if len(self._moments) == self._moments.maxlen:
            while (left := self._moments[0] + self._seconds - time.monotonic()) > 0:
                await self._crew.next(left)  # nothing was started: it waits, and stops when the stream is closed
        value: T = await self._upstream.__anext__()
        self._moments.append(time.monotonic())
        return value

    async def close(self) -> None:
        await _end(self._crew, self._upstream)


class AsyncMerge(AsyncChanging[T]):
    """The values of several streams as they come. Holds at most one of each."""

    def __init__(self, upstreams: Sequence[AsyncUpstream[T]]) -> None:
        async def abandon() -> None:
            await _close(*upstreams)

        super().__init__(upstreams[0])
        self._upstreams = upstreams
        self._idle = list(range(len(upstreams)))
        self._left = len(upstreams)
        self._crew = AsyncCrew(abandon)

    async def __anext__(self) -> T:
        while self._left:
            while self._idle:
                number = self._idle.pop()
                await self._crew.pull(number, self._upstreams[number])
            outcome = await self._crew.next()
            assert outcome is not None
            if isinstance(outcome.error, StopAsyncIteration):
                self._left -= 1
                await self._upstreams[outcome.key].close()
            else:
                self._idle.append(outcome.key)
                return outcome.get()  # type: ignore[no-any-return]
        raise StopAsyncIteration

    @property
    def takes_back(self) -> bool:
        return any(upstream.takes_back for upstream in self._upstreams)

    async def close(self) -> None:
        await _end(self._crew, *self._upstreams)


class AsyncParMap(AsyncChanging[R]):
    """The results of a function that runs for up to `concurrency` values at once. Holds at most so many."""

    def __init__(
        self, upstream: AsyncUpstream[T], function: AsyncFunction[T, R], concurrency: int, ordered: bool
    ) -> None:
        super().__init__(upstream)
        self._function = function
        self._concurrency = concurrency
        self._ordered = ordered
        self._crew = AsyncCrew(upstream.close)
        self._pulling = False
        self._end: BaseException | None = None
        self._started = 0
        self._handed_out = 0
        self._done: dict[int, Outcome] = {}

    async def __anext__(self) -> R:
        while True:
            held = self._started - self._handed_out
            if self._end is None and not self._pulling and held < self._concurrency:
                await self._crew.pull(None, self._upstream)
                self._pulling = True
            number = self._handed_out if self._ordered else next(iter(self._done), -1)
            is_ready = number in self._done
            if self._end is not None and held == 0:
                raise self._end
            # Also with a result at hand, or what was pulled meanwhile would be begun late.
            outcome = await self._crew.next(0 if is_ready else None)
            if outcome is not None:
                await self._sort_in(outcome)
            elif is_ready:
                self._handed_out += 1
                return self._done.pop(number).get()  # type: ignore[no-any-return]

    async def _sort_in(self, outcome: Outcome) -> None:
        if outcome.key is not None:
            self._done[outcome.key] = outcome
            return
        self._pulling = False
        if outcome.error is not None:
            self._end = outcome.error  # raised after the results of what came before it
            return
        await self._crew.run(self._started, self._upstream, self._function, outcome.value)
        self._started += 1

    async def close(self) -> None:
        await _end(self._crew, self._upstream)


async def _end(crew: AsyncCrew, *upstreams: AsyncClosable) -> None:
    """Close them all; what was pulled from them is back where it came from when this returns."""
    try:
        await _close(crew, *upstreams)
    finally:
        await crew.settle()


async def _close(*several: AsyncClosable) -> None:
    """Close them all, also when one of them fails."""
    if several:
        try:
            await several[0].close()
        finally:
            await _close(*several[1:])
