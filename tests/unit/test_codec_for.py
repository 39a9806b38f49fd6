"""Values of a type come back as they were."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from _orders import Address, Book, Colour, Line, Node, Order, OrderId, Page, Priced, Size
from hypothesis import given, settings
from hypothesis import strategies as st

from promin_postgres.codec import JSON, codec_for

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ZONES = st.none() | st.integers(-86_399, 86_399).map(lambda s: timezone(timedelta(seconds=s)))
MOMENTS = st.datetimes(timezones=ZONES).map(lambda m: m.replace(fold=0))
LINES = st.builds(
    Line,
    TEXT,
    st.decimals(allow_nan=False, allow_infinity=False),
    st.lists(st.sampled_from(Colour), max_size=3),
    st.none() | TEXT,
)
TYPES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(),
    bool: st.booleans(),
    float: FLOATS,
    bytes: st.binary(),
    datetime: MOMENTS,
    date: st.dates(),
    time: st.times(timezones=ZONES).map(lambda t: t.replace(fold=0)),
    timedelta: st.timedeltas(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    UUID: st.uuids(),
    Colour: st.sampled_from(Colour),
    Size: st.sampled_from(Size),
    Literal["a", 1, True, None]: st.sampled_from(["a", 1, True, None]),
    int | float | None: st.none() | st.integers() | FLOATS,
    float | int: st.integers() | FLOATS,
    list[int] | dict[str, bool] | datetime: st.lists(st.integers())
    | st.dictionaries(TEXT, st.booleans())
    | MOMENTS,
    tuple[int, str]: st.tuples(st.integers(), TEXT),
    tuple[()]: st.just(()),
    tuple[UUID, ...]: st.lists(st.uuids(), max_size=3).map(tuple),
    set[date]: st.sets(st.dates(), max_size=3),
    dict[UUID, list[timedelta]]: st.dictionaries(st.uuids(), st.lists(st.timedeltas(), max_size=3), max_size=3),
    dict[int, Any]: st.dictionaries(st.integers(), st.none() | TEXT, max_size=3),
    Mapping[Size, str]: st.dictionaries(st.sampled_from(Size), TEXT),
    Sequence[bytes]: st.lists(st.binary(), max_size=3),
    Annotated[OrderId, "positive"]: st.integers(),
    list: st.lists(st.integers(), max_size=3),
    Line: LINES,
    Address: st.fixed_dictionaries({"street": TEXT}, optional={"since": st.dates(), "floor": st.integers()}),
    Order: st.builds(
        Order,
        id=st.integers(),
        lines=st.lists(LINES, max_size=3),
        at=MOMENTS,
        secret=st.binary(max_size=5),
        sizes=st.dictionaries(st.sampled_from(Size), st.integers()),
        tags=st.frozensets(TEXT, max_size=3),
        place=st.none() | st.tuples(FLOATS, FLOATS),
        waits=st.timedeltas(),
    ),
    Node: st.recursive(st.builds(Node, st.integers()), lambda one: st.builds(Node, st.integers(), st.lists(one))),
    Page[Line]: st.builds(Page, st.lists(LINES, max_size=2), st.integers()),
    Book[UUID]: st.builds(
        Book,
        st.lists(st.builds(Page, st.lists(st.uuids(), max_size=2)), max_size=2),
        st.none() | st.builds(Page, st.lists(st.lists(st.uuids(), max_size=2), max_size=2)),
    ),
    Priced: st.builds(Priced, price=st.floats(0, 1e9)),
}  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_value_comes_back_as_it_was(kind: Any) -> None:
    codec = codec_for(kind)

    @settings(max_examples=50)
    @given(TYPES[kind])
    def check(value: Any) -> None:
        found = codec.decode(codec.encode(value))
        assert found == value
        assert repr(found) == repr(value) or isinstance(value, set | dict | Order)

    check()


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (datetime, datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), '"2030-01-02T03:04:05+00:00"'),
        (timedelta, timedelta(days=1, milliseconds=5), '"PT86400.005000S"'),
        (timedelta, -timedelta(seconds=1), '"-PT1S"'),
        (Decimal, Decimal("1.10"), '"1.10"'),
        (bytes, b"\xff", '"/w=="'),
        (dict[Size, Colour], {Size.BIG: Colour.RED}, '{"2":"red"}'),
        (float, 1, "1.0"),
        (Priced, Priced(price=1), '{"price":1.0}'),
        (Page[int], Page([1]), '{"items":[1],"total":0}'),
    ],
)
def test_how_it_is_stored(kind: Any, value: Any, text: str) -> None:
    assert codec_for(kind).encode(value) == text


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("P2W", timedelta(weeks=2)),
        ("+PT0.000001S", timedelta(microseconds=1)),
    ],
)
def test_other_forms_of_durations_are_read(text: str, length: timedelta) -> None:
    assert codec_for(timedelta).decode(f'"{text}"') == length


def test_old_and_new_versions_of_a_class_read_each_other() -> None:
    old = dataclasses.make_dataclass("Thing", [("name", str)])
    new = dataclasses.make_dataclass("Thing", [("name", str), ("size", int, field(default=7))])
    assert codec_for(new).decode(codec_for(old).encode(old("a"))) == new("a", 7)
    assert codec_for(old).decode(codec_for(new).encode(new("a", 8))) == old("a")


def test_any_takes_what_the_json_codec_takes() -> None:
    value = {"a": [1, None, "x"]}
    assert codec_for(Any).encode(value) == JSON.encode(value)
    assert codec_for(typing.Optional[Any]).decode("[1]") == [1]  # noqa: UP045


def test_a_codec_says_what_it_is_for() -> None:
    assert repr(codec_for(Order)) == "codec_for(Order)"
