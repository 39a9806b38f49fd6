"""What a workflow does when something goes wrong, or happens a second time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from promin_postgres._error_record import ErrorRecord
from promin_postgres._retry import NO_RETRY, Retry
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.codec import JSON
from promin_postgres.errors import InvalidArgument


def _ttl(value: Seconds | None) -> float | None:
    return None if value is None else check_seconds("ttl", value)


def _failure_ttl(value: Seconds | None) -> float | None:
    return None if value is None else check_seconds("failure_ttl", value)


@attrs.frozen
class Fallback:
    """What stands in for the result of a step that failed for good.

    Args:
        value: A value that is JSON; or a function of the step's Context, whose `error` is what failed.
    """

    value: Any

    def __attrs_post_init__(self) -> None:
        if not callable(self.value):
            JSON.encode(self.value, subject="Fallback")


OnFailure: TypeAlias = Literal["fail", "skip"] | Fallback
"""When a step has failed for good: the run fails, or it goes on with None or with something else as the result."""


def check_on_failure(argument: str, value: OnFailure) -> OnFailure:
    if not isinstance(value, Fallback) and value not in ("fail", "skip"):
        raise InvalidArgument(argument, value, "must be 'fail', 'skip' or a Fallback")
    return value


def check_function(argument: str, value: Any, *, optional: bool = True) -> Any:
    if not callable(value) and not (optional and value is None):
        raise InvalidArgument(argument, value, "must be callable")
    return value


def retry_or_none(value: Retry | None) -> Retry:
    """A retry policy; that of not retrying for None."""
    if value is not None and not isinstance(value, Retry):
        raise InvalidArgument("retry", value, "must be a Retry")
    return NO_RETRY if value is None else value


@attrs.frozen(kw_only=True)
class Undone:
    """How the compensation of a run went, for its `on_complete`."""

    workflow_id: str
    steps: tuple[str, ...]
    """Those that were undone, in the order in which that was done."""
    failures: Mapping[str, ErrorRecord]
    """Those whose compensation failed for good, with the last error of each."""
    error: ErrorRecord
    """What the run failed with."""


@attrs.frozen(kw_only=True)
class Compensation:
    """How what a failed run has done is undone: step by step, in reverse order of completion.

    A compensation that fails for good does not stop the others.

    Args:
        trigger: "after-retries" when the workflow's own `retry` is used up; "immediate" as soon as a step has
            failed for good, instead of those retries.
        retry: How often a compensation that raised is repeated; by default never.
        on_complete: Called with an Undone when all are done.
    """

    trigger: Literal["after-retries", "immediate"] = "after-retries"
    retry: Retry = attrs.field(default=None, converter=retry_or_none)
    on_complete: Callable[[Undone], Any] | None = None

    def __attrs_post_init__(self) -> None:
        if self.trigger not in ("after-retries", "immediate"):
            raise InvalidArgument("trigger", self.trigger, "must be 'after-retries' or 'immediate'")
        check_function("on_complete", self.on_complete)


@attrs.frozen(kw_only=True)
class Idempotency:
    """What `run` with the id of an earlier run comes to.

    Args:
        ttl: For how long after its end a completed run is answered with its result, in seconds or as a timedelta; None
            for ever.
        failure_ttl: For how long after its end a failed run is answered with its failure, without executing anything;
            None (and zero) not at all.
        on_in_flight: When somebody else is driving the run now: "join" waits for its end and answers as that does,
            "reject" raises WorkflowInFlight.
        on_expiry: When the time is over: "fresh-run" begins another run under the same id, from the first step and
            with the input given now; "replay" goes on with the recorded one: its completed steps are not executed
            again, its failed step is.
    """

    ttl: float | None = attrs.field(default=None, converter=_ttl)
    failure_ttl: float | None = attrs.field(default=None, converter=_failure_ttl)
    on_in_flight: Literal["join", "reject"] = "join"
    on_expiry: Literal["fresh-run", "replay"] = "fresh-run"

    def __attrs_post_init__(self) -> None:
        if self.on_in_flight not in ("join", "reject"):
            raise InvalidArgument("on_in_flight", self.on_in_flight, "must be 'join' or 'reject'")
        if self.on_expiry not in ("fresh-run", "replay"):
            raise InvalidArgument("on_expiry", self.on_expiry, "must be 'fresh-run' or 'replay'")


@attrs.frozen(kw_only=True)
class Event:
    """What hooks are called with."""

    workflow_id: str
    workflow_name: str
    step_name: str | None = None
    """None when it is about the whole run."""
    attempt: int | None = None
    result: Any = None
    error: BaseException | None = None
    final: bool = False
    """Whether no other attempt follows."""


Hook: TypeAlias = Callable[[Event], Any]


@attrs.frozen(kw_only=True)
class Hooks:
    """Functions that hear of what happens, after it was recorded. What they raise is logged and changes nothing.

    A process that dies between the record and the hook does not call it, and one that executes a step again calls its
    hooks again: what must happen belongs into a step.
    """

    on_step_start: Hook | None = None
    on_step_complete: Hook | None = None
    on_step_failure: Hook | None = None
    """After each failed attempt; `event.final` tells whether it was the last."""
    on_workflow_complete: Hook | None = None
    on_workflow_failure: Hook | None = None

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(Hooks):
            check_function(field.name, getattr(self, field.name))
