# Generated from _async_operators.py by tools/twins.py. Do not edit: edit that and generate again.
"""What a stream does to its values one at a time. Each asks its upstream for a value only when it needs one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from promin_postgres.streams._concurrency import Function, Root, SourceLike, Upstream, apply

T = TypeVar("T")
R = TypeVar("R")


class Operator(Generic[T]):
    """Passes on what comes from upstream, and hands up what has to be closed or given back."""

    def __init__(self, upstream: Upstream[Any]) -> None:
        self._upstream = upstream

    def __next__(self) -> T:
        return self._upstream.__next__()  # type: ignore[no-any-return]

    @property
    def takes_back(self) -> bool:
        return self._upstream.takes_back

    def close(self) -> None:
        self._upstream.close()

    def give_back(self, value: Any) -> None:
        self._upstream.give_back(value)


class Changing(Operator[T]):
    """Passes on other values than it takes: there is nothing that could be given back."""

    def give_back(self, value: Any) -> None:
        pass


class Map(Changing[R]):
    def __init__(self, upstream: Upstream[T], function: Function[T, R]) -> None:
        super().__init__(upstream)
        self._function = function

    def __next__(self) -> R:
        return apply(self._function, self._upstream.__next__())


class Filter(Operator[T]):
    def __init__(self, upstream: Upstream[T], function: Function[T, object]) -> None:
        super().__init__(upstream)
        self._function = function

    def __next__(self) -> T:
        while True:
            value: T = self._upstream.__next__()
            if apply(self._function, value):
                return value


class Tap(Operator[T]):
    def __init__(self, upstream: Upstream[T], function: Function[T, object]) -> None:
        super().__init__(upstream)
        self._function = function

    def __next__(self) -> T:
        value: T = self._upstream.__next__()
        apply(self._function, value)
        return value


class Take(Operator[T]):
    def __init__(self, upstream: Upstream[T], count: int) -> None:
        super().__init__(upstream)
        self._left = count

    def __next__(self) -> T:
        if self._left == 0:
            raise StopIteration
        value: T = self._upstream.__next__()
        self._left -= 1
        return value


class TakeWhile(Operator[T]):
    def __init__(self, upstream: Upstream[T], function: Function[T, object]) -> None:
        super().__init__(upstream)
        self._function = function

    def __next__(self) -> T:
        value: T = self._upstream.__next__()
        if apply(self._function, value):
            return value
        self._upstream.give_back(value)
        raise StopIteration


class Drop(Operator[T]):
    def __init__(self, upstream: Upstream[T], count: int) -> None:
        super().__init__(upstream)
        self._left = count

    def __next__(self) -> T:
        while self._left:
            self._upstream.__next__()
            self._left -= 1
        return self._upstream.__next__()  # type: ignore[no-any-return]


class FlatMap(Changing[R]):
    def __init__(self, upstream: Upstream[T], function: Function[T, SourceLike[R]]) -> None:
        super().__init__(upstream)
        self._function = function
        self._inner: Root[R] | None = None
        self._closed = False

    def __next__(self) -> R:
        while True:
            if self._inner is not None:
                try:
                    return self._inner.__next__()
                except StopIteration:
                    self._inner.close()
                    self._inner = None
            value = self._upstream.__next__()
            self._inner = Root(apply(self._function, value))
            if self._closed:  # meanwhile, by somebody who could not see the new one
                self._inner.close()

    def close(self) -> None:
        self._closed = True
        try:
            self._upstream.close()
        finally:
            inner = self._inner
            if inner is not None:
                inner.close()


class Distinct(Operator[T]):
    """Drops what has the same key as one of the last `remember` different ones."""

    def __init__(self, upstream: Upstream[T], key: Function[T, Hashable], remember: int) -> None:
        super().__init__(upstream)
        self._key = key
        self._remember = remember
        self._seen: OrderedDict[Hashable, None] = OrderedDict()

    def __next__(self) -> T:
        while True:
            value: T = self._upstream.__next__()
            key = apply(self._key, value)
            is_new = key not in self._seen
            self._seen[key] = None
            self._seen.move_to_end(key)
            if len(self._seen) > self._remember:
                self._seen.popitem(last=False)
            if is_new:
                return value


class Dedupe(Operator[T]):
    """Drops what equals the value before it."""

    def __init__(self, upstream: Upstream[T]) -> None:
        super().__init__(upstream)
        self._last: object = object()

    def __next__(self) -> T:
        while True:
            value: T = self._upstream.__next__()
            if value != self._last:
                self._last = value
                return value


class Batched(Changing[list[T]]):
    """Lists of `size` values. Holds none between two lists."""

    def __init__(self, upstream: Upstream[T], size: float) -> None:
        super().__init__(upstream)
        self._size = size
        self._end: Exception | None = None

    def __next__(self) -> list[T]:
        if self._end is not None:
            raise self._end
        batch: list[T] = []
        try:
            self._fill(batch)
        except Exception as error:  # noqa: BLE001 - raised after what came before it
            self._end = error
        except BaseException:
            self.give_back(batch)
            raise
        if not batch and self._end is not None:
            raise self._end
        return batch

    def give_back(self, value: Any) -> None:
        for one in value:
            self._upstream.give_back(one)

    def _fill(self, batch: list[T]) -> None:
        while len(batch) < self._size:
            batch.append(self._upstream.__next__())
