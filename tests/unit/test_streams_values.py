"""Operators hand out what their counterparts for lists do, pull no more than these, and close their source once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _tanks import AsyncTank, Tank
from _twins import Twin
from hypothesis import given
from hypothesis import strategies as st

from promin_postgres.errors import InvalidArgument
from promin_postgres.streams import AsyncStream, Stream

Lazily = Callable[[Iterator[Any]], Iterator[Any]]
Build = Callable[[Any], Any]


@pytest.fixture(params=["sync", "async"], scope="module")
def one_twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    """One event loop for all examples."""
    twin = Twin(request.param)
    yield twin
    twin.close()


def batched(values: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(itertools.islice(values, size)):
        yield batch


def dedupe(values: Iterator[Any]) -> Iterator[Any]:
    last: Any = object()
    for value in values:
        if value != last:
            yield value
        last = value


def distinct(values: Iterator[Any]) -> Iterator[Any]:
    seen = set()
    for value in values:
        if value % 7 not in seen:
            seen.add(value % 7)
            yield value


def flat(values: Any) -> list[Any]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def take(values: Iterator[Any], count: int) -> Iterator[Any]:
    for _ in range(count):
        try:
            yield next(values)
        except StopIteration:
            return


def drop(values: Iterator[Any], count: int) -> Iterator[Any]:
    yield from itertools.islice(values, count, None)


COUNTS = st.integers(0, 6)

# How a stream does it, and how a plain iterator does.
LINEAR: st.SearchStrategy[tuple[Build, Lazily]] = st.one_of(
    st.just((lambda s: s.map(lambda x: x + 1), lambda v: (x + 1 for x in v))),
    st.just((lambda s: s.filter(lambda x: x % 3), lambda v: filter(lambda x: x % 3, v))),
    st.just((lambda s: s.tap(str), lambda v: v)),
    st.just((lambda s: s.dedupe(), dedupe)),
    st.just((lambda s: s.distinct_by(lambda x: x % 7), distinct)),
    st.just((lambda s: s.flat_map(lambda x: [x] * (x % 3)), lambda v: (x for y in v for x in [y] * (y % 3)))),
    st.just((lambda s: s.throttle(1000, per=0), lambda v: v)),
    COUNTS.map(lambda n: (lambda s: s.take(n), lambda v: take(v, n))),
    COUNTS.map(lambda n: (lambda s: s.drop(n), lambda v: drop(v, n))),
    COUNTS.map(lambda n: (lambda s: s.take_while(n.__ne__), lambda v: itertools.takewhile(n.__ne__, v))),
    st.integers(1, 4).map(lambda n: (lambda s: s.batched(n).map(sum), lambda v: map(sum, batched(v, n)))),
)  # fmt: skip
AHEAD: st.SearchStrategy[tuple[Build, Lazily]] = st.one_of(
    st.integers(1, 4).map(
        lambda n: (lambda s: s.par_map(lambda x: x * 2, concurrency=n), lambda v: (x * 2 for x in v))
    ),
    st.integers(1, 4).map(lambda n: (lambda s: s.batched(n, max_wait=60).map(sum), lambda v: map(sum, batched(v, n)))),
    st.just((lambda s: s.timeout(60), lambda v: v)),
    st.just((lambda s: s.merge([]), lambda v: v)),
)


def run(twin: Twin, values: list[int], steps: list[tuple[Build, Lazily]], pulls: int | None) -> tuple[Tank, Any]:
    """The tank after `pulls` values (None: all) and closing; the values that iterators leave unread."""
    tank = twin.pick(Tank, AsyncTank)(values)
    stream = twin.pick(Stream, AsyncStream)(tank)
    rest = iter(list(values))
    model: Iterator[Any] = rest
    for build, lazily in steps:
        stream = build(stream)
        model = lazily(model)
    with stream:
        found = list(itertools.islice(stream, pulls))
    assert found == list(itertools.islice(model, pulls))
    assert list(stream) == []
    stream.close()
    return (tank.tank if twin.is_async else tank), list(rest)


@given(st.lists(st.integers(0, 30), max_size=20), st.lists(LINEAR, max_size=5), st.none() | COUNTS)
def test_linear_operators_are_as_lazy_as_iterators(one_twin: Twin, values: Any, steps: Any, pulls: Any) -> None:
    tank, rest = run(one_twin, values, steps, pulls)
    assert tank.values == rest
    assert tank.closed == 1


@given(st.lists(st.integers(0, 30), max_size=20), st.lists(LINEAR | AHEAD, max_size=5), st.none() | COUNTS)
def test_operators_that_pull_ahead_hand_out_the_same(one_twin: Twin, values: Any, steps: Any, pulls: Any) -> None:
    tank, _ = run(one_twin, values, steps, pulls)
    assert tank.closed == 1


@given(
    st.lists(st.integers(), max_size=20, unique=True),
    st.sampled_from([
        lambda s: s.timeout(60),
        lambda s: s.merge([]),
        lambda s: s.batched(3, max_wait=60),
        lambda s: s.group_within(60, max_size=3).take(2),
        lambda s: s.merge([]).timeout(60).tap(str).batched(2),
        lambda s: s.take_while(lambda x: x > 3),
    ]),
    COUNTS,
)  # fmt: skip
def test_what_was_pulled_and_not_handed_out_is_given_back(
    one_twin: Twin, values: list[int], build: Build, pulls: int
) -> None:
    tank = one_twin.pick(Tank, AsyncTank)(values)
    with build(one_twin.pick(Stream, AsyncStream)(tank)) as stream:
        found = flat(itertools.islice(stream, pulls))
    tank = tank.tank if one_twin.is_async else tank
    tank.await_(lambda t: sorted(t.pulled) == sorted(found + t.returned))


@pytest.mark.parametrize("ordered", [True, False])
def test_par_map_hands_out_every_result(twin: Twin, ordered: bool) -> None:
    stream = twin.pick(Stream, AsyncStream)(range(100)).par_map(lambda x: x * x, concurrency=5, ordered=ordered)
    found = stream.collect()
    assert (found if ordered else sorted(found)) == [x * x for x in range(100)]


def test_merge_hands_out_everything_of_each_in_its_order(twin: Twin) -> None:
    new = twin.pick(Stream, AsyncStream)
    found = new(range(10)).merge(new(range(100, 120)), [200]).collect()
    assert sorted(found) == [*range(10), *range(100, 120), 200]
    assert [x for x in found if x < 100] == list(range(10))
    assert [x for x in found if 100 <= x < 200] == list(range(100, 120))


def test_what_ends_a_stream(twin: Twin) -> None:
    new = twin.pick(Stream, AsyncStream)
    seen: list[int] = []
    assert new([1, 2]).for_each(seen.append) is None
    assert seen == [1, 2]
    assert new("abc").collect() == ["a", "b", "c"]
    assert new([1, 2, 3]).reduce(lambda total, x: total + x, 10) == 16
    assert new(range(7)).drain() == 7
    assert new([]).first() is None
    assert new([]).first("none") == "none"
    assert new(range(3)).through(lambda s: s.map(str)).collect() == ["0", "1", "2"]
    tank = twin.pick(Tank, AsyncTank)([5, 6])
    assert new(tank).first() == 5
    record = tank.tank if twin.is_async else tank
    assert (record.values, record.closed) == ([6], 1)


def test_distinct_by_forgets_the_keys_not_seen_for_longest(twin: Twin) -> None:
    found = twin.pick(Stream, AsyncStream)([1, 2, 1, 3, 1, 2]).distinct_by(lambda x: x, remember=2).collect()
    assert found == [1, 2, 3, 2]


def test_a_stream_of_a_stream_and_a_stream_in_a_stream(twin: Twin) -> None:
    new = twin.pick(Stream, AsyncStream)
    inner = new(new([1, 2]))
    assert new([0]).flat_map(lambda _: getattr(inner, "_target", inner)).collect() == [1, 2]
    assert list(inner) == []


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda s: s.take(-1), "count"),
        (lambda s: s.take(1.5), "count"),
        (lambda s: s.drop(True), "count"),
        (lambda s: s.batched(0), "size"),
        (lambda s: s.batched(1, max_wait=-1), "max_wait"),
        (lambda s: s.group_within(0), "seconds"),
        (lambda s: s.group_within(1, max_size=0), "max_size"),
        (lambda s: s.distinct_by(str, remember=0), "remember"),
        (lambda s: s.par_map(str, concurrency=0), "concurrency"),
        (lambda s: s.throttle(0), "count"),
        (lambda s: s.throttle(1, per="x"), "per"),
        (lambda s: s.timeout(0), "seconds"),
    ],
)
def test_bad_arguments_are_refused_at_the_call(twin: Twin, build: Build, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        build(twin.pick(Stream, AsyncStream)([1]))
    assert caught.value.argument == argument
