"""Durations and moments as callers give them, checked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from promin_postgres.errors import InvalidArgument

Seconds = float | timedelta
"""A duration as callers may give it: seconds, or a timedelta."""

_LONGEST = 100 * 365.25 * 86_400
"""A hundred years: what waiting threads, timedelta and the server's clock all still take."""


def check_seconds(argument: str, value: Seconds, *, positive: bool = False) -> float:
    """A duration as seconds; refuses negative ones, NaN, more than a hundred years and what is no duration."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidArgument(argument, value, "must be seconds or a timedelta")
    if not 0 <= seconds <= _LONGEST or (positive and seconds == 0):
        least = "positive" if positive else "zero or more"
        raise InvalidArgument(argument, value, f"must be {least}, and at most a hundred years")
    return float(seconds)


def check_moment(argument: str, value: datetime) -> datetime:
    """An aware datetime; a naive one is refused, because whose clock it means cannot be known."""
    if not isinstance(value, datetime):
        raise InvalidArgument(argument, value, "must be a datetime")
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidArgument(argument, value, "must have a time zone")
    if not 2 <= value.year <= 9998:  # in another zone it would be a year that Python cannot read back
        raise InvalidArgument(argument, value, "must be between the years 2 and 9998")
    return value


def delay_of(delay: Seconds | datetime) -> dict[str, Any]:
    """The parameters of a delay: a moment, a pause, or neither."""
    if type(delay) is int and delay == 0:  # the rule, and tens of thousands are asked for at a time
        return {"due_at": None, "delay": None}
    if isinstance(delay, datetime):
        return {"due_at": check_moment("delay", delay), "delay": None}
    seconds = check_seconds("delay", delay)
    return {"due_at": None, "delay": timedelta(seconds=seconds) if seconds else None}


_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def moment_of(sent: bytes) -> datetime:
    """What timestamptz_send() made: microseconds since the year 2000. Cheaper to carry than a datetime is to make."""
    return _EPOCH + timedelta(microseconds=int.from_bytes(sent, signed=True))
