"""Shapes: how one type is checked, made into what JSON has, and made of it again."""

from __future__ import annotations

import base64
import enum
import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, Final, Protocol
from uuid import UUID

import attrs

from promin_postgres.codec._json import member
from promin_postgres.errors import shown


class Fault(Exception):
    """What is wrong with a value, and on its way out the path to that place."""

    def __init__(self, problem: str, *parts: str | int) -> None:
        super().__init__(problem)
        self.problem = problem
        self._parts = list(reversed(parts))

    def under(self, part: str | int) -> None:
        """Seen from one level higher."""
        self._parts.append(part)

    @property
    def path(self) -> str:
        return "$" + "".join(f"[{part}]" if isinstance(part, int) else member(part) for part in reversed(self._parts))


class Shape(Protocol):
    """One type. Both `encode` and `decode` raise Fault."""

    @property
    def name(self) -> str: ...

    @property
    def stored_as(self) -> frozenset[type]:
        """What json.loads may make of it."""
        ...

    def accepts(self, value: Any, /) -> bool:
        """Whether a value is of this type; what it holds may still be wrong."""
        ...

    def encode(self, value: Any, /) -> Any: ...

    def decode(self, data: Any, /) -> Any: ...


_JSON_NAMES: Final = {NoneType: "null", bool: "a boolean", str: "a text", list: "a list", dict: "an object"}


def check_value(shape: Shape, value: Any) -> None:
    if not shape.accepts(value):
        raise Fault(f"{type(value).__qualname__} where {shape.name} belongs")


def check_stored(shape: Shape, data: Any) -> None:
    if type(data) not in shape.stored_as:
        raise Fault(f"{_JSON_NAMES.get(type(data), 'a number')} is stored where {shape.name} belongs")


@attrs.frozen(eq=False)
class Scalar:
    """A type without parts."""

    name: str
    stored_as: frozenset[type]
    accepts: Callable[[Any], bool]
    to_json: Callable[[Any], Any] = lambda value: value
    from_json: Callable[[Any], Any] = lambda data: data

    def encode(self, value: Any) -> Any:
        check_value(self, value)
        return self.to_json(value)

    def decode(self, data: Any) -> Any:
        check_stored(self, data)
        try:
            return self.from_json(data)
        except (ValueError, ArithmeticError):  # decimal.InvalidOperation is of the latter
            raise Fault(f"{shown(data)} is stored where {self.name} belongs") from None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _exact_float(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = 0.0
    # NaN is left to the JSON codec, which names it.
    if number != value and not math.isnan(number):
        raise Fault(f"{shown(value)} is no float without loss")
    return number


def _finite(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise Fault(f"{value} is no number")
    return value


def _moment_text(value: datetime | time) -> str:
    offset = value.utcoffset()
    if offset is not None and offset.microseconds:
        raise Fault("its offset has fractions of a second, which Python writes and does not read")
    return value.isoformat()


_DURATION: Final = re.compile(
    r"(?P<sign>[+-]?)P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:\.(?P<microseconds>\d{1,6}))?S)?)?",
    re.ASCII,
)


def _duration_text(value: timedelta) -> str:
    """ISO 8601, in seconds alone: days of 24 hours are not what everybody reads in P1D."""
    total = value // timedelta(microseconds=1)
    seconds, micros = divmod(abs(total), 1_000_000)
    return f"{'-' if total < 0 else ''}PT{seconds}{f'.{micros:06}' if micros else ''}S"


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None or text[-1] in "PT":
        raise ValueError(text)
    parts = {name: value for name, value in match.groupdict("0").items() if name != "sign"}
    parts["microseconds"] = parts["microseconds"].ljust(6, "0")
    length = timedelta(**{name: int(value) for name, value in parts.items()})
    return -length if match["sign"] == "-" else length


TEXT: Final = frozenset({str})
NUMBER: Final = frozenset({int})

ANYTHING: Final = Scalar("anything", frozenset({NoneType, bool, int, float, str, list, dict}), lambda _: True)
_WHOLE: Final = Scalar("int", NUMBER, _is_whole)
FLOAT: Final = Scalar(
    "float", frozenset({float, int}), lambda v: isinstance(v, float) or _is_whole(v), _exact_float, _exact_float
)
SCALARS: Final[dict[Any, Scalar]] = {
    Any: ANYTHING,
    object: ANYTHING,
    NoneType: Scalar("None", frozenset({NoneType}), lambda v: v is None),
    bool: Scalar("bool", frozenset({bool}), lambda v: isinstance(v, bool)),
    int: _WHOLE,
    float: FLOAT,
    str: Scalar("str", TEXT, lambda v: isinstance(v, str)),
    bytes: Scalar(
        "bytes",
        TEXT,
        lambda v: isinstance(v, bytes),
        lambda v: base64.b64encode(v).decode(),
        lambda d: base64.b64decode(d, validate=True),
    ),
    datetime: Scalar("datetime", TEXT, lambda v: isinstance(v, datetime), _moment_text, datetime.fromisoformat),
    date: Scalar(
        "date",
        TEXT,
        lambda v: isinstance(v, date) and not isinstance(v, datetime),
        date.isoformat,
        date.fromisoformat,
    ),
    time: Scalar("time", TEXT, lambda v: isinstance(v, time), _moment_text, time.fromisoformat),
    timedelta: Scalar("timedelta", TEXT, lambda v: isinstance(v, timedelta), _duration_text, _duration),
    Decimal: Scalar(
        "Decimal",
        TEXT,
        lambda v: isinstance(v, Decimal),
        lambda v: str(_finite(v)),
        lambda d: _finite(Decimal(d)),
    ),
    UUID: Scalar("UUID", TEXT, lambda v: isinstance(v, UUID), str, UUID),
}


def enumeration(kind: type[enum.Enum]) -> Scalar | None:
    """Members by their values, when these are texts or whole numbers."""
    types = {type(one.value) for one in kind}
    if not types or not types <= {str, int}:
        return None
    return Scalar(kind.__qualname__, frozenset(types), lambda v: isinstance(v, kind), lambda v: v.value, kind)


def literal(values: tuple[Any, ...]) -> Scalar | None:
    """One of these and nothing else: texts, whole numbers, booleans, None and members of enumerations."""
    stored = {}
    for value in values:
        data = value.value if isinstance(value, enum.Enum) else value
        if type(data) not in {str, int, bool, NoneType} or (type(data), data) in stored:
            return None
        stored[type(data), data] = value
    # By type too: 1 equals True.
    accepted = {(type(value), value) for value in values}
    kinds = {kind for kind, _ in accepted}

    def from_json(data: Any) -> Any:
        if (type(data), data) not in stored:
            raise ValueError(data)
        return stored[type(data), data]

    return Scalar(
        " or ".join(map(repr, values)),
        frozenset(kind for kind, _ in stored),
        lambda v: type(v) in kinds and (type(v), v) in accepted,
        lambda v: v.value if isinstance(v, enum.Enum) else v,
        from_json,
    )
