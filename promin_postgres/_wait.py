"""What threads and tasks do differently, written twice by hand. Nothing else is.

A thread cannot be cancelled and a task can; a lock of asyncio does not know its owner; a sync function called from a
task would stop the whole loop. Everything above this floor uses these pairs and is generated from its async source.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import os
import queue
import selectors
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar, cast

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


def _start_thread(name: str, work: Callable[[], None]) -> None:
    """Run `work` in a daemon thread, in a copy of the context variables of the caller, as a task would have.

    A daemon, because a function that outlives its timeout is left behind and must not keep the process alive. Not a
    thread of an executor, because functions left behind would use its threads up.
    """
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name=f"promin-{name}", daemon=True).start()


def _outcome(function: Callable[..., R], args: tuple[Any, ...]) -> tuple[R | None, BaseException | None]:
    try:
        return function(*args), None
    except BaseException as error:  # noqa: BLE001 - handed to whoever waits
        return None, error


class Group(Generic[K, R]):
    """Calls that run side by side in threads; `next_done` hands them back as they end.

    Threads cannot be stopped: leaving the block leaves what still runs to itself. One that is done serves the next
    call: starting a thread takes a millisecond where others are at work.
    """

    def __init__(self) -> None:
        self._done: queue.SimpleQueue[tuple[K, R | None, BaseException | None]] = queue.SimpleQueue()
        self._running = 0
        self._idle: list[queue.SimpleQueue[Callable[[], None] | None]] = []
        self._left = False

    def __enter__(self) -> Group[K, R]:
        return self

    def __exit__(self, *_: object) -> None:
        self._left = True
        while self._idle:
            self._idle.pop().put(None)

    @property
    def running(self) -> int:
        """How many calls were not handed back yet."""
        return self._running

    def spawn(self, key: K, function: Callable[..., R], *args: Any) -> None:
        context = contextvars.copy_context()
        if self._idle:
            inbox = self._idle.pop()
        else:
            inbox = queue.SimpleQueue()
            _start_thread(str(key), lambda: self._serve(inbox))
        inbox.put(lambda: self._done.put((key, *context.run(_outcome, function, args))))
        self._running += 1

    def _serve(self, inbox: queue.SimpleQueue[Callable[[], None] | None]) -> None:
        while (work := inbox.get()) is not None:
            work()
            del work  # and with it the arguments
            self._idle.append(inbox)
            if self._left:
                return  # whoever left may not have seen this one

    def next_done(self, *, timeout: float | None = None) -> tuple[K, R] | None:
        """Wait for the next call to end; its exception is raised here. None after `timeout` seconds."""
        try:
            key, result, error = self._done.get(timeout=timeout)
        except queue.Empty:
            return None
        self._running -= 1
        if error is not None:
            raise error
        return key, cast(R, result)


class AsyncGroup(Generic[K, R]):
    """Calls that run side by side in tasks; `next_done` hands them back as they end.

    Leaving the block cancels what still runs, and waits until it has ended.
    """

    def __init__(self) -> None:
        self._done: asyncio.Queue[tuple[K, R | None, BaseException | None]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0

    async def __aenter__(self) -> AsyncGroup[K, R]:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def running(self) -> int:
        """How many calls were not handed back yet."""
        return self._running

    def spawn(self, key: K, function: Callable[..., Awaitable[R]], *args: Any) -> None:
        async def work() -> None:
            try:
                self._done.put_nowait((key, await function(*args), None))
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                self._done.put_nowait((key, None, error))

        task = asyncio.create_task(work(), name=f"promin-{key}")
        self._running += 1
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def next_done(self, *, timeout: float | None = None) -> tuple[K, R] | None:
        """Wait for the next call to end; its exception is raised here. None after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                key, result, error = await self._done.get()
        except TimeoutError:
            return None
        self._running -= 1
        if error is not None:
            raise error
        return key, cast(R, result)


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
    _start_thread("timed", lambda: done.put(_outcome(function, (argument,))))
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
    if timeout is None:
        return await _await_call(function, argument)
    guard = asyncio.timeout(timeout)
    try:
        async with guard:
            return await _await_call(function, argument)
    except TimeoutError:
        if not guard.expired():
            raise  # the function's own
        on_timeout()
        raise TimeoutError(f"still running after {timeout:g} seconds") from None


