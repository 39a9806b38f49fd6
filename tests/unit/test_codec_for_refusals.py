"""What is not of the type is refused with the path to the fault: on the way in, on the way out, and as a type."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import pytest
from _orders import Address, Base, Colour, Line, LongLine, Node, Odd, Order, Page, Priced, Wanting

from promin_postgres.codec import codec_for
from promin_postgres.errors import CodecError, InvalidArgument


def order(**changes: Any) -> Any:
    values = {"id": 1, "lines": [], "at": datetime(2030, 1, 1, tzinfo=UTC), **changes}
    return Order(**values)


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
