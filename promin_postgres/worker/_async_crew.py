"""AsyncCrew: tasks that call handlers."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from promin_postgres._wait import AsyncSignal, async_call
from promin_postgres.steps import StepTask
from promin_postgres.steps._settings import Settlement
from promin_postgres.worker._context import TaskContext
from promin_postgres.worker._desk import Desk, Ended, completed, failed, overdue
from promin_postgres.worker._heart import Life
from promin_postgres.worker._settings import Handler, Settings
from promin_postgres.worker.engine import AsyncEngine
from promin_postgres.workflow.storage import StepSettlement

_SLICE = 0.005
"""Seconds after which handlers that do not wait for anything let others have the loop."""


class AsyncAlarm(AsyncSignal):
    """Wakes the claimer; knows whether the bell did."""

    def __init__(self) -> None:
        super().__init__()
        self.rung = False

    def set(self) -> None:
        self.rung = True
        super().set()

    def nudge(self) -> None:
        super().set()


class AsyncCrew:
    """Tasks that call handlers. One that nobody waits for any more leaves when its handler returns."""

    def __init__(self, desk: Desk, settings: Settings, alarm: AsyncAlarm, engine: AsyncEngine | None) -> None:
        self.life: Life | None = None
        """What tasks have to be claimed under to be begun."""
        self._desk = desk
        self._settings = settings
        self._alarm = alarm
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._ready: deque[StepTask] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._guards: dict[TaskContext, asyncio.Timeout] = {}
        self._coroutines = {
            name for name, handler in settings.handlers.items() if inspect.iscoroutinefunction(handler.function)
        }

    @property
    def has_ready(self) -> bool:
        """Whether tasks wait for a handler."""
        return bool(self._ready)

    @property
    def ahead(self) -> int:
        return len(self._ready)

    def put(self, tasks: Iterable[StepTask]) -> None:
        self._ready += tasks
        for _ in range(min(len(self._ready), len(self._idle))):
            self._idle.popleft().set_result(None)

    def unbegun(self) -> list[StepTask]:
        """Take back what nobody has begun."""
        tasks = list(self._ready)
        self._ready.clear()
        return tasks

    async def dismiss(self) -> None:
        """Cancel the tasks, and wait until they have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hire(self) -> None:
        task = asyncio.create_task(self._serve(), name="promin-handler")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        ready = self._ready
        rest_at = time.monotonic() + _SLICE
        while True:
            while not ready:
                more = self._loop.create_future()
                self._idle.append(more)
                await more
                rest_at = time.monotonic() + _SLICE
            if not await self._execute(ready.popleft()):
                return  # another task has taken this place
            if time.monotonic() >= rest_at:
                await asyncio.sleep(0)
                rest_at = time.monotonic() + _SLICE

    async def _execute(self, task: StepTask) -> bool:
        """Call the handler of a task; False when nobody waits for its outcome any more."""
        desk, life = self._desk, self.life
        if life is None or task.claimed_by != life.me:
            return True  # of an earlier life
        context = TaskContext(task, life, self)
        desk.running.add(context)
        one = await (self._call(task, context) if task.definition is None else self._step(task, context))
        if not self.takes(context):
            return False
        desk.done.append(one)
        if desk.wake_at and (len(desk.done) >= desk.wake_at or not self._ready):
            desk.wake_at = 0
            self._alarm.nudge()
        return True

    async def _call(self, task: StepTask, context: TaskContext) -> Settlement:
        """Call the handler of a task."""
        handler = self._settings.handlers[task.step_name]
        try:
            if handler.timeout is not None:
                result = await self._call_in_time(handler, context, handler.timeout)
            elif task.step_name in self._coroutines:
                result = await handler.function(context)
            else:
                result = await async_call(handler.function, context, timeout=None, on_timeout=context.time_out)
            return completed(task, result, time.monotonic() - context.began)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            one = failed(task, error, time.monotonic() - context.began, handler)
            if one.error is not None:
                self._desk.last_error = one.error
            return one

    async def _step(self, task: StepTask, context: TaskContext) -> Ended:
        """Execute a step of a run."""
        assert self._engine is not None
        one = await self._engine.execute(task, context)
        if isinstance(one, StepSettlement) and one.error is not None:
            self._desk.last_error = one.error
        return one

    async def _call_in_time(self, handler: Handler, context: TaskContext, seconds: float) -> Any:
        """Call a handler that has a timeout. A thread cannot be stopped: a plain function runs on, unheard."""
        context.ends_at = time.monotonic() + seconds
        guard = self._guards[context] = asyncio.timeout(seconds)
        try:
            async with guard:
                return await async_call(handler.function, context, timeout=None, on_timeout=context.time_out)
        except TimeoutError:
            if not guard.expired():
                raise  # the handler's own
            context.time_out()
            raise overdue(handler) from None
        finally:
            del self._guards[context]

    def takes(self, context: TaskContext) -> bool:
        """Whether an execution is ours to end: of the handler and the claimer one ends it."""
        try:
            self._desk.running.remove(context)
        except KeyError:
            return False
        return True

    @property
    def stopping(self) -> bool:
        return self._desk.stopping

    def put_off(self, context: TaskContext) -> None:
        """Let it end at another time; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._reschedule, context)

    def _reschedule(self, context: TaskContext) -> None:
        guard = self._guards.get(context)
        if guard is not None and context.ends_at is not None and not guard.expired():
            guard.reschedule(self._loop.time() + context.ends_at - time.monotonic())


def _is_cancelled() -> bool:
    """Whether the task that runs is told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
