"""One test, both twins: drives async objects in sync form, on an event loop in a thread of its own.

    def test_publish(twin, twin_db):
        queue = twin.pick(PgQueue, AsyncPgQueue)(twin_db)
        queue.publish("orders", 1)

With the sync twin `pick` returns the class itself. With the async one it returns a stand-in: calls return when the
coroutine has ended, `with` enters async context managers, `for` walks async iterators, and what they hand back is
wrapped in turn when it is async too. Calls from several threads of a test run side by side on the loop.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class Twin:
    """Which of the twins a test runs on, and how to hold it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_async = name == "async"
        self._loop = asyncio.new_event_loop() if self.is_async else None
        self._thread = threading.Thread(target=self._turn, name="twin-loop", daemon=True)
        if self.is_async:
            self._thread.start()

    def pick(self, sync: Any, asynchronous: Any) -> Any:
        """The one that this test runs on, usable in sync form."""
        return self.wrap(asynchronous) if self.is_async else sync

    def wrap(self, value: Any) -> Any:
        """A stand-in for an async object or function; anything else as it is."""
        if not self.is_async or isinstance(value, _StandIn):
            return value
        if type(value) is list:
            return [self.wrap(item) for item in value]
        kind = value if isinstance(value, type) else type(value)
        if kind.__name__.startswith("Async") or any(hasattr(kind, name) for name in ("__aenter__", "__aiter__")):
            return _StandIn(self, value)
        return self._calling(value) if inspect.isroutine(value) else value

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end on the loop."""
        assert self._loop is not None
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # for when it is this thread that was interrupted
            raise

    def close(self) -> None:
        """Stop the loop; a task that a test left behind is cancelled."""
        if self._loop is None:
            return
        self.run(_cancel_the_rest())
        loop, self._loop = self._loop, None
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()

    def _turn(self) -> None:
        loop = self._loop
        assert loop is not None
        while self._loop is loop:
            try:
                loop.run_forever()
            except (KeyboardInterrupt, SystemExit):
                continue  # asyncio lets these out of the loop after handing them to whoever waits

    def _calling(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            async def invoke() -> Any:
                # Called on the loop even when it is no coroutine function: it may look for the running loop.
                result = function(*map(_bare, args), **{name: _bare(value) for name, value in kwargs.items()})
                return await result if inspect.isawaitable(result) else result

            return self.wrap(self.run(invoke()))

        return call


class _StandIn:
    """An async object in sync form."""

    def __init__(self, twin: Twin, target: Any) -> None:
        object.__setattr__(self, "_twin", twin)
        object.__setattr__(self, "_target", target)

    def __getattr__(self, name: str) -> Any:
        return self._twin.wrap(getattr(self._target, name))

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target, name, _bare(value))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._twin._calling(self._target)(*args, **kwargs)

    def __enter__(self) -> Any:
        return self._twin._calling(self._target.__aenter__)()

    def __exit__(self, *error: Any) -> Any:
        return self._twin._calling(self._target.__aexit__)(*error)

    def __iter__(self) -> Any:
        return self._twin._calling(self._target.__aiter__)()

    def __next__(self) -> Any:
        try:
            return self._twin._calling(self._target.__anext__)()
        except StopAsyncIteration:
            raise StopIteration from None

    def __repr__(self) -> str:
        return f"<{self._target!r} in sync form>"


def _bare(value: Any) -> Any:
    if type(value) is list and any(isinstance(item, _StandIn) for item in value):
        return [item._target if isinstance(item, _StandIn) else item for item in value]
    return value._target if isinstance(value, _StandIn) else value


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
