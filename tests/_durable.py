"""Durable functions of tests, written once, in sync form, for both twins."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import wraps
from typing import Any

from _twins import Twin

Body = Callable[[Any, Any], Any]


def as_function(twin: Twin, body: Body) -> Any:
    """A durable function of the twin under test that does what `body` does.

    That of the async twin runs `body` in a thread, and calls the context for it: from its own task, as if it were the
    body itself.
    """
    if not twin.is_async:
        return body

    @wraps(body)
    async def function(ctx: Any, given: Any) -> Any:
        calls: asyncio.Queue[Any] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        outcome: Future[Any] = Future()

        def work() -> None:
            try:
                outcome.set_result(body(_Bridge(ctx, loop, calls), given))
            except BaseException as error:  # noqa: BLE001 - raised in the task
                outcome.set_exception(error)
            loop.call_soon_threadsafe(calls.put_nowait, None)

        threading.Thread(target=work, daemon=True).start()
        while (call := await calls.get()) is not None:
            await _answer(*call)
        return outcome.result()

    return function


class _Bridge:
    def __init__(self, ctx: Any, loop: asyncio.AbstractEventLoop, calls: asyncio.Queue[Any]) -> None:
        self._ctx, self._loop, self._calls = ctx, loop, calls

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._ctx, name)
        if not inspect.isroutine(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            answer: Future[Any] = Future()
            self._loop.call_soon_threadsafe(self._calls.put_nowait, (answer, value, args, kwargs))
            return answer.result()

        return call


async def _answer(answer: Future[Any], function: Any, args: Any, kwargs: Any) -> None:
    try:
        result = function(*args, **kwargs)
        answer.set_result(await result if inspect.isawaitable(result) else result)
    except BaseException as error:  # noqa: BLE001 - raised in the thread
        answer.set_exception(error)


def bare(ctx: Any) -> Any:
    """The context itself that a body was called with."""
    return ctx._ctx if isinstance(ctx, _Bridge) else ctx
