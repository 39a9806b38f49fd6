"""What the parts of a driver tell each other."""

from __future__ import annotations

import attrs

from promin_postgres.errors import CodecError, StepFailed
from promin_postgres.workflow.definition import Payload, Step


@attrs.frozen(kw_only=True)
class Outcome:
    """How one attempt at a step ended, after that was recorded: with a payload or with a failure."""

    step: Step
    payload: Payload | None = None
    failure: StepFailed | CodecError | None = None
    again: bool = False
