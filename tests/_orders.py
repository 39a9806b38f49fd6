"""Classes of every kind that a typed codec takes, and some that it does not."""

from __future__ import annotations

import enum
from dataclasses import InitVar, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Generic, NewType, NotRequired, Required, TypedDict, TypeVar

import attrs

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


@dataclass(frozen=True)
class LongLine(Line):
    more: int = 0
