"""Sources for tests of streams: values on demand, and a record of what was pulled, given back and closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any


class Tank:
    """Hands out `values`, then ends; when `lasting`, waits for more until it is closed."""

    def __init__(self, values: Iterable[Any] = (), *, lasting: bool = False, fails_to_close: bool = False) -> None:
        self.values = list(values)
        self.lasting = lasting
        self.fails_to_close = fails_to_close
        self.pulled: list[Any] = []
        self.returned: list[Any] = []
        self.closed = 0
        self.waiting = False
        self.changed = threading.Condition()

    def __next__(self) -> Any:
        with self.changed:
            self._note(waiting=True)
            if self.lasting:
                self.changed.wait_for(lambda: self.values or self.closed)
            self._note(waiting=False)
            return self._take()

    def close(self) -> None:
        with self.changed:
            self.closed += 1
            self.changed.notify_all()
        if self.fails_to_close:
            raise OSError("cannot close")

    def give_back(self, value: Any) -> None:
        with self.changed:
            self.returned.append(value)
            self.changed.notify_all()

    def pour(self, value: Any) -> None:
        """One more value, from outside."""
        with self.changed:
            self.values.append(value)
            self.changed.notify_all()

    def await_(self, state: Callable[[Tank], bool]) -> None:
        """Wait until the tank is in that state."""
        with self.changed:
            assert self.changed.wait_for(lambda: state(self), timeout=20)

    def _note(self, *, waiting: bool) -> None:
        self.waiting = waiting
        self.changed.notify_all()

    def _take(self) -> Any:
        if self.closed or not self.values:
            raise StopIteration
        value = self.values.pop(0)
        self.pulled.append(value)
        if isinstance(value, BaseException):
            raise value
        return value


class AsyncTank:
    """The same for tasks. The record is that of a Tank, `tank`, which tests watch from their own thread."""

    def __init__(self, values: Iterable[Any] = (), *, lasting: bool = False, fails_to_close: bool = False) -> None:
        self.tank = Tank(values, lasting=lasting, fails_to_close=fails_to_close)
        self._more = asyncio.Event()

    async def __anext__(self) -> Any:
        with self.tank.changed:
            self.tank._note(waiting=True)
        while self.tank.lasting and not self.tank.values and not self.tank.closed:
            self._more.clear()
            await self._more.wait()
        with self.tank.changed:
            self.tank._note(waiting=False)
            try:
                return self.tank._take()
            except StopIteration:
                raise StopAsyncIteration from None

    async def close(self) -> None:
        self._more.set()
        self.tank.close()

    async def give_back(self, value: Any) -> None:
        self.tank.give_back(value)

    async def pour(self, value: Any) -> None:
        self.tank.pour(value)
        self._more.set()
