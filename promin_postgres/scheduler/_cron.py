"""Cron expressions on naive local time. Pure.

Read and counted here, and not by croniter: that takes the weekday `1-1` for every day, and the days `1-7 * 1#1` for
none, and starts a process when it is imported. On a day either all times fire or none: so the fire times of a year are
counted without looking at each.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections import deque
from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from functools import lru_cache

import attrs

from promin_postgres.errors import InvalidArgument
from promin_postgres.scheduler._zones import LAST, TICK

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SPAN = re.compile(r"(?:(?P<all>[*?])|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]+))?")
_NTH = re.compile(r"(?P<day>\w+)#(?P<nth>[1-5])")
_DAY = timedelta(days=1)
_NO_29_FEBRUARY_FOR = timedelta(days=8 * 366)  # and with it, the longest time that any expression pauses


class _Unreadable(Exception):
    """Says what is wrong with an expression."""


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
        fields = _ALIASES.get(lowered, lowered).split()
        if len(fields) not in (5, 6):
            raise InvalidArgument("cron", expression, "must have five fields, or six with the seconds first")
        seconds, minute, hour, *rest = fields if len(fields) == 6 else ["0", *fields]
        self.is_wild = minute.startswith("*") or hour.startswith("*")
        try:
            self._seconds = sorted(_numbers(seconds.split(","), "second", 0, 59))
            self._minutes = sorted(_numbers(minute.split(","), "minute", 0, 59))
            self._hours = sorted(_numbers(hour.split(","), "hour", 0, 23))
            self._days = _days(*rest)
        except _Unreadable as problem:
            raise InvalidArgument("cron", expression, str(problem)) from None
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


def _days(day: str, month: str, weekday: str) -> Days:
    of_month = day.split(",")
    nth, last, plain = set(), set(), []
    for part in weekday.split(","):
        if match := _NTH.fullmatch(part):
            nth.add((_number(match["day"], "day of the week", 0, 7, _WEEKDAYS) % 7, int(match["nth"])))
        elif part.startswith("l"):
            last.add(_number(part[1:], "day of the week", 0, 7, _WEEKDAYS) % 7)
        else:
            plain.append(part)
    return Days(
        months=frozenset(_numbers(month.split(","), "month", 1, 12, _MONTHS)),
        days=frozenset(_numbers([part for part in of_month if part != "l"], "day of the month", 1, 31)),
        last_day="l" in of_month,
        weekdays=frozenset(number % 7 for number in _numbers(plain, "day of the week", 0, 7, _WEEKDAYS)),
        nth_weekdays=frozenset(nth),
        last_weekdays=frozenset(last),
    )


def _numbers(parts: list[str], field: str, low: int, high: int, names: Collection[str] = ()) -> set[int]:
    found: set[int] = set()
    for part in parts:
        match = _SPAN.fullmatch(part)
        if match is None or (match["all"] == "?" and not field.startswith("day")):
            raise _Unreadable(f"{part!r} is no {field}")
        step = 1 if match["step"] is None else int(match["step"])
        if step == 0:
            raise _Unreadable(f"{part!r} has a step of 0")
        first, last = low, high
        if match["all"] is None:
            first = _number(match["first"], field, low, high, names)
            if match["last"] is not None:
                last = _number(match["last"], field, low, high, names)
            elif match["step"] is None:
                last = first
        if last < first and names is _WEEKDAYS:
            last += 7  # sat-sun
        if last < first:
            raise _Unreadable(f"{part!r} ends before it begins")
        found.update(range(first, last + 1, step))
    return found


def _number(text: str, field: str, low: int, high: int, names: Collection[str]) -> int:
    number = (
        list(names).index(text) if text in names and text else int(text) if text.isascii() and text.isdecimal() else -1
    )
    if not low <= number <= high:
        raise _Unreadable(f"{text!r} is no {field}, which is {low} to {high}")
    return number
