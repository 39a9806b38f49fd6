"""The codec protocol, and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

from promin_postgres.errors import CodecError

T = TypeVar("T")


class Codec(Protocol[T]):
    """Turns values into JSON text and back. Both raise CodecError, `encode` before anything is written."""

    def encode(self, value: T, *, subject: str | None = None) -> str: ...

    def decode(self, text: str, *, subject: str | None = None) -> T: ...


class JsonCodec:
    """JSON as the standard defines it, and nothing that would come back changed or not at all.

    Refused: NaN and infinities (not JSON), NUL characters and lone surrogates (PostgreSQL cannot read them out of a
    json value), keys that are not strings (they would come back as strings), and every other type. Tuples come back
    as lists.
    """

    def encode(self, value: Any, *, subject: str | None = None) -> str:
        if _fast is not None:
            text = _fast(value)
            if text is not None:
                return text
        text, problem = "", None
        try:
            text = _ENCODER.encode(value)
            text.encode()
            # Reading it back finds keys that were made strings. Tuples differ as well, and get the closer look below.
            if "\\u0000" not in text and json.loads(text) == value:
                return text
        except (TypeError, ValueError, RecursionError) as error:
            problem = str(error)
        path, fault = _first_fault(value) or ("$", problem)
        if fault is not None:
            raise CodecError(fault, path=path, subject=subject)
        return text

    def decode(self, text: str, *, subject: str | None = None) -> Any:
        try:
            value, end = _read(text)
            if end == len(text):
                return value
        except (ValueError, RecursionError):
            pass  # what is wrong, if anything is, `loads` tells
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CodecError(f"the stored value is not JSON: {error}", subject=subject) from None


def _encode_fast(value: Any) -> str | None:
    """What orjson makes of a value, if it reads back as that value: by far the most do. None: look closer."""
    try:
        made = orjson.dumps(value, option=_PLAIN)
        return made.decode() if b"\\u0000" not in made and orjson.loads(made) == value else None
    except (TypeError, ValueError, RecursionError):
        return None


try:
    import orjson
except ImportError:
    _fast = None
else:
    _PLAIN = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
    _fast = _encode_fast

_read = json.JSONDecoder().raw_decode  # half the price of `loads`, which looks for white space around the value
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))

JSON: Codec[Any] = JsonCodec()
"""The default codec."""


def _first_fault(value: Any) -> tuple[str, str] | None:
    """The path to the first thing in `value` that JSON cannot carry, and what is wrong with it."""
    try:
        return next(_faults(value, "$", ()), None)
    except RecursionError:
        return "$", "is nested too deeply"


def _faults(value: Any, path: str, above: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    if value is None or isinstance(value, bool | int):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            yield path, f"{value} is not JSON"
    elif isinstance(value, str):
        problem = _text_problem(value)
        if problem:
            yield path, problem
    elif isinstance(value, dict | list | tuple):
        if id(value) in above:
            yield path, "contains itself"
        elif isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, str):
                    yield path, f"the key {key!r} is not a string"
                    continue
                problem = _text_problem(key)
                if problem:
                    yield path, f"a key {problem}"
                yield from _faults(item, f"{path}{member(key)}", (*above, id(value)))
        else:
            for index, item in enumerate(value):
                yield from _faults(item, f"{path}[{index}]", (*above, id(value)))
    else:
        yield path, f"{type(value).__qualname__} is not a JSON type"


def _text_problem(text: str) -> str | None:
    if "\x00" in text:
        return "contains NUL (U+0000)"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"contains a lone surrogate (U+{ord(text[error.start]):04X})"
    return None


def member(key: str) -> str:
    return f".{key}" if key.isidentifier() else f"[{json.dumps(key)}]"
