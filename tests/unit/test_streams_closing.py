"""However a stream ends, its source is closed at once and exactly once, and nobody goes on waiting."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from _tanks import AsyncTank, Tank
from _twins import Twin

from promin_postgres.streams import AsyncStream, Stream, _crew

Build = Callable[[Any], Any]

OPERATORS: dict[str, Build] = {
    "none": lambda s: s,
    "map": lambda s: s.map(str),
    "filter": lambda s: s.filter(bool),
    "tap": lambda s: s.tap(str),
    "take": lambda s: s.take(9),
    "take_while": lambda s: s.take_while(lambda _: True),
    "drop": lambda s: s.drop(0),
    "flat_map": lambda s: s.flat_map(lambda x: [x]),
    "batched": lambda s: s.batched(1),
    "batched in time": lambda s: s.batched(1, max_wait=0),
    "group_within": lambda s: s.group_within(0.001),
    "merge": lambda s: s.merge([]),
    "dedupe": lambda s: s.dedupe(),
    "distinct_by": lambda s: s.distinct_by(str),
    "par_map": lambda s: s.par_map(str, concurrency=3),
    "par_map as they come": lambda s: s.par_map(str, concurrency=3, ordered=False),
    "throttle": lambda s: s.throttle(9, per=60),
    "timeout": lambda s: s.timeout(60),
    "several": lambda s: s.map(str).par_map(str, concurrency=2).timeout(60).merge([]).batched(1, max_wait=60).drop(0),
}
operators = pytest.mark.parametrize("build", OPERATORS.values(), ids=OPERATORS)


@pytest.fixture
def tank(twin: Twin) -> Any:
    """A source with one value that waits for more."""
    return twin.pick(Tank, AsyncTank)([1], lasting=True)


@pytest.fixture
def record(tank: Any) -> Tank:
    return tank if isinstance(tank, Tank) else tank.tank


@pytest.fixture
def new(twin: Twin) -> Any:
    return twin.pick(Stream, AsyncStream)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@operators
@pytest.mark.parametrize("closes_derived", [True, False])
def test_closing_wakes_a_waiting_consumer(
    new: Any, tank: Any, record: Tank, threads: ThreadPoolExecutor, build: Build, closes_derived: bool
) -> None:
    source = new(tank)
    stream = build(source)
    assert str(next(stream)).strip("[']") == "1"
    consumer = threads.submit(list, stream)
    record.await_(lambda t: t.waiting)
    (stream if closes_derived else source).close()
    assert consumer.result(20) == []
    assert record.closed == 1
    assert next(stream, "over") == "over"


@operators
def test_a_closed_stream_pulls_nothing(new: Any, tank: Any, record: Tank, build: Build) -> None:
    with build(new(tank)) as stream:
        pass
    assert list(stream) == []
    assert (record.pulled, record.closed) == ([], 1)


@operators
def test_a_stream_that_has_ended_is_closed(twin: Twin, new: Any, build: Build) -> None:
    tank = twin.pick(Tank, AsyncTank)([1])
    assert len(list(build(new(tank)))) == 1
    assert (tank.tank if twin.is_async else tank).closed == 1


@operators
def test_an_error_of_the_source_arrives_after_what_came_before_it(twin: Twin, new: Any, build: Build) -> None:
    tank = twin.pick(Tank, AsyncTank)([1, KeyError("broken")])
    stream = build(new(tank))
    assert str(next(stream)).strip("[']") == "1"
    with pytest.raises(KeyError, match="broken"):
        next(stream)
    assert (tank.tank if twin.is_async else tank).closed == 1
    assert list(stream) == []


def fail(*_: object) -> Any:
    raise ZeroDivisionError


TAKING_FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "map": lambda s, f: s.map(f).collect(),
    "filter": lambda s, f: s.filter(f).collect(),
    "tap": lambda s, f: s.tap(f).collect(),
    "take_while": lambda s, f: s.take_while(f).collect(),
    "flat_map": lambda s, f: s.flat_map(f).collect(),
    "distinct_by": lambda s, f: s.distinct_by(f).collect(),
    "par_map": lambda s, f: s.par_map(f, concurrency=2).collect(),
    "for_each": lambda s, f: s.for_each(f),
    "reduce": lambda s, f: s.reduce(f, 0),
}
taking_functions = pytest.mark.parametrize("use", TAKING_FUNCTIONS.values(), ids=TAKING_FUNCTIONS)


@taking_functions
def test_an_error_of_a_function_closes_the_source(new: Any, tank: Any, record: Tank, use: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        use(new(tank), fail)
    assert record.closed == 1


@taking_functions
def test_a_function_cannot_end_a_stream_by_stop_iteration(new: Any, tank: Any, use: Any) -> None:
    def stop(*_: object) -> Any:
        raise StopIteration

    with pytest.raises(RuntimeError, match="raised StopIteration"):
        use(new(tank), stop)


def test_when_closing_fails_too_the_first_error_is_raised(twin: Twin, new: Any) -> None:
    tank = twin.pick(Tank, AsyncTank)([1], fails_to_close=True)
    with pytest.raises(ZeroDivisionError) as caught:
        next(new(tank).map(fail))
    assert caught.value.__notes__ == ["closing the stream failed too: OSError('cannot close')"]


def test_when_only_closing_fails_that_is_raised(twin: Twin, new: Any) -> None:
    tank = twin.pick(Tank, AsyncTank)([1], fails_to_close=True)
    with pytest.raises(OSError, match="cannot close"):
        new(tank).collect()


def test_closing_merged_streams_closes_all_even_when_one_fails(twin: Twin, new: Any) -> None:
    tanks = [twin.pick(Tank, AsyncTank)(lasting=True, fails_to_close=bad) for bad in (True, False, True)]
    first, *others = (new(tank) for tank in tanks)
    stream = first.merge(*(getattr(other, "_target", other) for other in others))
    with pytest.raises(OSError, match="cannot close"):
        stream.close()
    assert [(tank.tank if twin.is_async else tank).closed for tank in tanks] == [1, 1, 1]


def test_what_merge_holds_when_it_is_closed_is_given_back(twin: Twin, new: Any) -> None:
    tanks = [twin.pick(Tank, AsyncTank)([number], lasting=True) for number in range(3)]
    records = [tank.tank if twin.is_async else tank for tank in tanks]
    first, *others = (new(tank) for tank in tanks)
    with first.merge(*(getattr(other, "_target", other) for other in others)) as stream:
        handed_out = next(stream)
        for record in records:
            record.await_(lambda t: bool(t.pulled))
    for number, record in enumerate(records):
        record.await_(lambda t: t.returned == ([] if t.pulled == [handed_out] else t.pulled))
        assert record.pulled == [number]


class Parting(Tank):
    """Hands out a value a moment after it is closed, as a source does that was just asking its server for one."""

    def __next__(self) -> Any:
        with self.changed:
            self._note(waiting=True)
            self.changed.wait_for(lambda: self.closed)
        time.sleep(0.1)
        return "late"


class AsyncParting(AsyncTank):
    async def __anext__(self) -> Any:
        with self.tank.changed:
            self.tank._note(waiting=True)
        await self._more.wait()
        await asyncio.sleep(0.1)
        return "late"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds that closing waits for pulls: so many that a slow machine is not taken for a wait."""
    monkeypatch.setattr(_crew, "_PATIENCE", 30.0)
    return _crew._PATIENCE


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("name", ["par_map", "merge", "group_within", "timeout"])
def test_a_value_that_comes_after_closing_is_given_back(
    twin: Twin, new: Any, threads: ThreadPoolExecutor, name: str
) -> None:
    tank = twin.pick(Parting, AsyncParting)()
    record = tank.tank if twin.is_async else tank
    stream = OPERATORS[name](new(tank))
    consumer = threads.submit(list, stream)
    record.await_(lambda t: t.waiting)
    stream.close()
    assert record.returned == ["late"], "when the stream is closed, and not some time later"
    assert consumer.result(20) == []


