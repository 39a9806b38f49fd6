"""What the parts of a driver tell each other."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, TypeAlias

import attrs

from promin_postgres._error_record import ErrorRecord
from promin_postgres.errors import CodecError, StepFailed
from promin_postgres.workflow.definition import Payload, Step


class Done(NamedTuple):
    """A step came to its end."""

    text: str | None
    """Its result as JSON; None for None."""
    skipped: bool = False
    """It failed for good, and the run goes on without it."""
    recorded: bool = False
    """The checkpoint is written: the step was transactional."""


class Broken(NamedTuple):
    """An attempt at a step failed."""

    record: ErrorRecord
    exception: Exception
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


@attrs.frozen(kw_only=True)
class Outcome:
    """How one attempt at a step ended, after that was recorded: with a payload or with a failure."""

    step: Step
    payload: Payload | None = None
    failure: StepFailed | CodecError | None = None
    again: bool = False
