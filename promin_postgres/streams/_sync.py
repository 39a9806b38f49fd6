# Generated from _async.py by tools/twins.py. Do not edit: edit that and generate again.
"""Stream: values one after another, from a source that it closes."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Hashable
from types import TracebackType
from typing import Any, Generic, TypeVar, overload

from promin_postgres._time import Seconds, check_seconds
from promin_postgres.errors import InvalidArgument
from promin_postgres.streams import _sync_beside as beside
from promin_postgres.streams import _sync_operators as operators
from promin_postgres.streams._concurrency import (
    Folder,
    Function,
    Root,
    SourceLike,
    Upstream,
    apply,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")
D = TypeVar("D")


class Stream(Generic[T_co]):
    """Values one after another: an iterator that is also a context manager.

    Nothing is pulled from the source before a value is asked for, and no more than that takes, except where a method
    says otherwise. The stream is over when its source is, when a function fails, when its consumer is cancelled, and
    when it is closed; each of them closes the source. Streams made of one another have one source: closing any of them
    closes it.

    One consumer at a time; `close` may come from anywhere, and whoever waits for a value then sees the end of the
    stream. What an operator had pulled and not handed out by then goes back to the source, if that takes values back.

    Functions given to the async twin may be coroutine functions.

    Args:
        source: A Source, or anything that can be iterated over.
    """

    def __init__(self, source: SourceLike[T_co]) -> None:
        self._upstream: Upstream[T_co] = _upstream_of(source)
        self._closed = False

    def __iter__(self) -> Stream[T_co]:
        return self

    def __next__(self) -> T_co:
        if self._closed:
            raise StopIteration
        try:
            return self._upstream.__next__()
        except StopIteration:
            self.close()
            raise
        except BaseException as error:
            try:
                self.close()
            except Exception as second:  # noqa: BLE001 - the first one tells more
                error.add_note(f"closing the stream failed too: {second!r}")
            raise

    def __enter__(self) -> Stream[T_co]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the source, at once and once. Whoever waits for a value sees the end of the stream."""
        self._closed = True
        self._upstream.close()

    def map(self, function: Function[T_co, R]) -> Stream[R]:
        """What `function` makes of each value."""
        return Stream(operators.Map(self._upstream, function))

    def filter(self, function: Function[T_co, object]) -> Stream[T_co]:
        """The values for which `function` is true."""
        return Stream(operators.Filter(self._upstream, function))

    def tap(self, function: Function[T_co, object]) -> Stream[T_co]:
        """The same values, each shown to `function` before it is handed out."""
        return Stream(operators.Tap(self._upstream, function))

    def take(self, count: int) -> Stream[T_co]:
        """The first `count` values; not one more is pulled."""
        return Stream(operators.Take(self._upstream, _check_count("count", count, least=0)))

    def take_while(self, function: Function[T_co, object]) -> Stream[T_co]:
        """The values before the first for which `function` is false; that one is pulled, and given back."""
        return Stream(operators.TakeWhile(self._upstream, function))

    def drop(self, count: int) -> Stream[T_co]:
        """The values after the first `count`, which are pulled all the same."""
        return Stream(operators.Drop(self._upstream, _check_count("count", count, least=0)))

    def flat_map(self, function: Function[T_co, SourceLike[R]]) -> Stream[R]:
        """The values of what `function` returns for each: streams or iterables, one after the other."""
        return Stream(operators.FlatMap(self._upstream, function))

    def batched(self, size: int, *, max_wait: Seconds | None = None) -> Stream[list[T_co]]:
        """Lists of `size` values; the last may be shorter.

        Args:
            size: At least 1.
            max_wait: Hand out a shorter list this long after its first value came, in seconds or as a timedelta. Then
                the next value is waited for in the background, and at most one is held between two lists.
        """
        _check_count("size", size, least=1)
        if max_wait is None:
            return Stream(operators.Batched(self._upstream, size))
        seconds = check_seconds("max_wait", max_wait)
        return Stream(beside.TimedBatched(self._upstream, size, seconds))

    def group_within(self, seconds: Seconds, *, max_size: int | None = None) -> Stream[list[T_co]]:
        """Lists of the values that came within `seconds` of the first of them, in seconds or as a timedelta.

        The next value is waited for in the background, and at most one is held between two lists.

        Args:
            max_size: Hand out a list at once when it has so many values; at least 1, None for no bound.
        """
        size = math.inf if max_size is None else _check_count("max_size", max_size, least=1)
        window = check_seconds("seconds", seconds, positive=True)
        return Stream(beside.TimedBatched(self._upstream, size, window))

    def merge(self, *others: SourceLike[R]) -> Stream[T_co | R]:
        """The values of this stream and of the others as they come, until all are over; closing it closes all.

        One value of each is waited for in the background, and at most that one is held.
        """
        upstreams: list[Upstream[Any]] = [self._upstream, *map(_upstream_of, others)]
        return Stream(beside.Merge(upstreams))

    def dedupe(self) -> Stream[T_co]:
        """The values that differ from the one before them."""
        return Stream(operators.Dedupe(self._upstream))

    def distinct_by(self, key: Function[T_co, Hashable], *, remember: int = 100_000) -> Stream[T_co]:
        """The values whose key is not among the last `remember` different keys; at least 1."""
        return Stream(operators.Distinct(self._upstream, key, _check_count("remember", remember, least=1)))

    def par_map(self, function: Function[T_co, R], *, concurrency: int, ordered: bool = True) -> Stream[R]:
        """What `function` makes of each value, worked out for several at once.

        Values are pulled and worked on ahead of the consumer, `concurrency` of them at most with those whose results
        wait to be handed out. A plain function runs in a thread and cannot be stopped: closing the stream leaves it to
        itself. A coroutine function, in the async twin, is cancelled.

        Args:
            concurrency: How many at once; at least 1.
            ordered: Hand results out in the order of the values. Else as they come.
        """
        _check_count("concurrency", concurrency, least=1)
        return Stream(beside.ParMap(self._upstream, function, concurrency, ordered))

    def throttle(self, count: int, *, per: Seconds = 1.0) -> Stream[T_co]:
        """The same values, at most `count` of them in any `per` seconds. Waits before it pulls.

        Args:
            count: At least 1.
            per: Seconds or a timedelta.
        """
        _check_count("count", count, least=1)
        return Stream(beside.Throttle(self._upstream, count, check_seconds("per", per)))

    def timeout(self, seconds: Seconds) -> Stream[T_co]:
        """The same values; TimeoutError when one is waited for longer than `seconds` (or a timedelta)."""
        window = check_seconds("seconds", seconds, positive=True)
        return Stream(beside.Timeout(self._upstream, window))

    def through(self, pipe: Callable[[Stream[T_co]], R]) -> R:
        """`pipe(stream)`: for steps that are written elsewhere."""
        return pipe(self)

    def for_each(self, function: Function[T_co, object]) -> None:
        """Call `function` with each value, to the end of the stream."""
        with self:
            for value in self:
                apply(function, value)

    def collect(self) -> list[T_co]:
        """All values, to the end of the stream."""
        with self:
            return [value for value in self]

    @overload
    def first(self) -> T_co | None: ...
    @overload
    def first(self, default: D) -> T_co | D: ...
    def first(self, default: Any = None) -> Any:
        """The first value, or `default` when there is none. Pulls no other, and closes the stream."""
        with self:
            for value in self:
                return value
        return default

    def reduce(self, function: Folder[R, T_co], initial: R) -> R:
        """`function(result, value)` for each value, from `initial` on; the last result."""
        result = initial
        with self:
            for value in self:
                result = apply(function, result, value)
        return result

    def drain(self) -> int:
        """Pull all values and drop them; how many there were."""
        count = 0
        with self:
            for _ in self:
                count += 1
        return count


def _upstream_of(source: SourceLike[Any]) -> Upstream[Any]:
    """What an operator asks for values. That of a stream directly, so that values can be given back to it."""
    if isinstance(source, Stream):
        return source._upstream
    return source if isinstance(source, operators.Operator) else Root(source)


def _check_count(argument: str, value: int, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidArgument(argument, value, f"must be a whole number of at least {least}")
    return value
