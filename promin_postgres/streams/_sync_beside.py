# Generated from _async_beside.py by tools/twins.py. Do not edit: edit that and generate again.
"""What a stream does to its values while others are waited for or worked on, with a crew beside its consumer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol, TypeVar

from promin_postgres.streams._sync_operators import Batched, Changing, Operator
from promin_postgres.streams._concurrency import Function, Upstream
from promin_postgres.streams._crew import Crew, Outcome

T = TypeVar("T")
R = TypeVar("R")


class Closable(Protocol):
    def close(self) -> None: ...


class TimedBatched(Batched[T]):
    """Lists of at most `size` values that came within `seconds` of the first. Holds at most one between two lists."""

    def __init__(self, upstream: Upstream[T], size: float, seconds: float) -> None:
        super().__init__(upstream, size)
        self._seconds = seconds
        self._crew = Crew(upstream.close)
        self._pulling = False

    def _fill(self, batch: list[T]) -> None:
        left: float | None = None
        deadline = 0.0
        while left is None or (left > 0 and len(batch) < self._size):
            if not self._pulling:
                self._crew.pull(None, self._upstream)
                self._pulling = True
            outcome = self._crew.next(left)
            if outcome is None:
                return
            self._pulling = False
            batch.append(outcome.get())
            if left is None:
                deadline = time.monotonic() + self._seconds
            left = deadline - time.monotonic()

    def close(self) -> None:
        _end(self._crew, self._upstream)


class Timeout(Operator[T]):
    """Fails when a value is waited for longer than `seconds`."""

    def __init__(self, upstream: Upstream[T], seconds: float) -> None:
        super().__init__(upstream)
        self._seconds = seconds
        self._crew = Crew(upstream.close)

    def __next__(self) -> T:
        self._crew.pull(None, self._upstream)
        outcome = self._crew.next(self._seconds)
        if outcome is None:
            raise TimeoutError(f"no value came within {self._seconds:g} seconds")
        return outcome.get()  # type: ignore[no-any-return]

    def close(self) -> None:
        _end(self._crew, self._upstream)


class Throttle(Operator[T]):
    """At most `count` values in any `seconds`. Waits before it pulls, and so holds nothing."""

    def __init__(self, upstream: Upstream[T], count: int, seconds: float) -> None:
        super().__init__(upstream)
        self._seconds = seconds
        self._moments: deque[float] = deque(maxlen=count)
        self._crew = Crew(upstream.close)

    def __next__(self) -> T:
        if len(self._moments) == self._moments.maxlen:
            while (left := self._moments[0] + self._seconds - time.monotonic()) > 0:
                self._crew.next(left)  # nothing was started: it waits, and stops when the stream is closed
        value: T = self._upstream.__next__()
        self._moments.append(time.monotonic())
        return value

    def close(self) -> None:
        _end(self._crew, self._upstream)


class Merge(Changing[T]):
    """The values of several streams as they come. Holds at most one of each."""

    def __init__(self, upstreams: Sequence[Upstream[T]]) -> None:
        def abandon() -> None:
            _close(*upstreams)

        super().__init__(upstreams[0])
        self._upstreams = upstreams
        self._idle = list(range(len(upstreams)))
        self._left = len(upstreams)
        self._crew = Crew(abandon)

    def __next__(self) -> T:
        while self._left:
            while self._idle:
                number = self._idle.pop()
                self._crew.pull(number, self._upstreams[number])
            outcome = self._crew.next()
            assert outcome is not None
            if isinstance(outcome.error, StopIteration):
                self._left -= 1
                self._upstreams[outcome.key].close()
            else:
                self._idle.append(outcome.key)
                return outcome.get()  # type: ignore[no-any-return]
        raise StopIteration

    @property
    def takes_back(self) -> bool:
        return any(upstream.takes_back for upstream in self._upstreams)

    def close(self) -> None:
        _end(self._crew, *self._upstreams)


class ParMap(Changing[R]):
    """The results of a function that runs for up to `concurrency` values at once. Holds at most so many."""

    def __init__(
        self, upstream: Upstream[T], function: Function[T, R], concurrency: int, ordered: bool
    ) -> None:
        super().__init__(upstream)
        self._function = function
        self._concurrency = concurrency
        self._ordered = ordered
        self._crew = Crew(upstream.close)
        self._pulling = False
        self._end: BaseException | None = None
        self._started = 0
        self._handed_out = 0
        self._done: dict[int, Outcome] = {}

    def __next__(self) -> R:
        while True:
            held = self._started - self._handed_out
            if self._end is None and not self._pulling and held < self._concurrency:
                self._crew.pull(None, self._upstream)
                self._pulling = True
            number = self._handed_out if self._ordered else next(iter(self._done), -1)
            is_ready = number in self._done
            if self._end is not None and held == 0:
                raise self._end
            # Also with a result at hand, or what was pulled meanwhile would be begun late.
            outcome = self._crew.next(0 if is_ready else None)
            if outcome is not None:
                self._sort_in(outcome)
            elif is_ready:
                self._handed_out += 1
                return self._done.pop(number).get()  # type: ignore[no-any-return]

    def _sort_in(self, outcome: Outcome) -> None:
        if outcome.key is not None:
            self._done[outcome.key] = outcome
            return
        self._pulling = False
        if outcome.error is not None:
            self._end = outcome.error  # raised after the results of what came before it
            return
        self._crew.run(self._started, self._upstream, self._function, outcome.value)
        self._started += 1

    def close(self) -> None:
        _end(self._crew, self._upstream)


def _end(crew: Crew, *upstreams: Closable) -> None:
    """Close them all; what was pulled from them is back where it came from when this returns."""
    try:
        _close(crew, *upstreams)
    finally:
        crew.settle()


def _close(*several: Closable) -> None:
    """Close them all, also when one of them fails."""
    if several:
        try:
            several[0].close()
        finally:
            _close(*several[1:])
