"""AsyncShift: one run of an AsyncWorker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection

import psycopg
from psycopg_pool import PoolClosed

from promin_postgres._error_record import encode_error
from promin_postgres._retry import RECONNECT
from promin_postgres.bell import AsyncEar, async_open_ear
from promin_postgres.database import AsyncDatabase
from promin_postgres.steps import StepTask
from promin_postgres.steps._async_core import AsyncStepCore
from promin_postgres.worker._async_crew import AsyncAlarm, AsyncCrew
from promin_postgres.worker._desk import Desk, unfit
from promin_postgres.worker._heart import Heart, Life
from promin_postgres.worker._settings import Settings
from promin_postgres.worker.engine import AsyncEngine

logger = logging.getLogger(__name__)

_MANY = 32
"""Steps of runs that are settled while the next are claimed, over another connection; fewer are settled before."""


class AsyncShift:
    """One run of a worker: a claimer, who goes to the server, and a crew, which calls handlers."""

    def __init__(self, db: AsyncDatabase, settings: Settings, *, drain: bool) -> None:
        self.desk = Desk(settings, drain=drain)
        self.connected = False
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
            definitions=list(settings.definitions),
        )
        self._engine = AsyncEngine(db, settings, self._core.sql.names) if settings.definitions else None
        self._alarm = AsyncAlarm()
        self._crew = AsyncCrew(self.desk, settings, self._alarm, self._engine)
        self._loop = asyncio.get_running_loop()
        self._heart = Heart(db.conninfo, self._core.sql.names, settings.lease, self._wake)
        self._ear: AsyncEar | None = None
        self._claimer: asyncio.Task[None] | None = None
        self._stop_by = 0.0
        self._began = False
        self._failures = 0

    @property
    def life(self) -> Life | None:
        return self._crew.life

    @property
    def ahead(self) -> int:
        return self._crew.ahead

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
                self._crew.hire()
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
        if unfit(failure):
            await self._settle_singly()
        if self.desk.stopping and time.monotonic() >= self._stop_by:
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
        if desk.stalls() and self._crew.has_ready:
            self._give_back(self._crew.unbegun())
        if self._engine is not None and not desk.stopping and await self._engine.attend(desk.running):
            desk.look_now()
        if desk.stopping and await self._is_over():
            return False
        if desk.acts(rung=alarm.rung, has_ready=self._crew.has_ready):
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
            self._crew.unbegun()
            for _ in range(self.desk.abandon()):
                self._crew.hire()
            self._crew.life = None
        if self.desk.stopping:
            return False
        began = await self._core.begin_kept()
        self._crew.life = life = Life(self._core.me, began + lease)
        if self._engine is not None:
            self._engine.live(life.me)
        self._heart.keep(life)
        self._began = self.connected = True
        return True

    async def _go(self) -> None:
        """Settle what is done, and claim what there is room for."""
        desk, core = self.desk, self._core
        began = time.monotonic()
        if desk.returns:
            core.warn_of_lost(desk.released(await core.release(desk.returns)))
        if desk.closed:
            core.forget(desk.closed)
            desk.closed.clear()
        if not desk.wants(rung=self._alarm.rung):
            await self._settle()
        elif self._engine is None or len(desk.checkpoints) < _MANY:
            if desk.checkpoints:
                await self._checkpoint()
            await self._claim(began)
        else:
            settling = asyncio.create_task(self._engine.settle(desk.checkpoints))
            try:
                await self._claim(began)
            finally:
                self._checkpointed(await settling)
            desk.look_now()  # for what follows those steps
        self.connected = True

    async def _claim(self, began: float) -> None:
        desk, core, settings = self.desk, self._core, self._settings
        if self._alarm.rung:
            core.look_behind_marks()
        self._alarm.clear()
        self._alarm.rung = False
        if desk.is_last_look:
            core.look_from_start()
        asked = time.monotonic()
        tasks, lost = await core.settle_and_claim(desk.outcomes, settings.queues, desk.room, settings.fairness)
        core.warn_of_lost(desk.settled(lost))
        took = time.monotonic() - asked
        desk.claimed(tasks, took=took, next_in=core.next_in, exhausted=core.exhausted)
        if self._engine is not None:
            await self._engine.load(tasks)
        desk.pace.went_round(time.monotonic() - began)
        self._crew.put(tasks)

    async def _checkpoint(self) -> None:
        """Settle the steps of runs; what follows them can be claimed after that."""
        if self._engine is not None:
            self._checkpointed(await self._engine.settle(self.desk.checkpoints))

    def _checkpointed(self, lost: set[int]) -> None:
        self._core.forget([one.task_id for one in self.desk.checkpoints])
        self._core.warn_of_lost(self.desk.checkpointed(lost))

    async def _wait(self) -> None:
        desk, alarm = self.desk, self._alarm
        has_ready = self._crew.has_ready
        wake_at, seconds = desk.patience(rung=alarm.rung, has_ready=has_ready)
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
        """Seconds until something has to be done that nothing wakes for."""
        if self.desk.stopping:
            return max(self._stop_by - time.monotonic(), 0.0)
        return float("inf") if self._engine is None else self._engine.attends_in

    async def _settle_singly(self) -> None:
        """Something in what was sent is not what the server takes: find it, and record that instead."""
        desk = self.desk
        outcomes, checkpoints = desk.outcomes, desk.checkpoints
        desk.outcomes, desk.checkpoints = [], []
        try:
            while outcomes or checkpoints:
                if outcomes:
                    desk.outcomes.append(outcomes.pop())
                else:
                    desk.checkpoints.append(checkpoints.pop())
                try:
                    await self._settle()
                except psycopg.Error as error:
                    if not unfit(error):
                        raise
                    desk.refuse(error)
                    await self._settle()
        except psycopg.Error as error:
            logger.error("worker: an outcome was not recorded: %s", error)
            if unfit(error):
                desk.drop()
            desk.outcomes += outcomes
            desk.checkpoints += checkpoints

    async def _settle(self) -> None:
        if self.desk.checkpoints:
            await self._checkpoint()
        if self.desk.outcomes:
            self._core.warn_of_lost(self.desk.settled(await self._core.settle(self.desk.outcomes)))

    def _give_back(self, tasks: Collection[StepTask]) -> None:
        """These are not executed here."""
        self.desk.give_back(tasks)
        if self._engine is not None:
            self._engine.forget(tasks)

    async def _is_over(self) -> bool:
        desk = self.desk
        if not desk.held:
            return True
        if time.monotonic() < self._stop_by:
            return False
        given_up = [context for context in list(desk.running) if self._crew.takes(context)]
        desk.take()
        for context in given_up:
            context.time_out()
        self._give_back([context.task for context in given_up])
        await self._go()
        return True

    async def _leave(self) -> None:
        """Retire: whatever is still leased is anybody's."""
        await self._crew.dismiss()
        await asyncio.to_thread(self._heart.stop)
        try:
            if self._ear is not None:
                await self._ear.close()
            if self._engine is not None:
                await self._engine.close()
            if self.life is not None:
                self.life.end()
                await self._core.retire()
        except psycopg.Error as error:
            logger.warning("worker: could not say that it is gone, its lease will run out: %s", error)
