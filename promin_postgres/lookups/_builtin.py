"""The lookups of our own tables: small integers in rows, names in the code."""

from __future__ import annotations

from enum import IntEnum


class WorkflowStatus(IntEnum):
    """Where a run stands."""

    PENDING = 1
    RUNNING = 2
    SUSPENDED = 3
    COMPLETED = 4
    FAILED = 5
    CANCELLED = 6
    COMPENSATING = 7

    @property
    def is_final(self) -> bool:
        """Whether the run is over."""
        return self in (WorkflowStatus.COMPLETED, WorkflowStatus.FAILED, WorkflowStatus.CANCELLED)


class StepStatus(IntEnum):
    """Where a step, an element of a map step, or one attempt at it stands."""

    PENDING = 1
    RUNNING = 2
    WAITING = 3
    COMPLETED = 4
    FAILED = 5
    SKIPPED = 6
    CANCELLED = 7
    COMPENSATED = 8


class StepType(IntEnum):
    """What kind of step it is."""

    STEP = 1
    MAP = 2
    BRANCH = 3
    PARALLEL = 4
    SLEEP = 5
    SIGNAL = 6
    SUBWORKFLOW = 7


class TaskStatus(IntEnum):
    """Where a task of the step queue stands."""

    PENDING = 1
    RUNNING = 2
    COMPLETED = 4
    FAILED = 5
    DEAD = 9

    @property
    def is_final(self) -> bool:
        """Whether it is in the history; a dead one can be redriven."""
        return self not in (TaskStatus.PENDING, TaskStatus.RUNNING)


class AttemptType(IntEnum):
    """What was attempted: the step, or undoing it."""

    EXECUTION = 1
    COMPENSATION = 2
