"""What handlers are called with."""

from __future__ import annotations

import logging
import math
import time
from functools import cached_property
from typing import Any, Protocol

from promin_postgres._time import Seconds, check_seconds
from promin_postgres.steps import StepTask
from promin_postgres.worker._heart import Life
from promin_postgres.workflow.definition import Fate

_logger = logging.getLogger("promin_postgres.worker.task")


class Owner(Protocol):
    """Who executes."""

    @property
    def stopping(self) -> bool: ...

    def put_off(self, context: TaskContext) -> None: ...


class TaskContext:
    """What a handler is called with: one execution of a task."""

    def __init__(self, task: StepTask, life: Life, owner: Owner) -> None:
        self.task = task
        self._life = life
        self._owner = owner
        self._timed_out = False
        self.began = time.monotonic()
        self.ends_at: float | None = None
        self.fate: Fate | None = None
        """Of the run that the task is a step of."""
        self.deadline = math.inf
        """When (monotonic) that run has to be over."""

    @property
    def attempt(self) -> int:
        """1 at the first execution; goes up when one fails and is to be tried again."""
        return self.task.attempt

    @property
    def input(self) -> Any:
        """The input of the task, decoded anew each time."""
        return self.task.input

    @property
    def lost(self) -> bool:
        """Whether the lease ran out: somebody else may be executing this task, and no result of this one counts."""
        return self._life.is_over

    @property
    def cancelled(self) -> bool:
        """Whether to come to an end: the worker stops, nobody waits for this execution any more, or the lease is lost.

        When the worker stops, what ends in time is recorded; `raise RetryLater` gives the task back for another worker.
        """
        return self._timed_out or self._owner.stopping or self._life.is_over

    def time_out(self) -> None:
        """Called by the worker when nobody waits for this execution any more."""
        self._timed_out = True
        if self.fate is not None:
            self.fate.over = True

    @cached_property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry task_id, workflow_id, step_name and attempt as attributes."""
        task = self.task
        extra = {
            "task_id": task.id, "workflow_id": task.workflow_id, "step_name": task.step_name, "attempt": task.attempt
        }  # fmt: skip
        return logging.LoggerAdapter(_logger, extra)

    def extend(self, seconds: Seconds) -> None:
        """Let this execution take so much longer from now on than its timeout said; without a timeout nothing happens.

        The lease needs nothing of the kind: the worker renews it for as long as it lives.

        Args:
            seconds: Seconds or a timedelta, from now.
        """
        allowed = check_seconds("seconds", seconds, positive=True)
        if self.ends_at is not None:
            self.ends_at = time.monotonic() + allowed
            self._owner.put_off(self)

    def __repr__(self) -> str:
        return f"<context of {self.task!r}>"
