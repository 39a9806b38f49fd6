"""What drivers decide by. Pure."""

from __future__ import annotations

import logging
from enum import Enum

from promin_postgres.errors import NonRetryable
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow.definition import Idempotency, Step
from promin_postgres.workflow.storage import RunRecord

_LOG = logging.getLogger(__name__)


class Standing(Enum):
    """What is to be done about a run that there is."""

    ANSWERED = "what is recorded is the answer"
    OPEN = "it is to be gone on with"
    FRESH = "another one is to be begun in its place"


def standing_of(run: RunRecord, policy: Idempotency | None, *, force: bool) -> Standing:
    if not run.status.is_final:
        return Standing.OPEN
    if force:
        return Standing.FRESH
    if run.status is WorkflowStatus.CANCELLED:
        return Standing.ANSWERED
    failed = run.status is WorkflowStatus.FAILED
    ttl = None if policy is None else policy.failure_ttl if failed else policy.ttl
    if policy is not None and ttl is not None and run.ended_for is not None:
        if run.ended_for <= ttl:
            return Standing.ANSWERED
        if policy.on_expiry == "fresh-run":
            return Standing.FRESH
    return Standing.OPEN if failed else Standing.ANSWERED


def may_be_retried(step: Step, error: Exception) -> bool:
    """Whether another attempt might help against this error, if there is one left."""
    if isinstance(error, NonRetryable):
        return False
    if step.retry_if is None:
        return True
    try:
        return bool(step.retry_if(error))
    except Exception:  # noqa: BLE001 - a user's function may raise anything
        _LOG.exception("retry_if of step %r raised: the step is not tried again", step.name)
        return False
