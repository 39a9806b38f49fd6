"""Recurrence rules (RFC 5545) on naive local time, by python-dateutil: the extra `rrule`. Pure."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from promin_postgres.errors import ConfigurationError, InvalidArgument
from promin_postgres.scheduler._zones import LAST, TICK

_LARGEST_COUNT = 100_000
_IN_EVERY_MONTH = 28


class RuleTimes:
    """The local times of a rule, from `start` on: `FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=9;BYMINUTE=0`.

    dateutil walks a rule from its start each time it is asked. A rule that is not counted out is therefore begun anew
    near the moment that is asked about, a whole number of periods after its start.

    Raises:
        InvalidArgument: It is not understood, or never fires.
        ConfigurationError: python-dateutil is not installed.
    """

    def __init__(self, text: str, start: datetime) -> None:
        try:
            from dateutil import rrule as library
        except ImportError:
            raise ConfigurationError("rrule needs python-dateutil: install promin-postgres[rrule]") from None
        body = text.strip().removeprefix("RRULE:")
        if not body or "DTSTART" in body.upper() or "\n" in body:
            raise InvalidArgument("rrule", text, "must be one rule, as in FREQ=DAILY;BYHOUR=9 (it begins at start_at)")
        self._start = start.replace(microsecond=0)
        try:
            self._rule: Any = library.rrulestr(body, dtstart=self._start)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidArgument("rrule", text, f"is not a recurrence rule: {error}") from None
        frequency, interval, count = self._rule._freq, self._rule._interval, self._rule._count
        if frequency == library.SECONDLY:
            raise InvalidArgument("rrule", text, "must not be SECONDLY: use interval or cron")
        if interval < 1:
            raise InvalidArgument("rrule", text, "must have an INTERVAL of at least 1")
        if count is not None and count > _LARGEST_COUNT:
            raise InvalidArgument("rrule", text, f"must have a COUNT of at most {_LARGEST_COUNT}: use max_fires")
        self.is_wild = frequency in (library.HOURLY, library.MINUTELY)
        lengths = {
            library.WEEKLY: timedelta(weeks=interval),
            library.DAILY: timedelta(days=interval),
            library.HOURLY: timedelta(hours=interval),
            library.MINUTELY: timedelta(minutes=interval),
        }
        months = {library.YEARLY: 12 * interval, library.MONTHLY: interval}
        self._period = lengths.get(frequency) if count is None else None
        # Not every month has a 29th, and a rule that begins on one speaks of it.
        self._months = months.get(frequency) if count is None and self._start.day <= _IN_EVERY_MONTH else None
        if self.next(self._start - TICK) is None:
            raise InvalidArgument("rrule", text, "never fires")

    def next(self, moment: datetime) -> datetime | None:
        """The first time after `moment`; None when there is none."""
        found: datetime | None = self._near(moment).after(moment)
        return None if found is None or found >= LAST else found

    def within(self, low: datetime, high: datetime, keep: int) -> tuple[int, list[datetime]]:
        """How many times there are in [low, high), and the last `keep` of them."""
        count = 0
        newest: deque[datetime] = deque(maxlen=keep)
        for found in self._near(low).xafter(low, inc=True):
            if found >= high:
                break
            count += 1
            newest.append(found)
        return count, list(newest)

    def _near(self, moment: datetime) -> Any:
        start = self._start
        if self._period is not None and moment > start + 2 * self._period:
            start += ((moment - start) // self._period - 1) * self._period
        elif self._months is not None and moment > start:
            passed = 12 * (moment.year - start.year) + moment.month - start.month
            year, month = divmod(start.month - 1 + max(0, passed // self._months - 1) * self._months, 12)
            start = start.replace(year=start.year + year, month=month + 1)
        return self._rule if start == self._start else self._rule.replace(dtstart=start)


@lru_cache(maxsize=20_000)
def rule_times(text: str, start: datetime) -> RuleTimes:
    return RuleTimes(text, start)
