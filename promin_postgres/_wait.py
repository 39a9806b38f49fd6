"""What threads and tasks do differently, written twice by hand. Nothing else is.

A thread cannot be cancelled and a task can; a lock of asyncio does not know its owner; a sync function called from a
task would stop the whole loop. Everything above this floor uses these pairs and is generated from its async source.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

K = TypeVar("K")
R = TypeVar("R")


def sleep(seconds: float) -> None:
    time.sleep(seconds)


async def async_sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


RLock = threading.RLock


class AsyncRLock:
    """A lock that the task holding it may take again."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._owner: asyncio.Task[Any] | None = None
        self._depth = 0

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if self._owner is not task:
            await self._lock.acquire()
            self._owner = task
        self._depth += 1

    async def __aexit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
            self._lock.release()


class Group(Generic[K, R]):
    """Calls that run side by side in threads; `next_done` hands them back as they end.

    The threads are daemons: one that outlives its timeout is left behind and does not keep the process alive.
    """

    def __init__(self) -> None:
        self._done: queue.SimpleQueue[tuple[K, R | BaseException]] = queue.SimpleQueue()
        self._running = 0

    def __enter__(self) -> Group[K, R]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Threads cannot be stopped: what still runs is left to itself."""

    @property
    def running(self) -> int:
        return self._running

    def spawn(self, key: K, function: Callable[..., R], *args: Any) -> None:
        def work() -> None:
            try:
                self._done.put((key, function(*args)))
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                self._done.put((key, error))

        self._running += 1
        threading.Thread(target=work, name=f"promin-{key}", daemon=True).start()

    def next_done(self) -> tuple[K, R]:
        """Wait for the next call to end; its exception is raised here."""
        key, outcome = self._done.get()
        self._running -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return key, outcome


class AsyncGroup(Generic[K, R]):
    """Calls that run side by side in tasks; `next_done` hands them back as they end. Leaving cancels the rest."""

    def __init__(self) -> None:
        self._done: asyncio.Queue[tuple[K, R | BaseException]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0

    async def __aenter__(self) -> AsyncGroup[K, R]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def running(self) -> int:
        return self._running

    def spawn(self, key: K, function: Callable[..., Awaitable[R]], *args: Any) -> None:
        async def work() -> None:
            try:
                self._done.put_nowait((key, await function(*args)))
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                self._done.put_nowait((key, error))

        self._running += 1
        task = asyncio.create_task(work(), name=f"promin-{key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def next_done(self) -> tuple[K, R]:
        """Wait for the next call to end; its exception is raised here."""
        key, outcome = await self._done.get()
        self._running -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return key, outcome


def call(
    function: Callable[[Any], Any], argument: Any, *, timeout: float | None, on_timeout: Callable[[], None]
) -> Any:
    """Call a user's function, for at most `timeout` seconds; TimeoutError then.

    A thread cannot be stopped: after a timeout the function runs on, unheard. `on_timeout` is called first, so that a
    function that looks can see that nobody waits for it any more.
    """
    if timeout is None:
        return function(argument)
    done: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            done.put((function(argument), None))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            done.put((None, error))

    threading.Thread(target=work, name="promin-timed-step", daemon=True).start()
    try:
        result, error = done.get(timeout=timeout)
    except queue.Empty:
        on_timeout()
        raise TimeoutError(f"still running after {timeout:g} seconds") from None
    if error is not None:
        raise error
    return result


async def async_call(
    function: Callable[[Any], Any], argument: Any, *, timeout: float | None, on_timeout: Callable[[], None]
) -> Any:
    """Call a user's function, for at most `timeout` seconds; TimeoutError then.

    A coroutine function runs on the loop and is cancelled by the timeout. A plain function runs in a thread, because
    it would stop the loop and every heartbeat with it; after a timeout it runs on, unheard.
    """
    guard = asyncio.timeout(timeout)
    try:
        async with guard:
            if inspect.iscoroutinefunction(inspect.unwrap(function)):
                return await function(argument)
            result = await asyncio.to_thread(function, argument)
            return await result if inspect.isawaitable(result) else result
    except TimeoutError:
        if not guard.expired():
            raise  # the function's own
        on_timeout()
        raise TimeoutError(f"still running after {timeout:g} seconds") from None
