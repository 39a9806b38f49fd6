"""Errors as they are stored. Pure."""

from __future__ import annotations

import json
import traceback as traceback_module
from typing import Any

import attrs

_MAX_MESSAGE = 8_000
_MAX_TRACEBACK = 64_000


@attrs.frozen(kw_only=True)
class ErrorRecord:
    """An error as it is stored: always storable, whatever the exception held.

    NUL and lone surrogates, which PostgreSQL refuses, become visible escapes; long texts lose their middle.
    """

    error_type: str
    message: str
    traceback: str | None = None

    @classmethod
    def of(cls, error: BaseException | ErrorRecord) -> ErrorRecord:
        """The record of an exception, made so that recording a failure cannot fail."""
        if isinstance(error, ErrorRecord):
            return cls(
                error_type=storable(error.error_type, 500),
                message=storable(error.message, _MAX_MESSAGE),
                traceback=None if error.traceback is None else storable(error.traceback, _MAX_TRACEBACK),
            )
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        try:
            message = str(error)
        except Exception as failure:  # noqa: BLE001 - a user's __str__ may raise anything
            message = f"<str() of the error raised {type(failure).__qualname__}>"
        try:
            trace = "".join(traceback_module.format_exception(error))
        except Exception:  # noqa: BLE001 - and so may what the traceback shows
            trace = None
        return cls.of(cls(error_type=name, message=message, traceback=trace))


def storable(text: str, limit: int) -> str:
    """The text without what PostgreSQL refuses, and without its middle where it is longer."""
    text = text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
    if len(text) <= limit:
        return text
    half = limit // 2 - 30  # with the note it fits: storing it again leaves it as it is
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def encode_error(error: BaseException | ErrorRecord) -> str:
    record = ErrorRecord.of(error)
    return json.dumps(
        {"type": record.error_type, "message": record.message, "traceback": record.traceback}, ensure_ascii=False
    )


def decode_error(text: str | None) -> ErrorRecord | None:
    return None if text is None else error_of(json.loads(text))


def error_of(stored: dict[str, Any] | None) -> ErrorRecord | None:
    if stored is None:
        return None
    return ErrorRecord(error_type=stored["type"], message=stored["message"], traceback=stored.get("traceback"))
