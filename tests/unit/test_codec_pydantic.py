"""Pydantic models are stored and checked as they say themselves, alone and inside other types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from promin_postgres.codec import codec_for
from promin_postgres.errors import CodecError

pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")


class Line(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    name: str = pydantic.Field(alias="lineName")
    price: Decimal
    at: datetime
    waits: timedelta = timedelta(0)
    weight: float = 1.0

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def shout(self) -> str:
        return self.name.upper()


class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    lines: list[Line]


class Further(Order):
    more: int = 0


@dataclass
class Delivery:
    orders: list[Order]


def line(**changes: object) -> Line:
    values = {"lineName": "a", "price": Decimal("1.10"), "at": datetime(2030, 1, 1, tzinfo=UTC), **changes}
    return Line(**values)


def test_a_model_comes_back_as_it_was() -> None:
    order = Order(lines=[line(), line(waits=timedelta(days=1, microseconds=1))])
    assert codec_for(Order).decode(codec_for(Order).encode(order)) == order


def test_a_model_inside_a_dataclass_comes_back_as_it_was() -> None:
    delivery = Delivery([Order(lines=[line()])])
    assert codec_for(Delivery).decode(codec_for(Delivery).encode(delivery)) == delivery


def spoiled() -> Line:
    found = line()
    found.price = "cheap"  # type: ignore[assignment]
    return found


@pytest.mark.parametrize(
    ("order", "path"),
    [
        (Order(lines=[line(), spoiled()]), "$.orders[0].lines[1].price"),
        (Order.model_construct(lines=[object()]), "$.orders[0]"),
        (Order(lines=[line(lineName="a\x00")]), "$.orders[0].lines[0].lineName"),
        (Order(lines=[line(weight=float("nan"))]), "$.orders[0].lines[0].weight"),
        (Further(lines=[]), "$.orders[0]"),
        ({"lines": []}, "$.orders[0]"),
    ],
)
def test_a_model_that_would_not_come_back_is_refused_with_its_path(order: Order, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        codec_for(Delivery).encode(Delivery([order]), subject="it")
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[]", "$"),
        ('{"lines":[{"lineName":"a","price":"1"}]}', "$.lines[0].at"),
        ('{"lines":[],"more":1}', "$.more"),
        ('{"lines":[{"lineName":1,"price":"1","at":"2030-01-01T00:00:00Z"}]}', "$.lines[0].lineName"),
    ],
)
def test_what_is_stored_otherwise_is_refused_with_its_path(text: str, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        codec_for(Order).decode(text, subject="it")
    assert (caught.value.path, caught.value.subject) == (path, "it")
