"""A crew works beside the consumer of a stream: in threads, or in tasks. Written twice by hand.

The consumer alone starts calls and collects their outcomes; anybody may close. Neither threads nor tasks know the crew,
so that a stream which is dropped without being closed is collected, and what still runs for it is told to end.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import contextvars
import functools
import logging
import queue
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import attrs

from promin_postgres._wait import async_call
from promin_postgres.streams._concurrency import AsyncUpstream, Upstream, apply, async_apply

_log = logging.getLogger("promin_postgres.streams")

_PATIENCE = 1.0
"""Seconds that closing waits for a source that was asked for a value, and will give back what it holds."""


@attrs.frozen
class Outcome:
    """How a call ended; `origin` gets the value back when nobody collects it."""

    key: Any
    value: Any
    error: BaseException | None = None
    origin: Any = None

    def get(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


_CLOSED: Final = Outcome(None, None)


@attrs.frozen
class _Job:
    """A call to be made: a pull from `origin`, or of a caller's function with what `unbegun` holds."""

    key: Any
    call: Callable[[], Any]
    origin: Any = None
    unbegun: Outcome | None = None


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """For where nobody is left to raise to."""
    try:
        yield
    except Exception:  # noqa: BLE001
        _log.warning("%s failed", what, exc_info=True)


class Crew:
    """Calls that run in threads beside the one that consumes a stream.

    Args:
        abandon: Called, in a thread, when the stream is collected as garbage while something may still run for it.
    """

    def __init__(self, abandon: Callable[[], None]) -> None:
        self._desk = _Desk()
        weakref.finalize(self, self._desk.abandon, abandon).atexit = False

    def pull(self, key: Any, upstream: Upstream[Any]) -> None:
        """Ask for the next value of `upstream`. One that comes too late is given back."""
        self._desk.start(_Job(key, upstream.__next__, origin=upstream))

    def run(self, key: Any, upstream: Upstream[Any], function: Callable[[Any], Any], value: Any) -> None:
        """Call a caller's function with a value of `upstream`, which gets it back when it is too late for that.

        A thread cannot be stopped: after `close` a function that has begun runs on, unheard.
        """
        call = functools.partial(apply, function, value)
        self._desk.start(_Job(key, call, unbegun=Outcome(None, value, origin=upstream)))

    def next(self, timeout: float | None = None) -> Outcome | None:
        """Wait for the next call to end; None after `timeout` seconds. Raises StopIteration once closed."""
        try:
            outcome = self._desk.outcomes.get(timeout=timeout)
        except queue.Empty:
            return None
        if outcome is _CLOSED:
            self._desk.outcomes.put(_CLOSED)
            raise StopIteration
        return outcome

    def close(self) -> None:
        """Wake the consumer, let the threads end, give back what was pulled and not collected."""
        self._desk.close()

    def settle(self) -> None:
        """Wait, for a second at most, until pulls from a closed source have ended and given back what they got.

        Only from sources that take values back: any other may block as long as it likes.
        """
        self._desk.settle()


