"""The types that codecs promise. Checked by mypy and pyright, never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from promin_postgres.codec import Codec, codec_for


@dataclass
class Order:
    number: int


assert_type(codec_for(Order), Codec[Order])
assert_type(codec_for(Order).decode("{}", subject="it"), Order)
assert_type(codec_for(list[Order]), Codec[list[Order]])
assert_type(codec_for(Order).encode(Order(1)), str)
either: Codec[Order | None] = codec_for(Order | None)
anything: Codec[Any] = codec_for(Any)
