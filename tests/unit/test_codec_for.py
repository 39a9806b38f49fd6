"""Values of a type come back as they were; what is not of it is refused with the path, on the way in and out."""

from __future__ import annotations

import dataclasses
import enum
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NewType, NotRequired, Required, TypedDict, TypeVar
from uuid import UUID

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promin_postgres.codec import JSON, codec_for
from promin_postgres.errors import CodecError, InvalidArgument

T = TypeVar("T")
U = TypeVar("U")
OrderId = NewType("OrderId", int)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    BIG = 2


class Odd(enum.Enum):
    PAIR = (1, 2)


@dataclass(frozen=True)
class Line:
    name: str
    price: Decimal
    colours: list[Colour] = field(default_factory=list)
    note: str | None = None


class Address(TypedDict, total=False):
    street: Required[str]
    since: date
    floor: NotRequired[int]


@attrs.frozen
class Order:
    id: OrderId
    lines: list[Line]
    at: datetime
    _secret: bytes = b""
    address: Address | None = None
    sizes: dict[Size, int] = attrs.field(factory=dict)
    tags: frozenset[str] = frozenset()
    place: tuple[float, float] | None = None
    waits: timedelta = timedelta(0)


@dataclass
class Node:
    value: int
    children: list[Node] = field(default_factory=list)
    parent: Node | None = None


@dataclass
class Page(Generic[T]):
    items: list[T]
    total: int = 0


@dataclass
class Book(Generic[U]):
    pages: list[Page[U]]
    nested: Page[list[U]] | None = None


@dataclass(slots=True, kw_only=True)
class Priced:
    price: float
    total: float = field(init=False)

    def __post_init__(self) -> None:
        if self.price < 0:
            raise ValueError("a price is not negative")
        self.total = self.price * 2


@dataclass
class Wanting:
    seed: InitVar[int]
    value: int = 0


class Base:
    pass


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


def order(**changes: Any) -> Any:
    values = {"id": 1, "lines": [], "at": datetime(2030, 1, 1, tzinfo=UTC), **changes}
    return Order(**values)


@dataclass(frozen=True)
class LongLine(Line):
    more: int = 0


CIRCLE = Node(1)
CIRCLE.children.append(CIRCLE)


