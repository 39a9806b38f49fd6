"""What the JSON codec takes comes back as it was, and the rest is refused with the path to the fault."""

import enum
import json
import math
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promin_postgres.codec import JSON, _json
from promin_postgres.errors import CodecError

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
)


def equal_and_alike(one: object, other: object) -> bool:
    """Equality that tells 1 from 1.0 and True, and 0.0 from -0.0."""
    return repr(one) == repr(other)


@given(VALUES)
def test_a_value_comes_back_as_it_was(value) -> None:
    assert equal_and_alike(JSON.decode(JSON.encode(value)), value)


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def circular() -> dict:
    value: dict = {"inner": []}
    value["inner"].append(value)
    return value


@pytest.mark.parametrize(
    ("value", "path", "problem"),
    [
        ({"items": [0, {"tags": {1}}]}, "$.items[1].tags", "set is not a JSON type"),
        ({"when": datetime(2030, 1, 1, tzinfo=UTC)}, "$.when", "datetime is not a JSON type"),
        ([Decimal(1)], "$[0]", "Decimal is not a JSON type"),
        (b"bytes", "$", "bytes is not a JSON type"),
        ({"a b": object()}, '$["a b"]', "object is not a JSON type"),
        ([float("nan")], "$[0]", "nan is not JSON"),
        ({"x": float("-inf")}, "$.x", "-inf is not JSON"),
        ({"x": ["a\x00b"]}, "$.x[0]", "contains NUL (U+0000)"),
        ({"x": {"a\x00": 1}}, "$.x", "a key contains NUL (U+0000)"),
        (["\ud800"], "$[0]", "contains a lone surrogate (U+D800)"),
        ({"\udfff": 1}, "$", "a key contains a lone surrogate (U+DFFF)"),
        ({1: "a"}, "$", "the key 1 is not a string"),
        ([{"x": {None: 1}}], "$[0].x", "the key None is not a string"),
        ((1, {True: 1}), "$[1]", "the key True is not a string"),
        ({1: "a", "1": "a"}, "$", "the key 1 is not a string"),
        ({(1, 2): "a"}, "$", "the key (1, 2) is not a string"),
        (circular(), "$.inner[0]", "contains itself"),
        (nested(100_000), "$", "is nested too deeply"),
    ],
)
def test_what_json_cannot_carry_is_refused_with_its_path(value, path, problem) -> None:
    with pytest.raises(CodecError) as caught:
        JSON.encode(value, subject="step 'price'")
    assert (caught.value.path, caught.value.problem, caught.value.subject) == (path, problem, "step 'price'")
    assert str(caught.value) == f"step 'price': {path}: {problem}"
    assert caught.value.__cause__ is None


def test_tuples_come_back_as_lists() -> None:
    assert JSON.decode(JSON.encode({"pair": (1, (2, "x"))})) == {"pair": [1, [2, "x"]]}


def test_the_same_value_in_two_places_is_no_circle() -> None:
    shared = [1]
    assert JSON.decode(JSON.encode((shared, shared))) == [[1], [1]]


def test_an_escape_in_the_text_of_a_value_is_not_a_nul() -> None:
    assert JSON.decode(JSON.encode("\\u0000")) == "\\u0000"


def test_enums_of_texts_and_numbers_are_taken_for_these() -> None:
    class Colour(enum.StrEnum):
        RED = "red"

    class Size(enum.IntEnum):
        BIG = 3

    assert JSON.encode({"colour": Colour.RED, "size": Size.BIG}) == '{"colour":"red","size":3}'


def test_text_is_stored_readable_and_compact() -> None:
    assert JSON.encode({"grüße": ["日本", 1.5, None, True]}) == '{"grüße":["日本",1.5,null,true]}'


@pytest.mark.parametrize("text", ["", "{", "nope", "[" * 100_000])
def test_a_stored_text_that_is_not_json_is_named(text) -> None:
    with pytest.raises(CodecError, match=r"the result of x.*not JSON") as caught:
        JSON.decode(text, subject="the result of x")
    assert caught.value.__cause__ is None


class _Word(enum.StrEnum):
    WORD = "word"


@pytest.mark.parametrize(
    "value",
    [
        *(10**30, 2**64, -(2**63) - 1, 1e22, -0.0, math.nan, math.inf, True, {"a": (1, 2)}, {1: 2}, [[]], {"x": {1}}),
        *(_Word.WORD, {"k": _Word.WORD}, "a\x00", "\ud800", {"\x00": 1}, "é🦉", b"x"),
        *(uuid.UUID(int=1), datetime(2026, 1, 1, tzinfo=UTC)),
    ],
    ids=repr,
)
def test_orjson_makes_no_difference(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome() -> object:
        try:
            return json.loads(JSON.encode(value))
        except CodecError as error:
            return str(error)

    assert _json._fast is not None, "needs orjson"
    with_orjson = outcome()
    monkeypatch.setattr(_json, "_fast", None)
    assert repr(outcome()) == repr(with_orjson)
