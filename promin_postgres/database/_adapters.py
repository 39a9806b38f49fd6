"""How parameters become bytes and rows values, whatever the caller's connection does: Django's drops time zones.

Lists of whole numbers are always bigint[]. psycopg takes the narrowest type that holds the values, so that a statement
is prepared anew when they grow, and the server converts an array at each row that it is compared with.
"""

from __future__ import annotations

import struct
from itertools import chain
from typing import Any

import psycopg
from psycopg.abc import AdaptContext, Buffer, DumperKey
from psycopg.adapt import AdaptersMap, Dumper, PyFormat
from psycopg.types.array import ListBinaryDumper

_BIGINT, _TEXT = psycopg.adapters.types["int8"], psycopg.adapters.types["text"]
_KINDS = {
    frozenset(): type(None),
    frozenset({int}): int,
    frozenset({int, type(None)}): int,
    frozenset({str}): str,
    frozenset({str, type(None)}): str,
}

_head = struct.Struct("!5i").pack  # dimensions, whether there are NULLs, type, length, lower bound
_length = struct.Struct("!i").pack
_number = struct.Struct("!iq").pack
_NULL = _length(-1)


def _kind(items: list[Any]) -> type:
    """What a list is made of: numbers, texts, nothing, or (list) anything else."""
    return _KINDS.get(frozenset(map(type, items)), list)


class _ListDumper(ListBinaryDumper):
    """As psycopg's, which asks each item how it is dumped; lists of numbers, texts or nothing go at once."""

    def get_key(self, obj: list[Any], format: PyFormat) -> DumperKey:  # noqa: A002 - psycopg's name
        kind = _kind(obj)
        return super().get_key(obj, format) if kind is list else (self.cls, kind)

    def upgrade(self, obj: list[Any], format: PyFormat) -> Any:  # noqa: A002
        kind = _kind(obj)
        return super().upgrade(obj, format) if kind is list else _DUMPERS[kind](self.cls, self._tx)


class _EmptyDumper(Dumper):
    """Of no type: the statement says it."""

    def dump(self, obj: list[Any]) -> Buffer:
        return b"{}"


class _BigintsDumper(ListBinaryDumper):
    oid = _BIGINT.array_oid

    def dump(self, obj: list[int | None]) -> Buffer:
        has_null = None in obj
        head = _head(1, has_null, _BIGINT.oid, len(obj), 1)
        if has_null:
            return head + b"".join([_NULL if item is None else _number(8, item) for item in obj])
        items: list[Any] = [8] * (2 * len(obj))
        items[1::2] = obj
        return head + struct.pack("!" + "iq" * len(obj), *items)


class _TextsDumper(ListBinaryDumper):
    oid = _TEXT.array_oid

    def __init__(self, cls: type, context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        self._encoding = self.connection.info.encoding if self.connection is not None else "utf-8"

    def dump(self, obj: list[str | None]) -> Buffer:
        has_null, encoding = None in obj, self._encoding
        head = _head(1, has_null, _TEXT.oid, len(obj), 1)
        if has_null:
            encoded = [None if item is None else item.encode(encoding) for item in obj]
            return head + b"".join([_NULL if item is None else _length(len(item)) + item for item in encoded])
        items = [item.encode(encoding) for item in obj]  # type: ignore[union-attr]
        return head + b"".join(chain.from_iterable(zip(map(_length, map(len, items)), items, strict=True)))


_DUMPERS: dict[type, type[Dumper]] = {type(None): _EmptyDumper, int: _BigintsDumper, str: _TextsDumper}

ADAPTERS = AdaptersMap(psycopg.adapters)
ADAPTERS.register_dumper(list, _ListDumper)