@pytest.mark.parametrize(
    ("kind", "value", "path", "problem"),
    [
        (Order, {"id": 1}, "$", "dict where Order belongs"),
        (Order, order(id="1"), "$.id", "str where int belongs"),
        (Order, order(id=True), "$.id", "bool where int belongs"),
        (
            Order,
            order(lines=[Line("a", Decimal(1)), Line("a", 1.5)]),
            "$.lines[1].price",
            "float where Decimal belongs",
        ),
        (Order, order(lines=[LongLine("a", Decimal(1))]), "$.lines[0]", "LongLine where Line belongs"),
        (Order, order(lines=()), "$.lines", "tuple where list[Line] belongs"),
        (Order, order(at=date(2030, 1, 1)), "$.at", "date where datetime belongs"),
        (Order, order(place=(1.0,)), "$.place", "1 values where 2 belong"),
        (Order, order(place=(1.0, math.nan)), "$.place[1]", "nan is not JSON"),
        (Order, order(place=(1.0, 2**64 + 1)), "$.place[1]", "18446744073709551617 is no float without loss"),
        (Order, order(place=(1.0, 10**400)), "$.place[1]", None),
        (Order, order(tags=frozenset({"a\x00"})), "$.tags[0]", "contains NUL (U+0000)"),
        (Order, order(sizes={1: 1}), '$.sizes["1"]', "int where Size belongs"),
        (Order, order(address={"street": "\ud800"}), "$.address.street", "contains a lone surrogate (U+D800)"),
        (Order, order(address={"floor": 1}), "$.address", "the key 'street' of Address is missing"),
        (Order, order(address={"street": "", "x": 1}), "$.address", "the key 'x' is not one of Address"),
        (Order, order(address=1), "$.address", None),
        (Line, Line("a", Decimal("NaN")), "$.price", "NaN is no number"),
        (dict[str, Line], {"a b": Line(1, Decimal(1))}, '$["a b"].name', "int where str belongs"),  # type: ignore[arg-type]
        (date, datetime(2030, 1, 1, tzinfo=UTC), "$", "datetime where date belongs"),
        (Literal[1, "a"], True, "$", "bool where 1 or 'a' belongs"),
        (Literal[1, "a"], [], "$", "list where 1 or 'a' belongs"),
        (time, time(tzinfo=timezone(timedelta(microseconds=1))), "$", None),
        (Any, {1}, "$", "set is not a JSON type"),
        (Node, CIRCLE, "$", "contains itself, or is nested too deeply"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_path(
    kind: Any, value: Any, path: str, problem: str | None
) -> None:
    with pytest.raises(CodecError) as caught:
        codec_for(kind).encode(value, subject="the message")
    assert caught.value.path == path
    assert caught.value.subject == "the message"
    assert problem in (None, caught.value.problem)


@pytest.mark.parametrize(
    ("kind", "text", "path", "problem"),
    [
        (Order, "nope", "$", None),
        (Order, "[]", "$", "a list is stored where Order belongs"),
        (Order, '{"id":1,"lines":[]}', "$", "the member 'at' of Order is missing"),
        (Page[int], '{"items":[1,"2"]}', "$.items[1]", "a text is stored where int belongs"),
        (Page[int], '{"items":[1,true]}', "$.items[1]", "a boolean is stored where int belongs"),
        (Page[int], '{"items":[1.0]}', "$.items[0]", "a number is stored where int belongs"),
        (list[Colour], '["red","green"]', "$[1]", "'green' is stored where Colour belongs"),
        (datetime, '"yesterday"', "$", "'yesterday' is stored where datetime belongs"),
        (Decimal, '"1,5"', "$", "'1,5' is stored where Decimal belongs"),
        (Decimal, '"Infinity"', "$", "Infinity is no number"),
        (UUID, '"1"', "$", "'1' is stored where UUID belongs"),
        (bytes, '"*"', "$", "'*' is stored where bytes belongs"),
        (timedelta, '"P"', "$", "'P' is stored where timedelta belongs"),
        (timedelta, '"P1DT"', "$", "'P1DT' is stored where timedelta belongs"),
        (timedelta, '"P999999999999D"', "$", "'P999999999999D' is stored where timedelta belongs"),
        (dict[int, int], '{"x":1}', "$.x", "the key 'x' is stored where int belongs"),
        (Literal[1, "a"], '"b"', "$", "'b' is stored where 1 or 'a' belongs"),
        (tuple[int, int], "[1]", "$", "1 values where 2 belong"),
        (int | None, '"1"', "$", "a text is stored where int | None belongs"),
        (Address, '{"street":"x","floor":null}', "$.floor", "null is stored where int belongs"),
        (list[Priced], '[{"price":-1}]', "$[0]", "Priced refused it: ValueError: a price is not negative"),
    ],
)
def test_what_is_stored_otherwise_is_refused_with_its_path(
    kind: Any, text: str, path: str, problem: str | None
) -> None:
    with pytest.raises(CodecError) as caught:
        codec_for(kind).decode(text, subject="the message")
    assert caught.value.path == path
    assert caught.value.subject == "the message"
    assert problem in (None, caught.value.problem)


def test_the_error_of_a_constructor_is_the_cause() -> None:
    with pytest.raises(CodecError) as caught:
        codec_for(list[Priced]).decode('[{"price":-1}]')
    assert isinstance(caught.value.__cause__, ValueError)


def test_old_and_new_versions_of_a_class_read_each_other() -> None:
    old = dataclasses.make_dataclass("Thing", [("name", str)])
    new = dataclasses.make_dataclass("Thing", [("name", str), ("size", int, field(default=7))])
    assert codec_for(new).decode(codec_for(old).encode(old("a"))) == new("a", 7)
    assert codec_for(old).decode(codec_for(new).encode(new("a", 8))) == old("a")


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (Base, "there is no way to store it"),
        (list[Base], "Base: there is no way to store it"),
        (Page, "~T: there is no way to store it"),
        (list[Page[Base]], "Base: there is no way to store it"),
        (complex, "there is no way to store it"),
        (Odd, "its values are not all texts or whole numbers"),
        (str | datetime, "two of its members look the same in JSON"),
        (Line | Order, "two of its members look the same in JSON"),
        (dict[float, int], "float: it is the type of a key, and stored neither as a text nor as a whole number"),
        (Literal[b"a"], "its values are not all texts, whole numbers, booleans or None"),
        (Wanting, "its constructor wants 'seed', which no instance keeps"),
        (dataclasses.make_dataclass("Lost", [("x", "Nowhere")]), "its annotations cannot be read"),
        (Line("a", Decimal(1)), "there is no way to store it"),
        ("Line", "there is no way to store it"),
    ],
)
def test_a_type_that_cannot_be_stored_is_refused_when_the_codec_is_made(kind: Any, problem: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        codec_for(kind)
    assert caught.value.argument == "kind"
    assert caught.value.problem.startswith(problem)


def test_any_takes_what_the_json_codec_takes() -> None:
    value = {"a": [1, None, "x"]}
    assert codec_for(Any).encode(value) == JSON.encode(value)
    assert codec_for(typing.Optional[Any]).decode("[1]") == [1]  # noqa: UP045


def test_a_codec_says_what_it_is_for() -> None:
    assert repr(codec_for(Order)) == "codec_for(Order)"
