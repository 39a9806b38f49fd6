"""Codecs made from types."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from typing import Any, Generic, NoReturn, TypeVar, overload

import attrs

from promin_postgres.codec._containers import Dict, Field, Record, Sequence, Tuple, TypedDict, union
from promin_postgres.codec._json import JSON, Codec
from promin_postgres.codec._pydantic import Model, is_model
from promin_postgres.codec._shapes import NUMBER, SCALARS, TEXT, Fault, Shape, enumeration, literal
from promin_postgres.errors import CodecError, InvalidArgument

T = TypeVar("T")


class TypedCodec(Generic[T]):
    """Takes values of one type, and gives back values of that type. Made by `codec_for`."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self._shape = _Builder(kind).shape(kind, {})

    def __repr__(self) -> str:
        return f"codec_for({_name(self.kind)})"

    def encode(self, value: T, *, subject: str | None = None) -> str:
        try:
            data = self._shape.encode(value)
        except Fault as fault:
            raise CodecError(fault.problem, path=fault.path, subject=subject) from fault.__cause__
        except RecursionError:
            raise CodecError("contains itself, or is nested too deeply", subject=subject) from None
        return JSON.encode(data, subject=subject)

    def decode(self, text: str, *, subject: str | None = None) -> T:
        data = JSON.decode(text, subject=subject)
        try:
            return self._shape.decode(data)  # type: ignore[no-any-return]
        except Fault as fault:
            raise CodecError(fault.problem, path=fault.path, subject=subject) from fault.__cause__
        except RecursionError:
            raise CodecError("is nested too deeply", subject=subject) from None


@overload
def codec_for(kind: type[T]) -> Codec[T]: ...
@overload
def codec_for(kind: Any) -> Codec[Any]: ...
def codec_for(kind: Any) -> Codec[Any]:
    """A codec for values of one type: a dataclass, an attrs class, a TypedDict, a pydantic model, or any type of these.

    What it holds may be of such types in turn, generic and recursive ones too; `str`, `int`, `float`, `bool`, `None`;
    `datetime`, `date`, `time`, `timedelta` (ISO 8601), `Decimal`, `UUID`, `bytes` (base64), enumerations and literals
    of texts and whole numbers; lists, tuples, sets and dicts of them; optional ones, and unions whose members look
    different in JSON; `Any` for what JSON has. Types are exact: `1` is no bool, a subclass is not its base.

    Fields that the constructor does not take are not stored. When a value is read, members that the class does not have
    are ignored, and a missing one gets its default: so old and new versions of a class can read each other. A time zone
    comes back as its offset. Pydantic models are stored and checked as they say themselves.

    Args:
        kind: The type.

    Raises:
        InvalidArgument: Part of the type cannot be stored; says which.
    """
    return TypedCodec(kind)


_COLLECTIONS: dict[Any, tuple[type | tuple[type, ...], Any]] = {
    list: (list, list),
    set: (set, set),
    frozenset: (frozenset, frozenset),
    collections.abc.Sequence: ((list, tuple), list),
}
_MAPPINGS = (dict, collections.abc.Mapping)
_QUALIFIERS = (typing.Annotated, typing.Required, typing.NotRequired, typing.Final)

Variables = Mapping[Any, Any]
"""What the type variables of a generic class stand for."""


