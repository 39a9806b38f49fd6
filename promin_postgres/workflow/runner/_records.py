"""What the parts of a driver tell each other."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import attrs

from promin_postgres._error_record import ErrorRecord
from promin_postgres.codec import Encoded
from promin_postgres.lookups import WorkflowStatus


class Done(NamedTuple):
    """A step came to its end."""

    text: str | None
    """Its result as JSON; None for None."""
    skipped: bool = False
    """It failed for good, and the run goes on without it."""
    recorded: bool = False
    """The checkpoint is written: the step was transactional."""
    error: ErrorRecord | None = None
    """What it failed with before it was skipped, or something else stood in for its result."""


class Broken(NamedTuple):
    """An attempt at a step failed."""

    record: ErrorRecord
    exception: Exception
    """What `run` raises when the step has failed for good."""
    retry_in: float | None
    """Seconds until the next attempt; None when it has failed for good."""


class Waits(NamedTuple):
    """A step can go on when a moment has come, a signal is there, or a child has ended."""

    until: datetime | float | None = None
    """A moment, or seconds from now; what was recorded first for the step stands."""
    signal: str | None = None
    timeout: float | None = None
    """Seconds to wait for the signal."""
    child: str | None = None
    """The id of the workflow that has to end first."""
    step_name: str | None = None
    """Whose wait it is, when it is not that of the step that was executed."""


Verdict: TypeAlias = Done | Broken | Waits
"""What one execution of a step came to."""


class Ended(NamedTuple):
    """How driving a run ended: it completed, failed, waits or was cancelled."""

    status: WorkflowStatus
    result: Encoded = Encoded(None)
    error: Exception | None = None


@attrs.frozen(kw_only=True)
class Outcome:
    """What a run came to, for those who would rather look than catch."""

    workflow_id: str
    status: WorkflowStatus
    """RUNNING when somebody else is driving it now."""
    result: Any = None
    error: Exception | None = None
    """What `run` would have raised."""

    @property
    def ok(self) -> bool:
        """Whether it completed."""
        return self.status is WorkflowStatus.COMPLETED


class Raised(Exception):
    """A function of the user's raised; or what it gave cannot be used, and no other attempt would help (`final`)."""

    def __init__(self, error: Exception, *, final: bool = False, where: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.final = final
        self.where = where
        """Which part of the step it was."""