async def _await_call(function: Callable[[Any], Any], argument: Any) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(argument)
    result = await _in_thread(function, argument)
    return await result if inspect.isawaitable(result) else result


async def _in_thread(function: Callable[[Any], Any], argument: Any) -> Any:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def settle(outcome: tuple[Any, BaseException | None]) -> None:
        if not done.done():  # nobody waits any more after a timeout
            done.set_result(outcome)

    def work() -> None:
        outcome = _outcome(function, (argument,))
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody can be told
            loop.call_soon_threadsafe(settle, outcome)

    _start_thread("step", work)
    result, error = await done
    if error is not None:
        raise error
    return result


def home() -> object:
    """What a connection with a reader of its own belongs to: a process, whose threads do not survive a fork."""
    return os.getpid()


def async_home() -> object:
    """What a connection with a reader of its own belongs to: an event loop."""
    return asyncio.get_running_loop()


def strand() -> object:
    """What runs this: two calls in the same one come one after the other."""
    return threading.current_thread()


def async_strand() -> object:
    """What runs this: two calls in the same one come one after the other."""
    return asyncio.current_task()


class Waker:
    """Waits for a socket to be readable, for a time to pass, or for another thread to call `wake`."""

    def __init__(self) -> None:
        self._heard, self._call = socket.socketpair()
        self._heard.setblocking(False)
        self._call.setblocking(False)

    def wake(self) -> None:
        """End the wait, or the next one."""
        with contextlib.suppress(BlockingIOError, OSError):  # full: it will wake anyway; closed: nobody waits
            self._call.send(b"\0")

    def wait(self, fileno: int, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(fileno, selectors.EVENT_READ)
            selector.register(self._heard, selectors.EVENT_READ)
            selector.select(seconds)
        with contextlib.suppress(BlockingIOError, OSError):
            while self._heard.recv(4096):
                pass

    def close(self) -> None:
        self._heard.close()
        self._call.close()


class AsyncWaker:
    """Waits for a socket to be readable, for a time to pass, or for another task to call `wake`."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """End the wait, or the next one."""
        self._event.set()

    async def wait(self, fileno: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(fileno, self._event.set)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._event.wait(), seconds)
        finally:
            loop.remove_reader(fileno)
            self._event.clear()

    def close(self) -> None:
        """Nothing is held."""


class Signal:
    """An event that can be waited for with a timeout, from threads."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        self._event.clear()

    def wait(self, seconds: float) -> bool:
        """Whether it was set before `seconds` had passed."""
        return self._event.wait(seconds)


class AsyncSignal:
    """An event that can be waited for with a timeout, from tasks."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        self._event.clear()

    async def wait(self, seconds: float) -> bool:
        """Whether it was set before `seconds` had passed."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        return True


class Background:
    """A function that runs beside everything else, in a daemon thread."""

    def __init__(self, function: Callable[[], None], name: str) -> None:
        self._thread = threading.Thread(target=function, name=name, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def join(self, seconds: float) -> None:
        if self._thread is not threading.current_thread():
            self._thread.join(seconds)


class AsyncBackground:
    """A function that runs beside everything else, in a task."""

    def __init__(self, function: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._task = asyncio.create_task(function(), name=name)

    @property
    def running(self) -> bool:
        return not self._task.done()

    async def join(self, seconds: float) -> None:
        if self._task is not asyncio.current_task():
            await asyncio.wait([self._task], timeout=seconds)
            self._task.cancel()
