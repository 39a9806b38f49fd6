"""Fire times by brute force: every minute is looked at, and nothing is shared with promin_postgres or croniter."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
MONTHS = ["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def matcher(expression: str) -> Callable[[datetime], bool]:
    """Whether a naive local minute is one of five fields."""
    minute, hour, day, month, weekday = expression.lower().split()
    minutes, hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
    months = numbers(month, 1, 12, MONTHS)
    whole_month = day != "l" and len(numbers(day, 1, 31)) == 31
    whole_week = "#" not in weekday and len({n % 7 for n in numbers(weekday, 0, 7, DAYS)}) == 7
    either = not whole_month and not whole_week

    def matches_day(moment: datetime) -> bool:
        last = calendar.monthrange(moment.year, moment.month)[1]
        by_day = moment.day == last if day == "l" else moment.day in numbers(day, 1, 31)
        if "#" in weekday:
            name, nth = weekday.split("#")
            of_week = numbers(name, 0, 7, DAYS)
            by_weekday = moment.isoweekday() % 7 in of_week and (moment.day - 1) // 7 + 1 == int(nth)
        else:
            by_weekday = moment.isoweekday() % 7 in {n % 7 for n in numbers(weekday, 0, 7, DAYS)}
        return (by_day or by_weekday) if either else (by_day and by_weekday)

    def matches(moment: datetime) -> bool:
        return (
            moment.minute in minutes and moment.hour in hours and moment.month in months and matches_day(moment)
        )  # the cheapest first

    return matches


def numbers(field: str, low: int, high: int, names: list[str] | None = None) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        else:
            begin, dash, end = span.partition("-")
            first = number(begin, names)
            last = number(end, names) if dash else (high if step else first)
        found.update(range(first, last + 1, int(step or 1)))
    return found


def number(text: str, names: list[str] | None) -> int:
    return names.index(text) if names and text in names else int(text)


def is_wild(expression: str) -> bool:
    minute, hour, *_ = expression.split()
    return minute.startswith("*") or hour.startswith("*")


class Minutes:
    """The minutes [start, end) of a zone, each with what the wall clock shows."""

    def __init__(self, zone: ZoneInfo, start: datetime, end: datetime) -> None:
        self.zone = zone
        self.rows = list(self._rows(zone, start, end))

    @staticmethod
    def _rows(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, bool, bool, list]]:
        """The minute, the wall clock, whether it shows that twice, whether this is the second time, what it skipped."""
        previous = (start - MINUTE).astimezone(zone).replace(tzinfo=None)
        moment = start
        while moment < end:
            aware = moment.astimezone(zone)
            local = aware.replace(tzinfo=None, fold=0)
            earlier, later = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
            skipped = []
            gap = previous + MINUTE
            while gap < local:
                skipped.append(gap)
                gap += MINUTE
            yield moment, local, earlier > later, aware.fold == 1, skipped
            previous, moment = local, moment + MINUTE

    def fires(self, expression: str, gap: str, fold: str) -> list[datetime]:
        matches, wild = matcher(expression), is_wild(expression)
        found = []
        for moment, local, twice, second, skipped in self.rows:
            wanted = wild or not twice or fold == "both" or (fold == "last") == second
            if (wanted and matches(local)) or (not wild and gap == "fire" and any(map(matches, skipped))):
                found.append(moment)
        return found


def transitions(zone: ZoneInfo, first_year: int, last_year: int) -> list[datetime]:
    """The hours after which the offset is another one."""
    found = []
    moment, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    offset = moment.astimezone(zone).utcoffset()
    while moment < end:
        later = moment + timedelta(hours=6)
        if (now := later.astimezone(zone).utcoffset()) != offset:
            found.append(moment)
            offset = now
        moment = later
    return found
