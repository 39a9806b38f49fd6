"""Pydantic models. Pydantic itself is never imported: a model that exists has imported it."""

from __future__ import annotations

import json
import sys
from typing import Any

from promin_postgres.codec._shapes import Fault, check_stored, check_value


def is_model(kind: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


class Model:
    """Stored and read as the model itself has it, and read back once before it is stored."""

    stored_as = frozenset({dict})

    def __init__(self, kind: Any) -> None:
        self.name: str = kind.__qualname__
        self._kind = kind

    def accepts(self, value: Any) -> bool:
        return type(value) is self._kind

    def encode(self, value: Any) -> Any:
        check_value(self, value)
        try:
            data = value.model_dump(mode="json", by_alias=True, round_trip=True, warnings=False)
        except ValueError as error:  # what pydantic_core raises of its own
            raise Fault(f"{self.name} does not serialize: {error}") from None
        self.decode(data)  # attributes are not validated when they are set, and serialized as they are
        return data

    def decode(self, data: Any) -> Any:
        check_stored(self, data)
        try:
            # As JSON, because a strict model takes dates and the like as texts from nothing else.
            return self._kind.model_validate_json(json.dumps(data))
        except ValueError as error:
            first = error.errors()[0]  # type: ignore[attr-defined]
            raise Fault(first["msg"], *first["loc"]) from None
