"""Shapes with parts: lists, mappings, unions and classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from promin_postgres.codec._shapes import ANYTHING, FLOAT, TEXT, Fault, Shape, check_stored, check_value
from promin_postgres.errors import shown

_LIST = frozenset({list})
_OBJECT = frozenset({dict})


@attrs.frozen(eq=False)
class Sequence:
    """Any number of values of one type: stored as a list, made again by `make`."""

    name: str
    kinds: type | tuple[type, ...]
    item: Shape
    make: Callable[[list[Any]], Any]
    stored_as = _LIST

    def accepts(self, value: Any) -> bool:
        return isinstance(value, self.kinds)

    def encode(self, value: Any) -> Any:
        check_value(self, value)
        return _each(self.item.encode, value)

    def decode(self, data: Any) -> Any:
        check_stored(self, data)
        return self.make(_each(self.item.decode, data))


def _each(change: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    changed = []
    try:
        for value in values:
            changed.append(change(value))  # noqa: PERF401 - how many there are says where it failed
    except Fault as fault:
        fault.under(len(changed))
        raise
    return changed


@attrs.frozen(eq=False)
class Tuple:
    """A tuple of so many values, each of its own type: stored as a list."""

    name: str
    items: tuple[Shape, ...]
    stored_as = _LIST

    def accepts(self, value: Any) -> bool:
        return isinstance(value, tuple)

    def encode(self, value: Any) -> Any:
        check_value(self, value)
        return self._each([item.encode for item in self.items], value)

    def decode(self, data: Any) -> Any:
        check_stored(self, data)
        return tuple(self._each([item.decode for item in self.items], data))

    def _each(self, changes: list[Callable[[Any], Any]], values: Any) -> list[Any]:
        if len(values) != len(changes):
            raise Fault(f"{len(values)} values where {len(changes)} belong")
        left = iter(changes)
        return _each(lambda value: next(left)(value), values)


@attrs.frozen(eq=False)
class Dict:
    """Keys that are stored as texts or whole numbers, which become texts too; values of one type."""

    name: str
    key: Shape
    value: Shape
    stored_as = _OBJECT

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def encode(self, value: Any) -> Any:
        check_value(self, value)
        changed = {}
        for key, item in value.items():
            try:
                changed[str(self.key.encode(key))] = self.value.encode(item)
            except Fault as fault:
                fault.under(str(key))
                raise
        return changed

    def decode(self, data: Any) -> Any:
        check_stored(self, data)
        changed = {}
        for key, item in data.items():
            try:
                changed[self._decode_key(key)] = self.value.decode(item)
            except Fault as fault:
                fault.under(key)
                raise
        return changed

    def _decode_key(self, key: str) -> Any:
        if self.key.stored_as == TEXT:
            return self.key.decode(key)
        try:
            number = int(key)
        except ValueError:
            raise Fault(f"the key {shown(key)} is stored where {self.key.name} belongs") from None
        return self.key.decode(number)


@attrs.frozen(eq=False)
class Union:
    """One of several types; which one, the stored form tells."""

    name: str
    members: tuple[Shape, ...]
    by_stored: Mapping[type, Shape]

    @property
    def stored_as(self) -> frozenset[type]:
        return frozenset(self.by_stored)

    def accepts(self, value: Any) -> bool:
        return any(one.accepts(value) for one in self.members)

    def encode(self, value: Any) -> Any:
        for one in self.members:
            if one.accepts(value):
                return one.encode(value)
        return check_value(self, value)

    def decode(self, data: Any) -> Any:
        check_stored(self, data)
        return self.by_stored[type(data)].decode(data)


def union(name: str, members: Iterable[Shape]) -> Shape | None:
    """None when two of the members look the same when stored."""
    # Of 1 as int and 1 as float the int is meant, so floats come last.
    ordered = sorted(members, key=lambda one: one is FLOAT)
    if ANYTHING in ordered:
        return ANYTHING
    by_stored: dict[type, Shape] = {}
    for one in ordered:
        kinds = one.stored_as - {int} if one is FLOAT and int in by_stored else one.stored_as
        if kinds & by_stored.keys():
            return None
        by_stored.update(dict.fromkeys(kinds, one))
    return Union(name, tuple(ordered), by_stored)


@attrs.frozen
class Field:
    """One attribute: how the class calls it, how its constructor does, and how it is stored."""

    name: str
    argument: str
    shape: Shape
    is_required: bool


class Record:
    """A dataclass or an attrs class: stored as an object of its fields, made again by its constructor.

    Fields that the constructor does not take are not stored. Stored members that the class does not have are ignored,
    and a missing one with a default gets that, so that old and new versions of a class can read each other.
    """

    stored_as = _OBJECT

    def __init__(self, kind: Any) -> None:
        self.name: str = kind.__qualname__
        self._kind = kind
        self.fields: list[Field] = []  # filled in later: a class may have fields of its own type

    def accepts(self, value: Any) -> bool:
        # Not of a subclass: its further fields would be lost.
        return type(value) is self._kind

    def encode(self, value: Any) -> Any:
        check_value(self, value)
        changed = {}
        for field in self.fields:
            try:
                changed[field.name] = field.shape.encode(getattr(value, field.name))
            except Fault as fault:
                fault.under(field.name)
                raise
            except AttributeError:
                raise Fault(f"the attribute {field.name!r} is not set") from None
        return changed

    def decode(self, data: Any) -> Any:
        check_stored(self, data)
        arguments = {field.argument: value for field, value in self._present(data)}
        try:
            return self._kind(**arguments)
        except Exception as error:  # of a validator or __post_init__
            raise Fault(f"{self.name} refused it: {type(error).__qualname__}: {error}") from error

    def _present(self, data: dict[str, Any]) -> Iterable[tuple[Field, Any]]:
        for field in self.fields:
            if field.name in data:
                try:
                    yield field, field.shape.decode(data[field.name])
                except Fault as fault:
                    fault.under(field.name)
                    raise
            elif field.is_required:
                raise Fault(f"the member {field.name!r} of {self.name} is missing")


class TypedDict(Record):
    """A TypedDict: as it is, its members checked."""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)

    def encode(self, value: Any) -> Any:
        check_value(self, value)
        unknown = value.keys() - {field.name for field in self.fields}
        if unknown:
            raise Fault(f"the key {sorted(map(str, unknown))[0]!r} is not one of {self.name}")
        changed = {}
        for field in self.fields:
            if field.name in value:
                try:
                    changed[field.name] = field.shape.encode(value[field.name])
                except Fault as fault:
                    fault.under(field.name)
                    raise
            elif field.is_required:
                raise Fault(f"the key {field.name!r} of {self.name} is missing")
        return changed

    def decode(self, data: Any) -> Any:
        check_stored(self, data)
        return {field.name: value for field, value in self._present(data)}
