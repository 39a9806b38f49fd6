"""Cron expressions on naive local time. Pure.

Read by croniter, and counted here: on a day either all times fire or none, so the fire times of a year are counted
without looking at each.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections import deque
from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, cast

import attrs

from promin_postgres.errors import InvalidArgument
from promin_postgres.scheduler._zones import LAST, TICK

_SAME = re.compile(r"\b(\w+)-\1(?:/\d+)?\b")  # croniter takes 1-1 for every day of the week
_UNSTEADY = re.compile(r"\b[hr]\b|\bw\b|\d+w\b")  # drawn at random, or nowhere the same
_DAY = timedelta(days=1)
_NO_29_FEBRUARY_FOR = timedelta(days=8 * 366)  # and with it, the longest time that any expression pauses


@attrs.frozen
class Days:
    """The days of an expression: months, days of the month, days of the week."""

    months: frozenset[int]
    days: frozenset[int]
    last_day: bool
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]]
    last_weekdays: frozenset[int]

    def first(self, day: date, limit: date) -> date | None:
        """The first one from `day` on; None when there is none before `limit`."""
        while day < limit:
            if day.month not in self.months:
                day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            elif self._match(day):
                return day
            else:
                day += _DAY
        return None

    def _match(self, day: date) -> bool:
        length = monthrange(day.year, day.month)[1]
        weekday = day.isoweekday() % 7
        by_day = day.day in self.days or (self.last_day and day.day == length)
        by_weekday = (
            weekday in self.weekdays
            or (weekday, (day.day + 6) // 7) in self.nth_weekdays
            or (weekday in self.last_weekdays and day.day > length - 7)
        )
        leave_some_out = len(self.days) < 31 and len(self.weekdays) < 7
        return (by_day or by_weekday) if leave_some_out else (by_day and by_weekday)


class CronTimes:
    """The local times of an expression: five fields, or six with the seconds first.

    A field is a list of `*`, numbers, names (jan, mon), ranges and steps. A day of the month may be `L`, the last one;
    a day of the week `mon#2`, the second Monday of the month, or `L1`, the last Monday. When both the days of the month
    and the days of the week leave some out, it fires on either, as every cron does.

    Raises:
        InvalidArgument: It is not understood, or never fires.
    """

    def __init__(self, expression: str) -> None:
        lowered = expression.strip().lower()
        if not lowered.startswith("@") and len(lowered.split()) not in (5, 6):
            raise InvalidArgument("cron", expression, "must have five fields, or six with the seconds first")
        if not lowered.isascii() or _UNSTEADY.search(lowered):
            raise InvalidArgument("cron", expression, "has a field that is not understood")
        try:
            columns, nth = cast("tuple[list[list[Any]], dict[Any, set[Any]]]", _expanded(lowered))
        except (ValueError, LookupError, TypeError, AttributeError) as problem:
            raise InvalidArgument("cron", expression, f"is not understood: {problem}") from None
        minutes, hours, days, months, weekdays, *seconds = map(set, columns)
        self.is_wild = _is_wild(lowered)
        self._seconds = _sorted(seconds[0] if seconds else {0}, 0, 59)
        self._minutes = _sorted(minutes, 0, 59)
        self._hours = _sorted(hours, 0, 23)
        self._days = Days(
            months=frozenset(_sorted(months, 1, 12)),
            days=frozenset(_sorted(days - {"l"}, 1, 31)),
            last_day="l" in days,
            weekdays=frozenset(_sorted(weekdays - set(nth), 0, 6)),
            nth_weekdays=frozenset((day, one) for day, found in nth.items() for one in found if one != "l"),
            last_weekdays=frozenset(day for day, found in nth.items() if "l" in found),
        )
        self._per_minute = len(self._seconds)
        self._per_hour = len(self._minutes) * self._per_minute
        self._per_day = len(self._hours) * self._per_hour
        self._found: tuple[date, date | None] = (date.max, None)
        if self._day_from(date(2000, 1, 1)) is None:
            raise InvalidArgument("cron", expression, "never fires")

    def next(self, moment: datetime) -> datetime | None:
        """The first time after `moment`; None when there is none."""
        earliest = moment + TICK
        today = earliest.date()
        day = self._day_from(today)
        if day is not None and day == today:
            rank = self._rank(earliest)
            if rank < self._per_day:
                return self._at(day, rank)
            day = self._day_from(today + _DAY)
        return None if day is None else self._at(day, 0)

    def within(self, low: datetime, high: datetime, keep: int) -> tuple[int, list[datetime]]:
        """How many times there are in [low, high), and the last `keep` of them."""
        count = 0
        ranges: deque[tuple[date, int, int]] = deque(maxlen=keep)  # each holds one at least
        day = self._day_from(low.date())
        while day is not None and day <= high.date():
            start = self._rank(low) if day == low.date() else 0
            stop = self._rank(high) if day == high.date() else self._per_day
            if start < stop:
                count += stop - start
                ranges.append((day, start, stop))
            day = self._day_from(day + _DAY)
        newest: deque[datetime] = deque()
        for day, start, stop in reversed(ranges):
            for rank in range(stop - 1, start - 1, -1):
                if len(newest) == keep:
                    break
                newest.appendleft(self._at(day, rank))
        return count, list(newest)

    def _rank(self, moment: datetime) -> int:
        """How many times of a day come before that of `moment`."""
        clock = moment.time()
        hour = bisect_left(self._hours, clock.hour)
        if hour == len(self._hours) or self._hours[hour] != clock.hour:
            return hour * self._per_hour
        minute = bisect_left(self._minutes, clock.minute)
        rank = hour * self._per_hour + minute * self._per_minute
        if minute == len(self._minutes) or self._minutes[minute] != clock.minute:
            return rank
        search = bisect_right if clock.microsecond else bisect_left
        return rank + search(self._seconds, clock.second)

    def _at(self, day: date, rank: int) -> datetime:
        hour, rest = divmod(rank, self._per_hour)
        minute, second = divmod(rest, self._per_minute)
        return datetime.combine(day, time(self._hours[hour], self._minutes[minute], self._seconds[second]))

    def _day_from(self, day: date) -> date | None:
        """The first day that matches, from `day` on. The last answer is kept, because the next question is nearby."""
        asked, answer = self._found
        if asked <= day and answer is not None and day <= answer:
            return answer
        answer = self._days.first(day, min(LAST.date(), day + _NO_29_FEBRUARY_FOR)) if day < LAST.date() else None
        self._found = (day, answer)
        return answer


@lru_cache(maxsize=20_000)
def cron_times(expression: str) -> CronTimes:
    return CronTimes(expression)


def _expanded(expression: str) -> Any:
    from croniter import croniter  # it starts a process when it is imported, and most programs have no schedules

    return croniter.expand(_SAME.sub(r"\1", expression), second_at_beginning=True)


def _is_wild(expression: str) -> bool:
    """Whether the minute or the hour is any: such times come also in the hour that the clocks repeat."""
    if expression.startswith("@"):
        return expression == "@hourly"
    return any(field.startswith("*") for field in expression.split()[-5:-3])


def _sorted(found: Collection[Any], low: int, high: int) -> list[int]:
    return list(range(low, high + 1)) if "*" in found else sorted(found)
