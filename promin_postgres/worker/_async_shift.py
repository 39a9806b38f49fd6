"""AsyncShift: one run of an AsyncWorker."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
from collections import deque
from typing import Any

import psycopg
from psycopg_pool import PoolClosed

from promin_postgres._error_record import encode_error
from promin_postgres._retry import RECONNECT
from promin_postgres._wait import AsyncSignal, async_call
from promin_postgres.bell import AsyncEar, async_open_ear
from promin_postgres.database import AsyncDatabase
from promin_postgres.steps import StepTask
from promin_postgres.steps._async_core import AsyncStepCore
from promin_postgres.worker._context import TaskContext
from promin_postgres.worker._desk import Desk, completed, failed, overdue, refused, unfit
from promin_postgres.worker._heart import Heart, Life
from promin_postgres.worker._settings import Handler, Settings

logger = logging.getLogger(__name__)

_SLICE = 0.005
"""Seconds after which handlers that do not wait for anything let others have the loop."""


class _Alarm(AsyncSignal):
    """Wakes the claimer; knows whether the bell did."""

    def __init__(self) -> None:
        super().__init__()
        self.rung = False

    def set(self) -> None:
        self.rung = True
        super().set()

    def nudge(self) -> None:
        super().set()


class AsyncShift:
    """One run of a worker: a claimer, who goes to the server, and tasks that call handlers."""

    def __init__(self, db: AsyncDatabase, settings: Settings, *, drain: bool) -> None:
        self.desk = Desk(settings, drain=drain)
        self.connected = False
        self.life: Life | None = None
        self.failure: BaseException | None = None
        self.ended = asyncio.Event()
        self._settings = settings
        self._core = AsyncStepCore(
            db,
            worker_id=settings.worker_id,
            namespace=settings.namespace,
            schema=settings.schema,
            table_prefix=settings.table_prefix,
            max_deliveries=settings.max_deliveries,
            lease=settings.lease,
            steps=list(settings.handlers),
        )
        self._alarm = _Alarm()
        self._loop = asyncio.get_running_loop()
        self._heart = Heart(db.conninfo, self._core.sql.names, settings.lease, self._wake)
        self._ear: AsyncEar | None = None
        self._ready: deque[StepTask] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._claimer: asyncio.Task[None] | None = None
        self._crew: set[asyncio.Task[None]] = set()
        self._guards: dict[TaskContext, asyncio.Timeout] = {}
        self._coroutines = {
            name for name, handler in settings.handlers.items() if inspect.iscoroutinefunction(handler.function)
        }
        self._stop_by = 0.0
        self._began = False
        self._failures = 0
        self._unknown_at: list[float] = []

    @property
    def ahead(self) -> int:
        return len(self._ready)

    def start(self) -> None:
        """Begin, in a task."""
        self._claimer = asyncio.create_task(self._run(), name="promin-claimer")

    def stop(self, timeout: float) -> None:
        """Claim no more; give back after `timeout` what still runs."""
        self._stop_by = time.monotonic() + timeout
        self.desk.stopping = True
        self._alarm.nudge()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._alarm.nudge)

    # -- the claimer

    async def _run(self) -> None:
        try:
            for _ in range(self._settings.concurrency):
                self._hire()
            while await self._turn_safely():
                pass
        except BaseException as error:  # noqa: BLE001 - raised by run(), shown by health()
            self.failure = error
            self.desk.last_error = encode_error(error)
        finally:
            try:
                await self._leave()
            finally:
                self.ended.set()

    async def _turn_safely(self) -> bool:
        """One turn; when the server fails, another one follows."""
        try:
            goes_on = await self._turn()
            if self._failures and self.connected:
                self._failures = 0
                logger.info("worker: the server is back")
            return goes_on
        except psycopg.Error as error:
            if isinstance(error, PoolClosed) or (not self._began and isinstance(error, psycopg.ProgrammingError)):
                raise  # nobody will open it again; the tables are not there
            failure = error
        self._failures += 1
        self.connected = False
        self.desk.last_error = encode_error(failure)
        self.desk.went_unanswered()
        if self._failures == 1:
            logger.warning("worker: the server failed, trying on: %s", failure)
        now = time.monotonic()
        self._unknown_at = [now, now + self._settings.lease]
        if unfit(failure):
            await self._settle_singly()
        if self.desk.stopping and now >= self._stop_by:
            return False
        self._alarm.clear()
        await self._alarm.wait(RECONNECT.pause(self._failures, draw=1.0))
        return True

    async def _turn(self) -> bool:
        """Go to the server if there is a reason, wait if not; False when there is nothing left to do."""
        desk, alarm = self.desk, self._alarm
        if not await self._live():
            return False
        desk.take()
        if self._ready and desk.stalls():
            desk.give_back(self._unbegun())
        if desk.stopping and await self._is_over():
            return False
        if desk.acts(rung=alarm.rung, has_ready=bool(self._ready)):
            await self._go()
        elif desk.drain and desk.found_nothing and not desk.held:
            return False
        else:
            await self._wait()
        return True

    async def _live(self) -> bool:
        """Be alive, under a new name if the lease ran out."""
        life, lease = self.life, self._settings.lease
        if life is not None and not life.is_over:
            if life.expires_in < lease / 2:  # the heart is late
                began = time.monotonic()
                if await self._core.heartbeat():
                    life.renew(began + lease)
                else:
                    life.end()
            return True
        if life is not None:
            life.end()
            logger.warning("worker %s: the lease ran out; what was claimed is lost", life.me)
            self._unbegun()
            for _ in range(self.desk.abandon()):
                self._hire()
            self.life = None
        if self.desk.stopping:
            return False
        began = await self._core.begin_kept()
        self.life = Life(self._core.me, began + lease)
        self._heart.keep(self.life)
        self._began = self.connected = True
        return True

    async def _go(self) -> None:
        """Settle what is done, and claim what there is room for."""
        desk, core, settings = self.desk, self._core, self._settings
        if self._unknown_at and time.monotonic() >= self._unknown_at[0]:
            await core.release_unknown(list(desk.held))
            self._unknown_at.pop(0)
        if desk.returns:
            core.warn_of_lost(desk.released(await core.release(desk.returns)))
        if desk.wants(rung=self._alarm.rung):
            self._alarm.clear()
            self._alarm.rung = False
            began = time.monotonic()
            tasks, lost = await core.settle_and_claim(desk.outcomes, settings.queues, desk.room, settings.fairness)
            core.warn_of_lost(desk.settled(lost))
            took = time.monotonic() - began
            desk.claimed(tasks, took=took, next_in=core.next_in, exhausted=core.exhausted)
            self._ready += tasks
            for _ in range(min(len(self._ready), len(self._idle))):
                self._idle.popleft().set_result(None)
        elif desk.outcomes:
            core.warn_of_lost(desk.settled(await core.settle(desk.outcomes)))
        self.connected = True

    async def _wait(self) -> None:
        desk, alarm = self.desk, self._alarm
        has_ready = bool(self._ready)
        wake_at, seconds = desk.patience(has_ready=has_ready)
        listens = not (has_ready or desk.pending or desk.stopping or desk.drain) and desk.room > 0
        if listens and self._ear is None:
            channels = [self._core.bell(name)[0] for name in self._settings.queues]
            self._ear = await async_open_ear(self._core.db, *channels, signal=alarm)
        alarm.clear()
        desk.wake_at = wake_at
        # What rings, ends or stops from here on ends the wait; what did before is looked for.
        rung = desk.acts(rung=alarm.rung, has_ready=has_ready)
        if not rung and len(desk.done) < wake_at and (not desk.stopping or desk.running):
            seconds = min(seconds, self._settings.lease / 6, self._time_left())
            if listens and self._ear is not None:
                await self._ear.wait(seconds)
            else:
                await alarm.wait(seconds)
        desk.wake_at = 0

    def _time_left(self) -> float:
        """Seconds until what runs is given back."""
        return max(self._stop_by - time.monotonic(), 0.0) if self.desk.stopping else float("inf")

    def _unbegun(self) -> list[StepTask]:
        tasks = list(self._ready)
        self._ready.clear()
        return tasks

    async def _settle_singly(self) -> None:
        """Something in what was sent is not what the server takes: find it, and record that instead."""
        desk, core = self.desk, self._core
        waiting = desk.outcomes
        try:
            while waiting:
                desk.outcomes = [waiting.pop()]
                try:
                    lost = await core.settle(desk.outcomes)
                except psycopg.Error as error:
                    if not unfit(error):
                        raise
                    desk.outcomes = [refused(desk.outcomes[0], error)]
                    lost = await core.settle(desk.outcomes)
                core.warn_of_lost(desk.settled(lost))
        except psycopg.Error as error:
            logger.error("worker: outcome of task %d: %s", desk.outcomes[0].id, error)
            if unfit(error):
                desk.drop()
            desk.outcomes += waiting

    async def _is_over(self) -> bool:
        desk = self.desk
        if not desk.held:
            return True
        if time.monotonic() < self._stop_by:
            return False
        given_up = [context.task for context in list(desk.running) if self._takes(context)]
        desk.take()
        desk.give_back(given_up)
        await self._go()
        return True

    async def _leave(self) -> None:
        """Retire: whatever is still leased is anybody's."""
        for task in self._crew:
            task.cancel()
        await asyncio.gather(*self._crew, return_exceptions=True)
        await asyncio.to_thread(self._heart.stop)
        try:
            if self._ear is not None:
                await self._ear.close()
            if self.life is not None:
                self.life.end()
                await self._core.retire()
        except psycopg.Error as error:
            logger.warning("worker: could not say that it is gone, its lease will run out: %s", error)

    # -- handlers

    def _hire(self) -> None:
        task = asyncio.create_task(self._serve(), name="promin-handler")
        self._crew.add(task)
        task.add_done_callback(self._crew.discard)

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
        desk, life = self.desk, self.life
        if life is None or task.claimed_by != life.me:
            return True  # of an earlier life
        handler = self._settings.handlers[task.step_name]
        context = TaskContext(task, life, self)
        began = time.monotonic()
        desk.running.add(context)
        try:
            if handler.timeout is not None:
                result = await self._call_in_time(handler, context, handler.timeout)
            elif task.step_name in self._coroutines:
                result = await handler.function(context)
            else:
                result = await async_call(handler.function, context, timeout=None, on_timeout=context.time_out)
            one = completed(task, result, time.monotonic() - began)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            one = failed(task, error, time.monotonic() - began, handler)
            if one.error is not None:
                desk.last_error = one.error
        if not self._takes(context):
            return False
        desk.done.append(one)
        if desk.wake_at and (len(desk.done) >= desk.wake_at or not self._ready):
            desk.wake_at = 0
            self._alarm.nudge()
        return True

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

    def _takes(self, context: TaskContext) -> bool:
        """Whether an execution is ours to end: of the handler and the claimer one ends it."""
        try:
            self.desk.running.remove(context)
        except KeyError:
            return False
        return True

    @property
    def stopping(self) -> bool:
        return self.desk.stopping

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
