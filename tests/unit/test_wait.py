"""What threads and tasks do differently looks the same from above."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from _twins import Twin

from promin_postgres._wait import AsyncGroup, Group, async_call, call


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Ends what a test has left waiting."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def group(twin: Twin) -> Iterator[Any]:
    with twin.pick(Group, AsyncGroup)() as group:
        yield group


def work(twin: Twin, result: Any) -> Any:
    """Something for a group to run: returns the result, or raises it."""

    def sync() -> Any:
        if isinstance(result, BaseException):
            raise result
        return result

    async def asynchronous() -> Any:
        return sync()

    return asynchronous if twin.is_async else sync


def test_a_group_hands_back_what_ended_and_counts_the_rest(twin: Twin, group: Any) -> None:
    for number in range(3):
        group.spawn(f"k{number}", work(twin, number))
    assert group.running == 3
    assert sorted(group.next_done() for _ in range(3)) == [("k0", 0), ("k1", 1), ("k2", 2)]
    assert group.running == 0


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit("x"), asyncio.CancelledError("x")], ids=repr)
def test_a_group_raises_what_a_call_raised_and_goes_on(twin: Twin, group: Any, error: BaseException) -> None:
    group.spawn("bad", work(twin, error))
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - the very error is compared
        group.next_done(timeout=20)
    assert type(caught.value).__name__ == type(error).__name__
    assert group.running == 0
    group.spawn("good", work(twin, 1))
    assert group.next_done() == ("good", 1)


def test_a_group_waits_no_longer_than_it_is_told(group: Any) -> None:
    assert group.next_done(timeout=0) is None
    assert group.next_done(timeout=0.02) is None


def test_leaving_an_async_group_cancels_and_awaits_what_still_runs() -> None:
    async def main() -> list[str]:
        log = []

        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                log.append("ended")

        async with AsyncGroup[str, None]() as group:
            group.spawn("a", endless)
            group.spawn("b", endless)
            await asyncio.sleep(0)
        return log

    assert asyncio.run(main()) == ["ended", "ended"]


@pytest.mark.parametrize("timeout", [None, 20])
def test_a_call_returns_or_raises_what_the_function_does(twin: Twin, timeout: float | None) -> None:
    run = twin.pick(call, async_call)
    assert run(lambda x: x + 1, 1, timeout=timeout, on_timeout=pytest.fail) == 2

    def own(_: Any) -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        run(own, None, timeout=timeout, on_timeout=pytest.fail)


def test_a_call_that_takes_too_long_is_left_behind(twin: Twin, release: threading.Event) -> None:
    told: list[str] = []
    with pytest.raises(TimeoutError, match=r"still running after 0\.02 seconds"):
        twin.pick(call, async_call)(
            lambda _: release.wait(), None, timeout=0.02, on_timeout=lambda: told.append("too late")
        )
    assert told == ["too late"]


def test_functions_left_behind_neither_use_up_threads_nor_keep_the_loop_alive(release: threading.Event) -> None:
    async def main() -> int:
        for _ in range(50):  # more than any default executor has threads
            with pytest.raises(TimeoutError):
                await async_call(lambda _: release.wait(), None, timeout=0.001, on_timeout=lambda: None)
        return await async_call(lambda x: x, 1, timeout=20, on_timeout=pytest.fail)

    assert asyncio.run(main()) == 1
    assert not release.is_set(), "the loop was closed while they still ran"
