"""What the claimer and the handlers of a worker share, and what the claimer goes by. Nothing here waits."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence, Set
from datetime import timedelta
from typing import Literal, NamedTuple, TypeAlias

import attrs
import psycopg

from promin_postgres._arguments import encode_optional
from promin_postgres._error_record import decode_error, encode_error
from promin_postgres._retry import jittered
from promin_postgres.lookups import StepStatus, TaskStatus
from promin_postgres.steps import StepTask
from promin_postgres.steps._settings import Settlement, settlement
from promin_postgres.worker._context import TaskContext
from promin_postgres.worker._health import State, WorkerHealth
from promin_postgres.worker._heart import Life
from promin_postgres.worker._pace import Pace
from promin_postgres.worker._settings import Handler, RetryLater, Settings
from promin_postgres.workflow.storage import StepSettlement

logger = logging.getLogger(__name__)

_COMPLETED = TaskStatus.COMPLETED

FLUSH = 0.005
"""Seconds that an outcome waits for company at most."""

_STALL = 0.5
"""Seconds without an end after which what is claimed ahead is given back: the handlers are slower than they were."""

_LONG_LOOK, _SHARE = 0.05, 10
"""Seconds after which a look that finds nothing is a long one, and how many times as long the next one waits."""


class Closed(NamedTuple):
    """A task that was settled, or parked, where it was executed; `as_what` is counted."""

    id: int
    lease: int
    as_what: Literal["completed", "failed", "retried", "lost"] | None


Ended: TypeAlias = Settlement | StepSettlement | Closed


@attrs.define
class Tally:
    completed: int = 0
    failed: int = 0
    retried: int = 0
    released: int = 0
    lost: int = 0


class Desk:
    """What was claimed, what runs, what is done; and what to do next."""

    def __init__(self, settings: Settings, *, drain: bool) -> None:
        self.settings = settings
        self.drain = drain
        self.stopping = False
        self.tally = Tally()
        self.last_error: str | None = None
        """As encode_error writes it."""
        self.pace = Pace(settings.concurrency, settings.batch, now=time.monotonic())
        self.running: set[TaskContext] = set()
        self.timed: set[TaskContext] = set()
        self.done: deque[Ended] = deque()
        """What ended: outcomes, and with the status PENDING what is to be given back. Filled by the handlers."""
        self.wake_at = 0
        """How many of them are to wake the claimer; 0 while he is awake."""
        self.held: dict[int, StepTask] = {}
        """What is leased to us and not settled, as far as we know."""
        self.outcomes: list[Settlement] = []
        self.checkpoints: list[StepSettlement] = []
        """The same of steps of runs."""
        self.returns: list[Settlement] = []
        self.closed: list[int] = []
        """What was settled, or parked, where it was executed."""
        self.found_nothing = False
        """Whether there was nothing at the last look, and nothing was settled since."""
        self._look_at = self._not_before = 0.0
        self._oldest = 0.0
        self._progress_at = 0.0
        self._unsure: set[int] = set()
        """Whose outcomes were sent without an answer: they may be settled."""

    # -- what is done

    def take(self) -> None:
        """Look through what ended since the last time."""
        done = self.done
        if not done:
            return
        now = time.monotonic()
        if not self.pending:
            self._oldest = now
        self._progress_at = now
        number = 0
        held = self.held
        while done:
            one = done.popleft()
            number += 1
            task = held.get(one.task_id if isinstance(one, StepSettlement) else one.id)
            if task is None or task.lease != one.lease:
                self.tally.lost += 1  # of an earlier life
            elif isinstance(one, Settlement):
                (self.returns if one.status is TaskStatus.PENDING else self.outcomes).append(one)
            elif isinstance(one, StepSettlement):
                self.checkpoints.append(one)
            else:
                self._close(one)
        self.pace.finished(number, now)

    def _close(self, one: Closed) -> None:
        del self.held[one.id]
        self.closed.append(one.id)
        if one.as_what is not None:
            setattr(self.tally, one.as_what, getattr(self.tally, one.as_what) + 1)
        self.found_nothing = False

    def give_back(self, tasks: Iterable[StepTask]) -> None:
        """These were claimed ahead, and nobody will begin them soon."""
        self.returns += [settlement(task) for task in tasks]
        self._oldest = 0.0

    def settled(self, lost: Sequence[int]) -> list[int]:
        """The outcomes were recorded, but for those `lost`; returns those that somebody is to be warned of."""
        sent, self.outcomes = self.outcomes, []
        gone = set(lost) - self._unsure
        tally, held = self.tally, self.held
        for one in sent:
            held.pop(one.id, None)
            if one.id in gone:
                tally.lost += 1
            elif one.status is _COMPLETED:
                tally.completed += 1
            elif one.retry_in is None:
                tally.failed += 1
            else:
                tally.retried += 1
            if one.retry_in is not None:
                self.comes_back_in(one.retry_in)
        if self._unsure:
            self._unsure.difference_update(one.id for one in sent)
        self.found_nothing = False
        return sorted(gone)

    def checkpointed(self, lost: Set[int]) -> list[int]:
        """The same for steps of runs."""
        sent, self.checkpoints = self.checkpoints, []
        gone = lost - self._unsure
        tally = self.tally
        for one in sent:
            self.held.pop(one.task_id, None)
            if one.task_id in gone:
                tally.lost += 1
            elif one.status is StepStatus.PENDING:
                tally.retried += 1
                self.comes_back_in(one.pause or timedelta())
            elif one.status is StepStatus.FAILED:
                tally.failed += 1
            else:
                tally.completed += 1
        self._unsure.difference_update(one.task_id for one in sent)
        self.found_nothing = False
        return sorted(gone)

    def released(self, lost: Sequence[int]) -> list[int]:
        """The same for what was given back."""
        sent, self.returns = self.returns, []
        gone = set(lost) - self._unsure
        for one in sent:
            self.held.pop(one.id, None)
            self.comes_back_in(one.retry_in or timedelta())
        self.tally.lost += len(gone)
        self.tally.released += len(sent) - len(gone)
        self._unsure.difference_update(one.id for one in sent)
        self.found_nothing = False
        return sorted(gone)

    def refuse(self, error: psycopg.Error) -> None:
        """The server does not take what is at hand: record that instead."""
        text = encode_error(error)
        self.outcomes = [
            one._replace(status=TaskStatus.FAILED, result=None, error=text, retry_in=None) for one in self.outcomes
        ]
        self.checkpoints = [
            one._replace(status=StepStatus.FAILED, result=None, error=text, pause=None) for one in self.checkpoints
        ]

    def drop(self) -> None:
        """The server takes neither the outcome at hand nor the news of that."""
        ids = [one.id for one in self.outcomes] + [one.task_id for one in self.checkpoints]
        for task_id in ids:
            self.held.pop(task_id, None)
        self.tally.lost += len(ids)
        self.outcomes, self.checkpoints = [], []

    def went_unanswered(self) -> None:
        """Nobody knows what became of what was sent."""
        self._unsure.update(one.id for one in (*self.outcomes, *self.returns))
        self._unsure.update(one.task_id for one in self.checkpoints)

    # -- what to claim

    @property
    def pending(self) -> int:
        return len(self.outcomes) + len(self.checkpoints) + len(self.returns)

    @property
    def room(self) -> int:
        """How many tasks more to hold."""
        return min(self.pace.target - len(self.held) + self.pending, self.settings.batch)

    def wants(self, *, rung: bool) -> bool:
        """Whether to look for tasks now."""
        if self.stopping or self.room < 1:
            return False
        now = time.monotonic()
        if self.drain:
            return self.pending > 0 or (not self.found_nothing and now >= self._look_at)
        return now >= (self._not_before if rung else self._look_at)

    @property
    def is_last_look(self) -> bool:
        """Whether nothing is left to do if a look finds nothing: it has to be one from the start."""
        return self.drain and not self.held

    def acts(self, *, rung: bool, has_ready: bool) -> bool:
        """Whether to go to the server now. While handlers have work, what is done waits for company."""
        if not has_ready:
            return self.pending > 0 or self.wants(rung=rung)
        if self.room >= min((self.pace.target + 1) // 2, self.settings.batch) and self.wants(rung=rung):
            return True
        return self.pending > 0 and time.monotonic() - self._oldest >= FLUSH

    def stalls(self) -> bool:
        """Whether what is claimed ahead waits in vain."""
        return self.stopping or time.monotonic() - self._progress_at > _STALL

    def claimed(self, tasks: Sequence[StepTask], *, took: float, next_in: float | None, exhausted: bool) -> None:
        """What a look found, and how long it took; when another one may find more, and whether there is no more."""
        now = time.monotonic()
        self.found_nothing = exhausted
        if tasks:
            self._progress_at = now
            self._look_at = self._not_before = 0.0
            self.held.update((task.id, task) for task in tasks)
            return
        wait = jittered(self.settings.poll_interval)
        self._look_at = now + (wait if next_in is None else min(wait, max(next_in, 0.0)))
        self._not_before = now + min(_SHARE * took, 1.0) if took >= _LONG_LOOK else 0.0
        if self.is_last_look:
            self._look_at = now

    def comes_back_in(self, delay: timedelta) -> None:
        """A task will be there to be claimed by then."""
        self._look_at = min(self._look_at, time.monotonic() + delay.total_seconds())

    def look_now(self) -> None:
        """There is something to be claimed."""
        self._look_at = 0.0
        self.found_nothing = False

    def patience(self, *, rung: bool, has_ready: bool) -> tuple[int, float]:
        """How many ends are to wake the claimer, and after how many seconds he wakes by himself."""
        now = time.monotonic()
        if self.pending:
            return max(self.pace.target // 2 - self.pending, 1), max(self._oldest + FLUSH - now, 0.0)
        if has_ready:
            return 1, _STALL
        if self.room < 1 or self.stopping or (self.found_nothing and self.drain):
            return 1, 1.0
        look_at = self._not_before if rung else max(self._look_at, self._not_before)
        return 1, max(look_at - now, 0.0)

    # -- lives

    def abandon(self) -> int:
        """The lease is lost, and with it all that was held; returns how many executions go on unheard."""
        running = list(self.running)
        self.running.clear()
        self.timed.clear()
        self.tally.lost += len(self.held)
        self.held.clear()
        self.done.clear()
        self.outcomes, self.checkpoints, self.returns = [], [], []
        self._unsure.clear()
        self._look_at = self._not_before = 0.0
        return len(running)

    def health(self, state: State, life: Life | None, *, ahead: int, connected: bool) -> WorkerHealth:
        alive = life is not None and not life.is_over
        return WorkerHealth(
            state=state,
            worker_id=None if life is None else life.me,
            running=len(self.running),
            ahead=ahead,
            **attrs.asdict(self.tally),
            last_error=decode_error(self.last_error),
            lease_expires_in=life.expires_in if life is not None and alive else None,
            connected=connected,
        )


def completed(task: StepTask, result: object, seconds: float) -> Settlement:
    """Raises CodecError."""
    text = None if result is None else encode_optional(result, f"result of task {task.id}")
    return settlement(task, _COMPLETED, result=text, duration=round(seconds * 1_000_000))


def unfit(error: psycopg.Error) -> bool:
    """Whether the server does not take what it was sent, however often."""
    # 54: a limit of the server
    return isinstance(error, psycopg.DataError | psycopg.IntegrityError) or (error.sqlstate or "").startswith("54")


def failed(task: StepTask, error: BaseException, seconds: float, handler: Handler) -> Settlement:
    """A task that is to be given back, tried again, or has failed for good."""
    if isinstance(error, RetryLater):
        return settlement(task, retry_in=timedelta(seconds=error.delay) if error.delay else None)
    retry = handler.retry
    again = timedelta(seconds=retry.pause(task.attempt)) if retry.allows_another(task.attempt) else None
    return settlement(
        task, TaskStatus.FAILED, error=encode_error(error), duration=round(seconds * 1_000_000), retry_in=again
    )


def overdue(handler: Handler) -> TimeoutError:
    return TimeoutError(f"not done within {handler.timeout:g} seconds, or what it was extended to")
