"""Shift: one run of a Worker."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg_pool import PoolClosed

from promin_postgres._error_record import encode_error
from promin_postgres._retry import RECONNECT
from promin_postgres.bell import Ear, open_ear
from promin_postgres.database import Database
from promin_postgres.steps._sync_core import StepCore
from promin_postgres.steps import StepTask
from promin_postgres.worker._desk import Desk, unfit
from promin_postgres.worker._heart import Heart, Life
from promin_postgres.worker._settings import Settings
from promin_postgres.worker.engine import Engine
from promin_postgres.worker._sync_crew import Alarm, Crew

logger = logging.getLogger(__name__)

_MANY = 32
"""Steps of runs that are settled while the next are claimed, over another connection; fewer are settled before."""


class Shift:
    """One run of a worker: a claimer, who goes to the server, and a crew, which calls handlers."""

    def __init__(self, db: Database, settings: Settings, *, drain: bool) -> None:
        self.desk = Desk(settings, drain=drain)
        self.connected = False
        self.failure: BaseException | None = None
        self.ended = threading.Event()
        self._settings = settings
        self._core = StepCore(
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
        self._engine = Engine(db, settings, self._core.sql.names) if settings.definitions else None
        self._alarm = Alarm()
        self._crew = Crew(self.desk, settings, self._alarm, self._engine)
        self._heart = Heart(db.conninfo, self._core.sql.names, settings.lease, self._alarm.nudge)
        self._aside = ThreadPoolExecutor(1, "promin-settler")
        self._ear: Ear | None = None
        self._stop_by = 0.0
        self._began = False
        self._failures = 0

    @property
    def life(self) -> Life | None:
        return self._crew.life

    @property
    def ahead(self) -> int:
        return 0 if self.ended.is_set() else self._crew.ahead

    def start(self) -> None:
        """Begin, in a thread."""
        threading.Thread(target=self._run, name="promin-claimer", daemon=True).start()

    def stop(self, timeout: float) -> None:
        """Claim no more; give back after `timeout` what still runs."""
        self._stop_by = time.monotonic() + timeout
        self.desk.stopping = True
        self._alarm.nudge()

    # -- the claimer

    def _run(self) -> None:
        try:
            for _ in range(self._settings.concurrency):
                self._crew.hire()
            while self._turn_safely():
                pass
        except BaseException as error:  # noqa: BLE001 - raised by run(), shown by health()
            self.failure = error
            self.desk.last_error = encode_error(error)
        finally:
            try:
                self._leave()
            finally:
                self.ended.set()

    def _turn_safely(self) -> bool:
        """One turn; when the server fails, another one follows."""
        try:
            goes_on = self._turn()
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
            self._settle_singly()
        if self.desk.stopping and time.monotonic() >= self._stop_by:
            return False
        self._alarm.clear()
        self._alarm.wait(RECONNECT.pause(self._failures, draw=1.0))
        return True

    def _turn(self) -> bool:
        """Go to the server if there is a reason, wait if not; False when there is nothing left to do."""
        desk, alarm = self.desk, self._alarm
        if not self._live():
            return False
        desk.take()
        if desk.timed:
            self._crew.time_out()
        if desk.stalls() and self._crew.has_ready:
            self._give_back(self._crew.unbegun())
        if self._engine is not None and not desk.stopping and self._engine.attend(desk.running):
            desk.look_now()
        if desk.stopping and self._is_over():
            return False
        if desk.acts(rung=alarm.rung, has_ready=self._crew.has_ready):
            self._go()
        elif desk.drain and desk.found_nothing and not desk.held:
            return False
        else:
            self._wait()
        return True

    def _live(self) -> bool:
        """Be alive, under a new name if the lease ran out."""
        life, lease = self.life, self._settings.lease
        if life is not None and not life.is_over:
            if life.expires_in < lease / 2:  # the heart is late
                began = time.monotonic()
                if self._core.heartbeat():
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
        began = self._core.begin_kept()
        self._crew.life = life = Life(self._core.me, began + lease)
        if self._engine is not None:
            self._engine.live(life.me)
        self._heart.keep(life)
        self._began = self.connected = True
        return True

    def _go(self) -> None:
        """Settle what is done, and claim what there is room for."""
        desk, core = self.desk, self._core
        began = time.monotonic()
        if desk.returns:
            core.warn_of_lost(desk.released(core.release(desk.returns)))
        if desk.closed:
            core.forget(desk.closed)
            desk.closed.clear()
        if not desk.wants(rung=self._alarm.rung):
            self._settle()
        elif self._engine is None or len(desk.checkpoints) < _MANY:
            if desk.checkpoints:
                self._checkpoint()
            self._claim(began)
        else:
            settling = self._aside.submit(self._engine.settle, desk.checkpoints)
            try:
                self._claim(began)
            finally:
                self._checkpointed(settling.result())
            desk.look_now()  # for what follows those steps
        self.connected = True

    def _claim(self, began: float) -> None:
        desk, core, settings = self.desk, self._core, self._settings
        if self._alarm.rung:
            core.look_behind_marks()
        self._alarm.clear()
        self._alarm.rung = False
        if desk.is_last_look:
            core.look_from_start()
        asked = time.monotonic()
        tasks, lost = core.settle_and_claim(desk.outcomes, settings.queues, desk.room, settings.fairness)
        core.warn_of_lost(desk.settled(lost))
        took = time.monotonic() - asked
        desk.claimed(tasks, took=took, next_in=core.next_in, exhausted=core.exhausted)
        if self._engine is not None:
            self._engine.load(tasks)
        desk.pace.went_round(time.monotonic() - began)
        self._crew.put(tasks)

    def _checkpoint(self) -> None:
        """Settle the steps of runs; what follows them can be claimed after that."""
        if self._engine is not None:
            self._checkpointed(self._engine.settle(self.desk.checkpoints))

    def _checkpointed(self, lost: set[int]) -> None:
        self._core.forget([one.task_id for one in self.desk.checkpoints])
        self._core.warn_of_lost(self.desk.checkpointed(lost))

    def _wait(self) -> None:
        desk, alarm = self.desk, self._alarm
        has_ready = self._crew.has_ready
        wake_at, seconds = desk.patience(rung=alarm.rung, has_ready=has_ready)
        listens = not (has_ready or desk.pending or desk.stopping or desk.drain) and desk.room > 0
        if listens and self._ear is None:
            channels = [self._core.bell(name)[0] for name in self._settings.queues]
            self._ear = open_ear(self._core.db, *channels, signal=alarm)
        alarm.clear()
        desk.wake_at = wake_at
        # What rings, ends or stops from here on ends the wait; what did before is looked for.
        rung = desk.acts(rung=alarm.rung, has_ready=has_ready)
        if not rung and len(desk.done) < wake_at and (not desk.stopping or desk.running):
            seconds = min(seconds, self._settings.lease / 6, self._time_left())
            if listens and self._ear is not None:
                self._ear.wait(seconds)
            else:
                alarm.wait(seconds)
        desk.wake_at = 0

    def _time_left(self) -> float:
        """Seconds until something has to be done that nothing wakes for."""
        ends_at = self._crew.next_end()
        if self.desk.stopping:
            return max(min(ends_at, self._stop_by) - time.monotonic(), 0.0)
        attends_in = float("inf") if self._engine is None else self._engine.attends_in
        return min(max(ends_at - time.monotonic(), 0.0), attends_in)

    def _settle_singly(self) -> None:
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
                    self._settle()
                except psycopg.Error as error:
                    if not unfit(error):
                        raise
                    desk.refuse(error)
                    self._settle()
        except psycopg.Error as error:
            logger.error("worker: an outcome was not recorded: %s", error)
            if unfit(error):
                desk.drop()
            desk.outcomes += outcomes
            desk.checkpoints += checkpoints

    def _settle(self) -> None:
        if self.desk.checkpoints:
            self._checkpoint()
        if self.desk.outcomes:
            self._core.warn_of_lost(self.desk.settled(self._core.settle(self.desk.outcomes)))

    def _give_back(self, tasks: Collection[StepTask]) -> None:
        """These are not executed here."""
        self.desk.give_back(tasks)
        if self._engine is not None:
            self._engine.forget(tasks)

    def _is_over(self) -> bool:
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
        self._go()
        return True

    def _leave(self) -> None:
        """Retire: whatever is still leased is anybody's."""
        self._heart.stop()
        self._aside.shutdown()
        self._crew.dismiss()
        try:
            if self._ear is not None:
                self._ear.close()
            if self._engine is not None:
                self._engine.close()
            if self.life is not None:
                self.life.end()
                self._core.retire()
        except psycopg.Error as error:
            logger.warning("worker: could not say that it is gone, its lease will run out: %s", error)