class _Desk:
    """What a crew and its threads share."""

    def __init__(self) -> None:
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._jobs: queue.SimpleQueue[tuple[contextvars.Context, _Job] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._quiet = threading.Condition(self._lock)
        self._pulls: set[int] = set()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def start(self, job: _Job) -> None:
        with self._lock:
            if not self._closed:
                self._jobs.put((contextvars.copy_context(), job))
                if self._idle:
                    self._idle -= 1
                else:
                    self._threads += 1
                    # A daemon: a source that nobody closes must not keep the process alive.
                    threading.Thread(target=self._work, name="promin-stream", daemon=True).start()
                return
        _give_back(job.unbegun)
        raise StopIteration

    def _work(self) -> None:
        while (task := self._jobs.get()) is not None:
            context, job = task
            if not self._begin(job):
                _give_back(job.unbegun)
                continue
            try:
                outcome = Outcome(job.key, context.run(job.call), origin=job.origin)
            except BaseException as error:  # noqa: BLE001 - handed to the consumer
                outcome = Outcome(job.key, None, error)
            self._deliver(outcome)
            self._end()
            del task, context, job, outcome  # a waiting thread must keep nothing alive

    def _begin(self, job: _Job) -> bool:
        with self._lock:
            if not self._closed and job.origin is not None and job.origin.takes_back:
                self._pulls.add(threading.get_ident())
            return not self._closed

    def _end(self) -> None:
        with self._lock:
            self._pulls.discard(threading.get_ident())
            self._quiet.notify_all()

    def _deliver(self, outcome: Outcome) -> None:
        with self._lock:
            if not self._closed:
                self._idle += 1
                self.outcomes.put(outcome)
                return
        _give_back(outcome)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for _ in range(self._threads):
                self._jobs.put(None)
        with contextlib.suppress(queue.Empty):
            while True:
                _give_back(self.outcomes.get_nowait())
        self.outcomes.put(_CLOSED)

    def settle(self) -> None:
        own = {threading.get_ident()}  # a function of the caller's may close the stream that pulls it
        with self._quiet:
            self._quiet.wait_for(lambda: self._pulls <= own, timeout=_PATIENCE)

    def abandon(self, close_source: Callable[[], None]) -> None:
        """Called by the garbage collector, in any thread and under any lock: so it takes none and only starts one."""

        def end() -> None:
            self.close()
            with _logged("closing a stream that was dropped"):
                close_source()

        if self._threads and not self._closed:
            with contextlib.suppress(RuntimeError):  # the interpreter is going down
                _thread.start_new_thread(end, ())


def _give_back(outcome: Outcome | None) -> None:
    if outcome is not None and outcome.origin is not None:
        with _logged("giving a value back to its source"):
            outcome.origin.give_back(outcome.value)


class AsyncCrew:
    """Calls that run in tasks beside the one that consumes a stream.

    Args:
        abandon: Called when the stream is collected as garbage while something may still run for it.
    """

    def __init__(self, abandon: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._desk = _AsyncDesk()
        weakref.finalize(self, self._desk.abandon, abandon).atexit = False

    async def pull(self, key: Any, upstream: AsyncUpstream[Any]) -> None:
        """Ask for the next value of `upstream`. One that comes too late is given back."""
        await self._desk.start(_Job(key, upstream.__anext__, origin=upstream))

    async def run(self, key: Any, upstream: AsyncUpstream[Any], function: Callable[[Any], Any], value: Any) -> None:
        """Call a caller's function with a value of `upstream`, which gets it back when it is too late for that.

        A coroutine function runs on the loop and is cancelled by `close`; a plain one runs in a thread, so that
        several run at once, and runs on, unheard.
        """
        call = functools.partial(async_apply, _call, function, value)
        await self._desk.start(_Job(key, call, unbegun=Outcome(None, value, origin=upstream)))

    async def next(self, timeout: float | None = None) -> Outcome | None:
        """Wait for the next call to end; None after `timeout` seconds. Raises StopAsyncIteration once closed."""
        try:
            if timeout == 0:
                outcome = self._desk.outcomes.get_nowait()
            else:
                async with asyncio.timeout(timeout):
                    outcome = await self._desk.outcomes.get()
        except (TimeoutError, asyncio.QueueEmpty):
            return None
        if outcome is _CLOSED:
            self._desk.outcomes.put_nowait(_CLOSED)
            raise StopAsyncIteration
        return outcome

    async def close(self) -> None:
        """Wake the consumer, cancel the caller's functions and see them end, give back what was not collected.

        A pull is not cancelled, because the source may just be taking a value: it ends when the source is closed.
        """
        await self._desk.close()

    async def settle(self) -> None:
        """Wait, for a second at most, until pulls from a closed source have ended and given back what they got.

        Only from sources that take values back: any other may block as long as it likes.
        """
        await self._desk.settle()


async def _call(function: Callable[[Any], Any], value: Any) -> Any:
    return await async_call(function, value, timeout=None, on_timeout=lambda: None)


class _AsyncDesk:
    """What a crew and its tasks share."""

    def __init__(self) -> None:
        self.outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runs: set[asyncio.Task[None] | None] = set()
        self._pulls: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def start(self, job: _Job) -> None:
        if self._closed:
            await _async_give_back(job.unbegun)
            raise StopAsyncIteration
        self._loop = asyncio.get_running_loop()
        task = self._keep(self._work(job))
        if job.origin is not None and job.origin.takes_back:
            self._pulls.add(task)
            task.add_done_callback(self._pulls.discard)

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """The loop itself does not keep its tasks alive."""
        task = asyncio.create_task(work, name="promin-stream")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _work(self, job: _Job) -> None:
        task = asyncio.current_task()
        if self._closed:
            await _async_give_back(job.unbegun)
            return
        if job.unbegun is not None:
            self._runs.add(task)
        try:
            outcome = Outcome(job.key, await job.call(), origin=job.origin)
        except BaseException as error:  # noqa: BLE001 - handed to the consumer
            outcome = Outcome(job.key, None, error)
        self._runs.discard(task)
        if self._closed:
            await _async_give_back(outcome)
        else:
            self.outcomes.put_nowait(outcome)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        left = [self.outcomes.get_nowait() for _ in range(self.outcomes.qsize())]
        self.outcomes.put_nowait(_CLOSED)
        runs = [task for task in self._runs if task is not None and task is not asyncio.current_task()]
        for task in runs:
            task.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        for outcome in left:
            await _async_give_back(outcome)

    async def settle(self) -> None:
        # A function of the caller's may close the stream that pulls it.
        others = [task for task in self._pulls if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others, timeout=_PATIENCE)

    def abandon(self, close_source: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Called by the garbage collector, in any thread: so it only tells the loop."""

        async def end() -> None:
            await self.close()
            with _logged("closing a stream that was dropped"):
                await close_source()

        if self._loop is not None and not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(lambda: self._keep(end()))


async def _async_give_back(outcome: Outcome | None) -> None:
    if outcome is not None and outcome.origin is not None:
        with _logged("giving a value back to its source"):
            await outcome.origin.give_back(outcome.value)
