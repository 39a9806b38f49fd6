"""What a worker is told, checked. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from promin_postgres._arguments import MAX_NAME, check_count, check_optional_text, check_text
from promin_postgres._retry import NO_RETRY, Retry
from promin_postgres._statement import SqlNames
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.errors import ConfigurationError, InvalidArgument
from promin_postgres.steps import Fairness
from promin_postgres.steps._settings import MAX_LIMIT, check_fairness, check_queues
from promin_postgres.worker._context import TaskContext
from promin_postgres.workflow import Definition

_BATCH = 500


class RetryLater(Exception):
    """Raised by a handler: give the task back, to come again after `delay`. Counts neither as attempt nor as delivery.

    Args:
        delay: Seconds or a timedelta; 0 for at once.
    """

    def __init__(self, delay: Seconds = 0) -> None:
        super().__init__(delay)
        self.delay = check_seconds("delay", delay)


def _timeout(value: Seconds | None) -> float | None:
    return None if value is None else check_seconds("timeout", value, positive=True)


@attrs.frozen
class Handler:
    """A function that executes the tasks of a step, and how.

    Args:
        function: Takes a TaskContext; what it returns encodes as JSON, and is kept as the result.
        retry: How often and when a task whose execution raised is tried again; by default never.
        timeout: How long one execution may take, in seconds or as a timedelta. A coroutine is cancelled then; a
            function in a thread, which cannot be, runs on unheard while another thread takes its place. Either way the
            execution has failed with TimeoutError.
    """

    function: Callable[[TaskContext], Any]
    retry: Retry = attrs.field(default=NO_RETRY, kw_only=True)
    timeout: float | None = attrs.field(default=None, kw_only=True, converter=_timeout)

    def __attrs_post_init__(self) -> None:
        if not callable(self.function):
            raise InvalidArgument("function", self.function, "must be a function")
        if not isinstance(self.retry, Retry):
            raise InvalidArgument("retry", self.retry, "must be a Retry")


@attrs.frozen(kw_only=True)
class Settings:
    """What a worker does."""

    handlers: Mapping[str, Handler]
    definitions: Mapping[str, Definition]
    """By their keys, which tasks of theirs carry."""
    queues: Sequence[str]
    concurrency: int
    namespace: str | None
    fairness: Fairness
    lease: float
    poll_interval: float
    batch: int
    shutdown_timeout: float
    worker_id: str | None
    schema: str | None
    table_prefix: str | None
    max_deliveries: int
    """Those after which a task is dead, and as many as may be due to retries."""


def check_settings(
    *,
    handlers: Any,
    workflows: Any,
    storage: type[Any],
    names: SqlNames,
    queues: Any,
    concurrency: Any,
    namespace: Any,
    fairness: Any,
    lease: Any,
    poll_interval: Any,
    batch: Any,
    shutdown_timeout: Any,
    worker_id: Any,
    schema: str | None,
    table_prefix: str | None,
    max_deliveries: Any,
) -> Settings:
    if not isinstance(handlers, Mapping):
        raise InvalidArgument("handlers", handlers, "must map names of steps to functions")
    checked = {
        check_text("handlers", name, limit=MAX_NAME): one if isinstance(one, Handler) else Handler(one)
        for name, one in handlers.items()
    }
    definitions = _definitions(workflows, storage, names)
    if not checked and not definitions:
        raise InvalidArgument("handlers", handlers, "give handlers, workflows or both")
    retries = max((one.retry.max_attempts for one in checked.values()), default=1) - 1
    most = _BATCH if batch is None else check_count("batch", batch, at_least=1)
    if most > MAX_LIMIT:
        raise InvalidArgument("batch", batch, f"must be at most {MAX_LIMIT}")
    return Settings(
        handlers=checked,
        definitions=definitions,
        queues=check_queues(queues),
        concurrency=check_count("concurrency", concurrency, at_least=1),
        namespace=check_optional_text("namespace", namespace),
        fairness=check_fairness(fairness),
        lease=check_seconds("lease", lease, positive=True),
        poll_interval=check_seconds("poll_interval", poll_interval, positive=True),
        batch=most,
        shutdown_timeout=check_seconds("shutdown_timeout", shutdown_timeout),
        worker_id=check_optional_text("worker_id", worker_id),
        schema=schema,
        table_prefix=table_prefix,
        max_deliveries=check_count("max_deliveries", max_deliveries, at_least=1) + retries,
    )


def _definitions(workflows: Any, storage: type[Any], names: SqlNames) -> dict[str, Definition]:
    """By their keys, with those that run inside of others."""
    if isinstance(workflows, str) or not isinstance(workflows, Iterable):
        raise InvalidArgument("workflows", workflows, "must be a list of workflows, or a registry")
    found: dict[str, Definition] = {}
    for one in workflows:
        kept: Any = getattr(one, "storage", None)
        if not isinstance(kept, storage):
            raise InvalidArgument("workflows", one, f"must be workflows that are kept in a {storage.__name__}")
        if (kept.names.schema, kept.names.table_prefix) != (names.schema, names.table_prefix):
            raise ConfigurationError(
                f"workflow {one.definition.name!r} is kept in {kept.names!r}, and the worker looks at {names!r}"
            )
        one.definition.check()
        _collect(one.definition, found)
    return found


def _collect(definition: Definition, found: dict[str, Definition]) -> None:
    known = found.setdefault(definition.key, definition)
    if known is not definition:
        raise InvalidArgument("workflows", definition.name, f"is there twice in version {definition.version!r}")
    for step in definition.steps.values():
        if step.child is not None and found.get(step.child.definition.key) is not step.child.definition:
            _collect(step.child.definition, found)
