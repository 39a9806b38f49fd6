"""What runs beside the consumer: at once, within bounds, in time, and not in its way."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest
from _tanks import AsyncTank, Tank
from _twins import Twin

from promin_postgres.streams import AsyncStream, Stream


@pytest.fixture
def new(twin: Twin) -> Any:
    return twin.pick(Stream, AsyncStream)


@pytest.fixture
def tank(twin: Twin) -> Any:
    """A source with three values that waits for more."""
    return twin.pick(Tank, AsyncTank)([1, 2, 3], lasting=True)


def record_of(tank: Any) -> Tank:
    return tank if isinstance(tank, Tank) else tank.tank


def test_par_map_runs_as_many_at_once_as_it_may(new: Any) -> None:
    barrier = threading.Barrier(4, timeout=20)
    assert len(new(range(8)).par_map(lambda _: barrier.wait(), concurrency=4).collect()) == 8


def test_par_map_never_holds_more_than_that(new: Any, tank: Any) -> None:
    record = record_of(tank)
    record.values = list(range(100))
    exceeded: list[bool] = []

    def work(number: int) -> int:
        if number == 0:  # the others are done and wait for this one
            with record.changed:
                exceeded.append(record.changed.wait_for(lambda: len(record.pulled) > 4, timeout=0.2))
        return number

    with new(tank).par_map(work, concurrency=4) as stream:
        assert list(itertools.islice(stream, 50)) == list(range(50))
    assert exceeded == [False]
    assert len(record.pulled) <= 54


def test_par_map_hands_out_a_result_while_the_source_has_nothing(new: Any, tank: Any) -> None:
    with new(tank).par_map(str, concurrency=5) as stream:
        assert list(itertools.islice(stream, 3)) == ["1", "2", "3"]


def test_par_map_ordered_waits_for_the_first_and_unordered_does_not(new: Any) -> None:
    later = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert later.wait(20)
        else:
            later.set()
        return number

    assert new(range(2)).par_map(work, concurrency=2).collect() == [0, 1]
    later.clear()
    assert new(range(2)).par_map(work, concurrency=2, ordered=False).collect() == [1, 0]


def test_par_map_ordered_hands_out_what_came_before_an_error(new: Any) -> None:
    stream = new([1, 2, 0, 4]).par_map(lambda x: 8 // x, concurrency=4)
    assert (next(stream), next(stream)) == (8, 4)
    with pytest.raises(ZeroDivisionError):
        next(stream)


def test_par_map_works_in_the_context_of_its_caller() -> None:
    variable = ContextVar("variable", default=0)

    def ask(_: int) -> int:
        return variable.get()

    token = variable.set(7)
    try:
        (seen,) = Stream([1]).par_map(ask, concurrency=1).collect()
    finally:
        variable.reset(token)
    assert seen == 7


def test_batched_hands_out_a_short_list_in_time_and_the_rest_later(new: Any, tank: Any) -> None:
    stream = new(tank).batched(100, max_wait=0.01)
    found: list[int] = []
    while len(found) < 3:
        found += next(stream)
    assert found == [1, 2, 3]
    record_of(tank).await_(lambda t: t.waiting)
    tank.pour(4)
    assert next(stream) == [4]
    stream.close()


def test_batched_hands_out_a_full_list_at_once(new: Any, tank: Any) -> None:
    with new(tank).batched(3, max_wait=3600) as stream:
        assert next(stream) == [1, 2, 3]


def test_group_within_takes_what_comes_in_its_window(new: Any) -> None:
    started = time.monotonic()
    found = new(itertools.count()).group_within(0.05).first()
    assert time.monotonic() - started >= 0.05
    assert found == list(range(len(found)))
    assert len(found) > 1


def test_closing_hands_the_list_begun_to_its_waiting_consumer(new: Any, tank: Any) -> None:
    stream = new(tank).batched(100)
    with ThreadPoolExecutor() as threads:
        consumer = threads.submit(list, stream)
        record_of(tank).await_(lambda t: t.waiting and len(t.pulled) == 3)
        stream.close()
        assert consumer.result(20) == [[1, 2, 3]]


def test_timeout_fails_when_nothing_comes_and_closes(new: Any, tank: Any) -> None:
    stream = new(tank).timeout(0.02)
    assert list(itertools.islice(stream, 3)) == [1, 2, 3]
    with pytest.raises(TimeoutError, match=r"no value came within 0\.02 seconds"):
        next(stream)
    assert record_of(tank).closed == 1


def test_throttle_lets_through_so_many_in_any_window(new: Any) -> None:
    moments: list[float] = []
    new(range(7)).throttle(2, per=0.05).for_each(lambda _: moments.append(time.monotonic()))
    gaps = [later - earlier for earlier, later in zip(moments, moments[2:], strict=False)]
    assert min(gaps) >= 0.049


def test_merge_does_not_wait_for_the_one_that_has_nothing(twin: Twin, new: Any, tank: Any) -> None:
    silent = new(twin.pick(Tank, AsyncTank)(lasting=True))
    with new(tank).merge(getattr(silent, "_target", silent)) as stream:
        assert list(itertools.islice(stream, 3)) == [1, 2, 3]