def test_closing_does_not_wait_for_a_source_that_takes_nothing_back(
    threads: ThreadPoolExecutor, patience: float
) -> None:
    running, gate = threading.Event(), threading.Event()

    def block() -> bool:
        running.set()
        return gate.wait(60)

    stream = Stream(iter(block, None)).timeout(60)
    consumer = threads.submit(list, stream)
    assert running.wait(20)
    began = time.monotonic()
    stream.close()
    assert time.monotonic() - began < patience / 2
    gate.set()
    assert consumer.result(20) == []


def test_what_is_pulled_may_close_the_stream(new: Any, tank: Any, patience: float) -> None:
    streams: list[Any] = []
    stream = new(tank).tap(lambda _: streams[0].close()).par_map(str, concurrency=1)
    streams.append(getattr(stream, "_target", stream))
    began = time.monotonic()
    assert stream.collect() == []
    assert time.monotonic() - began < patience / 2


def test_closing_flat_map_closes_the_inner_source(
    twin: Twin, new: Any, tank: Any, record: Tank, threads: ThreadPoolExecutor
) -> None:
    inner = twin.pick(Tank, AsyncTank)(lasting=True)
    inner_record = inner.tank if twin.is_async else inner
    stream = new(tank).flat_map(lambda _: getattr(inner, "_target", inner))
    consumer = threads.submit(list, stream)
    inner_record.await_(lambda t: t.waiting)
    stream.close()
    assert consumer.result(20) == []
    assert (record.closed, inner_record.closed) == (1, 1)


def test_an_inner_source_that_comes_after_closing_is_closed() -> None:
    inner = Tank(lasting=True)

    def find(_: int) -> Tank:
        stream.close()
        return inner

    stream = Stream([1]).flat_map(find)
    assert list(stream) == []
    assert inner.closed == 1


def test_closing_ends_the_pause_of_throttle(new: Any, threads: ThreadPoolExecutor) -> None:
    stream = new(range(5)).throttle(1, per=3600)
    assert next(stream) == 0
    consumer = threads.submit(list, stream)
    stream.close()
    assert consumer.result(20) == []


@pytest.mark.parametrize("name", ["par_map", "merge", "group_within", "several"])
def test_a_stream_dropped_while_something_runs_for_it_is_closed(new: Any, tank: Any, record: Tank, name: str) -> None:
    stream = OPERATORS[name](new(tank))
    next(stream)
    if name == "merge":
        stream = stream.merge(range(2, 100))
        assert 1 not in itertools.islice(stream, 9), "asked again, it waits"
    record.await_(lambda t: t.waiting)
    del stream
    gc.collect()
    record.await_(lambda t: t.closed == 1)


def test_a_generator_that_runs_in_another_thread_is_closed_by_it(threads: ThreadPoolExecutor) -> None:
    running, gate, over = threading.Event(), threading.Event(), threading.Event()

    def values() -> Iterator[int]:
        try:
            running.set()
            assert gate.wait(20)
            yield 1
            yield 2
        finally:
            over.set()

    stream = Stream(values())
    consumer = threads.submit(list, stream)
    assert running.wait(20)
    stream.close()
    assert not over.is_set()
    gate.set()
    assert consumer.result(20) == [1], "the value was made: it is handed out"
    assert over.is_set()
