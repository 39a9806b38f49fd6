"""Values that are JSON text already."""

from __future__ import annotations

from typing import Any

import attrs

from promin_postgres.codec._json import JSON


@attrs.frozen
class Encoded:
    """A value as the database keeps it. Where the workflow storage takes a value it takes one of these as it is.

    `value()` gives everyone who asks a copy of his own, as it would be after a restart.
    """

    text: str | None
    """JSON; None for None, which is NULL there."""

    @classmethod
    def of(cls, value: Any, *, subject: str) -> Encoded:
        """CodecError, naming the subject and the path, if the database could not keep it."""
        return value if isinstance(value, Encoded) else cls(cls.text_of(value, subject=subject))

    @staticmethod
    def text_of(value: Any, *, subject: str) -> str | None:
        """The text of what `of` makes, without making it."""
        if value is None:
            return None
        return value.text if isinstance(value, Encoded) else JSON.encode(value, subject=subject)

    def value(self) -> Any:
        return None if self.text is None else JSON.decode(self.text)
