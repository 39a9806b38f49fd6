"""Cron expressions on naive local time: croniter knows the days, the times of a day are counted. Pure.

That a day has the same times as every other one is what makes counting the fire times of a month cheap.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache

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
_VALUE = r"(?:\d+|[a-z]{3})"
_PART = rf"(?:\*|\?|{_VALUE}(?:-{_VALUE})?)(?:/\d+)?|l|l[0-7]|{_VALUE}\#[1-5]"
_FIELD = re.compile(rf"(?:{_PART})(?:,(?:{_PART}))*")
_DAY = timedelta(days=1)


class CronTimes:
    """The local times of an expression: five fields, or six with the seconds first.

    A day of the month and a day of the week that are both restricted fire on either, as in every cron.

    Raises:
        InvalidArgument: It is not understood, or never fires.
    """

    def __init__(self, expression: str) -> None:
        fields = _fields(expression)
        seconds, minute, hour = fields[:3]
        self.is_wild = minute.startswith("*") or hour.startswith("*")
        self._days = " ".join(["0", "0", *fields[3:]])
        self._every_day = fields[3:] == ["*", "*", "*"]
        from croniter import CroniterError, croniter  # not before it is needed: importing it starts a process

        try:
            (minutes, hours, *_), _ = croniter.expand(" ".join([minute, hour, *fields[3:]]))
            (several, *_), _ = croniter.expand(f"{seconds} * * * *")
        except (CroniterError, ValueError, KeyError, IndexError, TypeError) as error:
            raise InvalidArgument("cron", expression, f"is not a cron expression: {error}") from None
        self._hours = _numbers(hours, 24)
        self._minutes = _numbers(minutes, 60)
        self._seconds = _numbers(several, 60)
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
        if day >= LAST.date():
            return None
        if self._every_day:
            return day
        asked, answer = self._found
        if asked <= day and (answer is None or day <= answer):
            return answer
        from croniter import CroniterBadDateError, croniter

        try:
            midnight = datetime.combine(day, time())
            answer = croniter(self._days, midnight - TICK, ret_type=datetime).get_next().date()
        except (CroniterBadDateError, ValueError, OverflowError):
            answer = None
        self._found = (day, answer)
        return answer


@lru_cache(maxsize=20_000)
def cron_times(expression: str) -> CronTimes:
    return CronTimes(expression)


def _fields(expression: str) -> list[str]:
    """Six fields, seconds first. Only what croniter reads as it is meant: it takes W for nothing, and R for a die."""
    if not isinstance(expression, str):
        raise InvalidArgument("cron", expression, "must be a string")
    lowered = expression.strip().lower()
    fields = _ALIASES.get(lowered, lowered).split()
    if len(fields) not in (5, 6):
        raise InvalidArgument("cron", expression, "must have five fields, or six with the seconds first")
    for field in fields:
        if not _FIELD.fullmatch(field):
            raise InvalidArgument(
                "cron", expression, f"{field!r} is not understood (random R, hashed H and nearest weekday W are not)"
            )
    return fields if len(fields) == 6 else ["0", *fields]


def _numbers(expanded: Sequence[int | str], size: int) -> list[int]:
    return list(range(size)) if expanded == ["*"] else sorted({int(value) for value in expanded})
