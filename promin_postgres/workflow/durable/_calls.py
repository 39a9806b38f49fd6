"""What durable functions are, give to their steps and get from them, written twice by hand where the twins differ."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, TypeAlias, TypeVar, TypeVarTuple

from promin_postgres.errors import InvalidArgument

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

Answer: TypeAlias = Annotated[T, "when the call returns"]
AsyncAnswer: TypeAlias = Coroutine[Any, Any, T]
"""The result of a step. The step is numbered at the call, also where several are awaited together."""

Called: TypeAlias = Callable[[*Ts], R]
AsyncCalled: TypeAlias = Callable[[*Ts], R | Awaitable[R]]
"""A caller's function of some arguments; in the async twin a plain one or a coroutine function."""

Written: TypeAlias = Callable[[C, Any], Any]
AsyncWritten: TypeAlias = Callable[[C, Any], Awaitable[Any]]
"""A durable function, by the class of its context."""


def bound(function: Callable[..., Any], args: tuple[Any, ...]) -> Callable[[Any], Any]:
    """A function of a step's context that calls `function(*args)`; a coroutine function if that is one."""

    async def wait_for(_: Any) -> Any:
        return await function(*args)

    def call(_: Any) -> Any:
        return function(*args)

    return wait_for if inspect.iscoroutinefunction(function) else call


def check_durable(function: Any) -> None:
    """A function of a context and an input."""
    _check_signature(function)
    if inspect.iscoroutinefunction(function):
        raise InvalidArgument("function", function, "is a coroutine function: use async_durable")


def async_check_durable(function: Any) -> None:
    """A coroutine function of a context and an input."""
    _check_signature(function)
    if not inspect.iscoroutinefunction(function):
        raise InvalidArgument("function", function, "must be a coroutine function (async def)")


def _check_signature(function: Any) -> None:
    problem = "must be a function of two arguments, the context and the input"
    if not inspect.isfunction(function):
        raise InvalidArgument("function", function, problem)
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        raise InvalidArgument("function", function, problem) from None
