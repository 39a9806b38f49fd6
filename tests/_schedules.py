"""Schedulers in the hands of a test: a clock that stands still, and one look at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A moment of the day on which the clock of the tests starts, at twelve."""
    return datetime(2026, 5, 13, hour, minute, second, tzinfo=UTC)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = at(12)

    def __call__(self) -> datetime:
        return self.now


def turn(scheduler: Any) -> int:
    """Fire what is due, as the loop would; how many ticks that made."""
    return scheduler._core.fire_due()[0]


def moments(scheduler: Any, name: str) -> list[datetime]:
    """The fire times of the ticks of a schedule, oldest first."""
    return [tick.scheduled_at for tick in scheduler.history(name)[::-1]]
