"""The steps of a definition, of every kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from promin_postgres._arguments import MAX_NAME, check_count, check_text, encode_optional
from promin_postgres._retry import NO_RETRY, Retry
from promin_postgres._time import Seconds, check_moment, check_seconds
from promin_postgres.errors import InvalidArgument
from promin_postgres.lookups import StepType
from promin_postgres.workflow.definition._policies import OnFailure, check_function, check_on_failure, retry_or_none

if TYPE_CHECKING:
    from promin_postgres.workflow.definition._records import Definition

Function: TypeAlias = Callable[[Any], Any]
"""Called with a Context."""

MAX_PRIORITY = 10
DEFAULT_QUEUE = "default"


@attrs.frozen
class MapOver:
    """Which elements a map step has, and how many of them are executed at the same time."""

    over: str | Function
    """The step whose result has them, or a function that gives them."""
    concurrency: int


@attrs.frozen
class Branch:
    """What a branch step decides by, and between what."""

    condition: Function
    if_true: Function
    if_false: Function | None


@attrs.frozen
class Pause:
    """How long a sleep step takes, or when it is over."""

    seconds: float | None
    until: datetime | None


@attrs.frozen
class SignalWait:
    """What a signal step waits for, and for how long."""

    signal: str
    timeout: float | None


@attrs.frozen
class Child:
    """What a sub-workflow step runs."""

    definition: Definition
    input: Any
    """A function of the step's Context, or the input itself."""
    workflow_id: str | Function | None
    queue: str


@attrs.frozen(kw_only=True)
class Step:
    """One step of a definition; what does not belong to its kind is None."""

    name: str
    kind: StepType = StepType.STEP
    function: Function | None = None
    """Of a plain step; of a map step that of each element."""
    depends_on: tuple[str, ...] = ()
    retry: Retry = NO_RETRY
    """Of a map or parallel step: for each element."""
    retry_if: Callable[[Exception], bool] | None = None
    timeout: float | None = None
    """Of one execution, in seconds; of a map or parallel step: of each element."""
    on_failure: OnFailure = "fail"
    compensate: Function | None = None
    transactional: bool = False
    queue: str = DEFAULT_QUEUE
    priority: int = 5
    map: MapOver | None = None
    branch: Branch | None = None
    parallel: Mapping[str, Function] | None = None
    pause: Pause | None = None
    signal: SignalWait | None = None
    child: Child | None = None


def _timeout(value: Seconds | None) -> float | None:
    return None if value is None else check_seconds("timeout", value, positive=True)


@attrs.frozen(kw_only=True)
class Conduct:
    """The options that steps of several kinds share, as the caller gave them; checked when it is made."""

    retry: Retry = attrs.field(default=None, converter=retry_or_none)
    retry_if: Callable[[Exception], bool] | None = None
    timeout: float | None = attrs.field(default=None, converter=_timeout)
    on_failure: OnFailure = "fail"
    compensate: Function | None = None
    transactional: bool = False
    queue: str = DEFAULT_QUEUE
    priority: int = 5

    def __attrs_post_init__(self) -> None:
        check_function("retry_if", self.retry_if)
        check_on_failure("on_failure", self.on_failure)
        check_function("compensate", self.compensate)
        if not isinstance(self.transactional, bool):
            raise InvalidArgument("transactional", self.transactional, "must be True or False")
        check_text("queue", self.queue, limit=MAX_NAME)
        if check_count("priority", self.priority, at_least=0) > MAX_PRIORITY:
            raise InvalidArgument("priority", self.priority, f"must be a whole number from 0 to {MAX_PRIORITY}")

    def of(self, name: str, kind: StepType, **fields: Any) -> Step:
        """A step that behaves so."""
        return Step(name=name, kind=kind, **fields, **attrs.asdict(self, recurse=False))


def map_over(over: str | Function, concurrency: int) -> MapOver:
    if not callable(over):
        check_text("over", over, limit=MAX_NAME)
    return MapOver(over, check_count("concurrency", concurrency, at_least=1))


def branch(condition: Function, if_true: Function, if_false: Function | None) -> Branch:
    return Branch(
        check_function("condition", condition, optional=False),
        check_function("if_true", if_true, optional=False),
        check_function("if_false", if_false),
    )


def parallel(functions: Mapping[str, Function]) -> Mapping[str, Function]:
    if not isinstance(functions, Mapping) or not functions:
        raise InvalidArgument("functions", functions, "must be a mapping of labels to functions, with at least one")
    for label, function in functions.items():
        check_text("label", label, limit=MAX_NAME)
        check_function(label, function, optional=False)
    return MappingProxyType(dict(functions))


def pause(seconds: Seconds | None, until: datetime | None) -> Pause:
    if (seconds is None) == (until is None):
        raise InvalidArgument("seconds", seconds, f"give either seconds or until (until={until!r})")
    return Pause(
        None if seconds is None else check_seconds("seconds", seconds),
        None if until is None else check_moment("until", until),
    )


def signal_wait(signal: str, timeout: Seconds | None, on_timeout: OnFailure) -> SignalWait:
    check_on_failure("on_timeout", on_timeout)
    if timeout is None and on_timeout != "fail":
        raise InvalidArgument("on_timeout", on_timeout, "has no meaning without a timeout")
    return SignalWait(
        check_text("signal", signal, limit=MAX_NAME),
        None if timeout is None else check_seconds("timeout", timeout),
    )


def child(definition: Definition, given: Any, workflow_id: str | Function | None, queue: str) -> Child:
    definition.check()
    if not callable(given):
        encode_optional(given, "input")
    if workflow_id is not None and not callable(workflow_id):
        check_text("workflow_id", workflow_id)
    return Child(definition, given, workflow_id, queue)
