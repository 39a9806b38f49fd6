"""Durations and moments as callers give them, checked."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from promin_postgres.errors import InvalidArgument

Seconds = float | timedelta
"""A duration as callers may give it: seconds, or a timedelta."""


def check_seconds(argument: str, value: Seconds, *, positive: bool = False) -> float:
    """A duration as seconds; refuses negative ones, NaN, infinity and what is no duration."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(argument, value, "must be seconds or a timedelta")
    else:
        seconds = float(value)
    if not math.isfinite(seconds) or seconds < 0 or (positive and seconds == 0):
        raise InvalidArgument(
            argument, value, "must be " + ("positive" if positive else "zero or more") + " and finite"
        )
    return seconds


def check_moment(argument: str, value: datetime) -> datetime:
    """An aware datetime; a naive one is refused, because whose clock it means cannot be known."""
    if not isinstance(value, datetime):
        raise InvalidArgument(argument, value, "must be a datetime")
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidArgument(argument, value, "must have a time zone")
    return value