class _Builder:
    """Makes the shape of a type, and those of the types in it."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._records: dict[Any, Shape] = {}

    def shape(self, kind: Any, variables: Variables) -> Shape:
        if kind is None:
            kind = types.NoneType
        if isinstance(kind, TypeVar) and kind in variables:
            return self.shape(variables[kind], {})
        if isinstance(kind, typing.NewType):
            return self.shape(kind.__supertype__, variables)
        alias = getattr(kind, "__value__", None)  # of `type X = ...`
        if alias is not None:
            return self.shape(alias, variables)
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin in _QUALIFIERS:
            return self.shape(arguments[0], variables)
        try:
            hash(kind)
        except TypeError:  # no type
            self._refuse(kind, "there is no way to store it")
        found = self._simple(kind, origin, arguments) or self._composed(kind, origin or kind, arguments, variables)
        return found or self._record(kind, origin or kind, arguments, variables)

    def _simple(self, kind: Any, origin: Any, arguments: tuple[Any, ...]) -> Shape | None:
        if kind in SCALARS:
            return SCALARS[kind]
        if origin is typing.Literal:
            return literal(arguments) or self._refuse(
                kind, "its values are not all texts, whole numbers, booleans or None"
            )
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return enumeration(kind) or self._refuse(kind, "its values are not all texts or whole numbers")
        return None

    def _composed(self, kind: Any, origin: Any, arguments: tuple[Any, ...], variables: Variables) -> Shape | None:
        if origin in (typing.Union, types.UnionType):
            members = [self.shape(one, variables) for one in arguments]
            return union(_name(kind), members) or self._refuse(kind, "two of its members look the same in JSON")
        if origin is tuple and arguments and arguments[-1] is not ...:
            return Tuple(_name(kind), tuple(self.shape(one, variables) for one in arguments if one != ()))
        if origin is tuple:
            return Sequence(_name(kind), tuple, self.shape(arguments[0] if arguments else Any, variables), tuple)
        if origin in _COLLECTIONS:
            kinds, make = _COLLECTIONS[origin]
            return Sequence(_name(kind), kinds, self.shape(arguments[0] if arguments else Any, variables), make)
        if origin in _MAPPINGS:
            key, value = arguments or (str, Any)
            return Dict(_name(kind), self._key(key, variables), self.shape(value, variables))
        return None

    def _key(self, kind: Any, variables: Variables) -> Shape:
        shape = self.shape(kind, variables)
        if shape.stored_as not in (TEXT, NUMBER):
            self._refuse(kind, "it is the type of a key, and stored neither as a text nor as a whole number")
        return shape

    def _record(self, kind: Any, origin: Any, arguments: tuple[Any, ...], variables: Variables) -> Shape:
        given = tuple(_bind(one, variables) for one in arguments)
        identity = (origin, given)
        if identity in self._records:
            return self._records[identity]
        if is_model(kind):
            shape = self._records[identity] = Model(kind)
            return shape
        is_typed_dict = typing.is_typeddict(origin)
        if not (is_typed_dict or attrs.has(origin) or (isinstance(origin, type) and dataclasses.is_dataclass(origin))):
            self._refuse(kind, "there is no way to store it")
        record = self._records[identity] = (TypedDict if is_typed_dict else Record)(origin)
        hints = self._hints(origin)
        for name, hint in hints.items():
            if isinstance(hint, dataclasses.InitVar) and not hasattr(origin, name):
                self._refuse(kind, f"its constructor wants {name!r}, which no instance keeps")
        bound = dict(zip(getattr(origin, "__parameters__", ()), given, strict=False))
        for name, argument, is_required in _fields(origin, hints):
            record.fields.append(Field(name, argument, self.shape(hints[name], bound), is_required))
        return record

    def _hints(self, kind: Any) -> dict[str, Any]:
        try:
            return typing.get_type_hints(kind, include_extras=True)
        except Exception as error:  # noqa: BLE001 - annotations are code
            self._refuse(kind, f"its annotations cannot be read: {error}")

    def _refuse(self, part: Any, problem: str) -> NoReturn:
        where = "" if part is self._root else f"{_name(part)}: "
        raise InvalidArgument("kind", self._root, f"{where}{problem}")


def _bind(kind: Any, variables: Variables) -> Any:
    """`kind` with the variables in it replaced."""
    if isinstance(kind, TypeVar):
        return variables.get(kind, kind)
    free = getattr(kind, "__parameters__", ())
    return kind[tuple(variables.get(one, one) for one in free)] if free and not isinstance(kind, type) else kind


def _fields(kind: Any, hints: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Name, argument of the constructor, and whether it has to be there."""
    if typing.is_typeddict(kind):
        return [(name, name, _is_required(kind, name, hint)) for name, hint in hints.items()]
    if attrs.has(kind):
        return [
            (one.name, one.alias or one.name, one.default is attrs.NOTHING) for one in attrs.fields(kind) if one.init
        ]
    return [
        (one.name, one.name, one.default is one.default_factory is dataclasses.MISSING)
        for one in dataclasses.fields(kind)
        if one.init
    ]


def _is_required(kind: Any, name: str, hint: Any) -> bool:
    # Where annotations are texts, only the hint knows what stands around it.
    origin = typing.get_origin(hint)
    if origin in (typing.Required, typing.NotRequired):
        return origin is typing.Required
    return name in kind.__required_keys__


def _name(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_name, arguments))
    if arguments:
        return f"{_name(origin)}[{', '.join(map(_name, arguments))}]"
    if kind is types.NoneType:
        return "None"
    return kind.__qualname__ if isinstance(kind, type) else repr(kind)
