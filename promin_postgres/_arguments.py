"""Arguments as callers give them, checked, and optional payloads. Pure."""

from __future__ import annotations

from typing import Any

from promin_postgres.codec import JSON, Encoded
from promin_postgres.errors import InvalidArgument

MAX_NAME = 255


def check_text(argument: str, value: Any, *, limit: int | None = None) -> str:
    """A non-empty text that PostgreSQL can hold."""
    if not isinstance(value, str) or not value:
        raise InvalidArgument(argument, value, "must be a non-empty string")
    if "\x00" in value:
        raise InvalidArgument(argument, value, "must not contain NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(argument, value, "must not contain lone surrogates") from None
    if limit is not None and len(value) > limit:
        raise InvalidArgument(argument, value, f"must be at most {limit} characters long")
    return value


def check_optional_text(argument: str, value: Any) -> str | None:
    return None if value is None else check_text(argument, value, limit=MAX_NAME)


def check_count(argument: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    """A whole number that fits where PostgreSQL expects one."""
    most = 2**31 - 1 if at_most is None else at_most
    if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= most:
        span = f"of at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise InvalidArgument(argument, value, f"must be a whole number {span}")
    return value


def encode_optional(value: Any, subject: str) -> str | None:
    """None is stored as SQL NULL, which it comes back from."""
    return Encoded.text_of(value, subject=subject)


def decode_optional(text: str | None, subject: str) -> Any:
    return None if text is None else JSON.decode(text, subject=subject)
