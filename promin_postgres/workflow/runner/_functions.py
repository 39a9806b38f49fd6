"""Which functions a workflow may be made of, written twice by hand: only the async twin can await anything."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import attrs

from promin_postgres.errors import InvalidArgument
from promin_postgres.workflow.definition import Definition, Fallback, Hooks, Step


def check_functions(definition: Definition) -> None:
    """Refuse coroutine functions: what they return would be taken for the result. Of the steps it looks at the last."""
    last = next(reversed(definition.steps), None)
    for argument, function in (*_around(definition), *_of_step(None if last is None else definition.steps[last])):
        if callable(function) and any(map(inspect.iscoroutinefunction, (function, function.__call__))):
            raise InvalidArgument(argument, function, "is a coroutine function: use async_workflow")


def async_check_functions(definition: Definition) -> None:
    """Anything goes."""


def _around(definition: Definition) -> Iterator[tuple[str, Any]]:
    yield "dlq", getattr(definition.dlq, "publish", None)
    yield "on_complete", definition.compensate.on_complete
    for field in attrs.fields(Hooks):
        yield field.name, getattr(definition.hooks, field.name)


def _of_step(step: Step | None) -> Iterator[tuple[str, Any]]:
    if step is None:
        return
    yield "fn", step.function
    yield "retry_if", step.retry_if
    yield "compensate", step.compensate
    if isinstance(step.on_failure, Fallback):
        yield "on_failure", step.on_failure.value
    if step.map is not None:
        yield "over", step.map.over
    if step.branch is not None:
        yield from attrs.asdict(step.branch, recurse=False).items()
    for function in (step.parallel or {}).values():
        yield "functions", function
    if step.child is not None:
        yield "input", step.child.input
        yield "workflow_id", step.child.workflow_id
