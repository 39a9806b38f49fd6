"""Crew: threads that call handlers."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable

from promin_postgres._wait import Signal
from promin_postgres.steps import StepTask
from promin_postgres.steps._settings import Settlement
from promin_postgres.worker._context import TaskContext
from promin_postgres.worker._desk import Desk, Ended, completed, failed, overdue
from promin_postgres.worker._heart import Life
from promin_postgres.worker._settings import Settings
from promin_postgres.worker.engine import Engine
from promin_postgres.workflow.storage import StepSettlement


class Alarm(Signal):
    """Wakes the claimer; knows whether the bell did."""

    def __init__(self) -> None:
        super().__init__()
        self.rung = False

    def set(self) -> None:
        self.rung = True
        super().set()

    def nudge(self) -> None:
        super().set()


class Crew:
    """Threads that call handlers. One that nobody waits for any more leaves when its handler returns."""

    def __init__(self, desk: Desk, settings: Settings, alarm: Alarm, engine: Engine | None) -> None:
        self.life: Life | None = None
        """What tasks have to be claimed under to be begun."""
        self._desk = desk
        self._settings = settings
        self._alarm = alarm
        self._engine = engine
        self._ready: queue.SimpleQueue[StepTask | None] = queue.SimpleQueue()
        self._threads = 0

    @property
    def has_ready(self) -> bool:
        """Whether tasks wait for a handler."""
        return not self._ready.empty()

    @property
    def ahead(self) -> int:
        return self._ready.qsize()

    def put(self, tasks: Iterable[StepTask]) -> None:
        for task in tasks:
            self._ready.put(task)

    def unbegun(self) -> list[StepTask]:
        """Take back what nobody has begun."""
        tasks = []
        try:
            while True:
                task = self._ready.get_nowait()
                if task is not None:
                    tasks.append(task)
        except queue.Empty:
            return tasks

    def next_end(self) -> float:
        """When (monotonic) the first execution has to be over."""
        ends = [context.ends_at for context in list(self._desk.timed) if context.ends_at is not None]
        return min(ends, default=float("inf"))

    def dismiss(self) -> None:
        """Let the threads end; those in a handler do when it returns."""
        for _ in range(self._threads):
            self._ready.put(None)

    def hire(self) -> None:
        self._threads += 1
        threading.Thread(target=self._serve, name="promin-handler", daemon=True).start()

    def _serve(self) -> None:
        get = self._ready.get
        while (task := get()) is not None:
            if not self._execute(task):
                return  # another thread has taken this place

    def _execute(self, task: StepTask) -> bool:
        """Call the handler of a task; False when nobody waits for its outcome any more."""
        desk, life = self._desk, self.life
        if life is None or task.claimed_by != life.me:
            return True  # of an earlier life
        context = TaskContext(task, life, self)
        desk.running.add(context)
        one = self._call(task, context) if task.definition is None else self._step(task, context)
        if not self.takes(context):
            return False
        desk.done.append(one)
        if desk.wake_at and (len(desk.done) >= desk.wake_at or self._ready.empty()):
            desk.wake_at = 0
            self._alarm.nudge()
        return True

    def _call(self, task: StepTask, context: TaskContext) -> Settlement:
        """Call the handler of a task."""
        handler = self._settings.handlers[task.step_name]
        began = context.began
        if handler.timeout is not None:
            context.ends_at = began + handler.timeout
            self._desk.timed.add(context)
            self._alarm.nudge()
        try:
            result = handler.function(context)
            return completed(task, result, time.monotonic() - began)
        except BaseException as error:  # noqa: BLE001 - recorded
            one = failed(task, error, time.monotonic() - began, handler)
            if one.error is not None:
                self._desk.last_error = one.error
            return one

    def _step(self, task: StepTask, context: TaskContext) -> Ended:
        """Execute a step of a run."""
        assert self._engine is not None
        one = self._engine.execute(task, context)
        if isinstance(one, StepSettlement) and one.error is not None:
            self._desk.last_error = one.error
        return one

    def takes(self, context: TaskContext) -> bool:
        """Whether an execution is ours to end: of the handler and the claimer one ends it."""
        try:
            self._desk.running.remove(context)
        except KeyError:
            return False
        if context.ends_at is not None:
            self._desk.timed.discard(context)
        return True

    def time_out(self) -> None:
        """End what has taken too long. A thread cannot be stopped: it runs on, and another one takes its place."""
        now = time.monotonic()
        for context in list(self._desk.timed):
            if context.ends_at is not None and now >= context.ends_at and self.takes(context):
                context.time_out()
                task = context.task
                handler = self._settings.handlers[task.step_name]
                self.hire()
                self._desk.done.append(failed(task, overdue(handler), handler.timeout or 0.0, handler))

    @property
    def stopping(self) -> bool:
        return self._desk.stopping

    def put_off(self, context: TaskContext) -> None:
        """Its time is read anew when the old one is over."""
