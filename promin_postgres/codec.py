"""How values become text in the database, and come back.

A value that cannot make the round trip is refused at the call, before anything is written, with the path to the fault:
`CodecError: step 'price': $.items[3].tags: set is not a JSON type`.
"""

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
        try:
            text = _ENCODER.encode(value)
            text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise _fault(value, subject) or CodecError(str(error), subject=subject) from None
        # Escapes are rare, so the search is cheap: only a text that holds the sequence is looked at closely. Keys
        # that json.dumps would turn into strings cannot be seen in the text.
        if "\\u0000" in text or _has_odd_key(value):
            fault = _fault(value, subject)
            if fault is not None:
                raise fault
        return text

    def decode(self, text: str, *, subject: str | None = None) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CodecError(f"the stored value is not JSON: {error}", subject=subject) from None


_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))

JSON: Codec[Any] = JsonCodec()
"""The default codec."""


def _has_odd_key(value: Any) -> bool:
    if isinstance(value, dict):
        return any(type(key) is not str for key in value) or any(
            _has_odd_key(item) for item in value.values() if isinstance(item, dict | list | tuple)
        )
    if isinstance(value, list | tuple):
        return any(_has_odd_key(item) for item in value if isinstance(item, dict | list | tuple))
    return False


def _fault(value: Any, subject: str | None) -> CodecError | None:
    """The first thing in `value` that JSON cannot carry."""
    found = next(_faults(value, "$", ()), None)
    return None if found is None else CodecError(found[1], path=found[0], subject=subject)


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
        elif len(above) > 500:
            yield path, "is nested too deeply"
        elif isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, str):
                    yield path, f"the key {key!r} is not a string"
                    continue
                problem = _text_problem(key)
                if problem:
                    yield path, f"a key {problem}"
                yield from _faults(item, f"{path}{_member(key)}", (*above, id(value)))
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


def _member(key: str) -> str:
    return f".{key}" if key.isidentifier() else f"[{json.dumps(key)}]"
