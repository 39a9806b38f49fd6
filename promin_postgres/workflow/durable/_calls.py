"""What a durable function gives to its steps and gets from them, written twice by hand where the twins differ."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, TypeAlias, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

Answer: TypeAlias = Annotated[T, "when the call returns"]
AsyncAnswer: TypeAlias = Coroutine[Any, Any, T]
"""The result of a step. The step is numbered at the call, also where several are awaited together."""

Called: TypeAlias = Callable[[Unpack[Ts]], R]
AsyncCalled: TypeAlias = Callable[[Unpack[Ts]], R | Awaitable[R]]
"""A caller's function of some arguments; in the async twin a plain one or a coroutine function."""


def bound(function: Callable[..., Any], args: tuple[Any, ...]) -> Callable[[Any], Any]:
    """A function of a step's context that calls `function(*args)`; a coroutine function if that is one."""

    async def wait_for(_: Any) -> Any:
        return await function(*args)

    def call(_: Any) -> Any:
        return function(*args)

    return wait_for if inspect.iscoroutinefunction(function) else call
