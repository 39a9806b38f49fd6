"""The offset changes of time zones. Pure.

zoneinfo tells the offset at a moment, not when it changes: that is searched for, and remembered by zone and year.
Moments are naive datetimes in UTC here, because they are compared and added to by the thousand.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import attrs

from promin_postgres.errors import InvalidArgument

TICK = timedelta(microseconds=1)
FIRST, LAST = datetime(3, 1, 1), datetime(9997, 1, 1)  # noqa: DTZ001 - naive by design
_STEP = timedelta(hours=12)
_SECOND = timedelta(seconds=1)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises:
        InvalidArgument: There is none, or the machine has no time zone database.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError, AttributeError):
        raise InvalidArgument(
            "timezone", name, "is not a known IANA time zone (without a database of the system, install tzdata)"
        ) from None


@attrs.frozen
class Segment:
    """A stretch of time, [start, end), with one offset; and the offsets before and after it."""

    start: datetime
    end: datetime
    before: timedelta
    offset: timedelta
    after: timedelta


def segment_at(zone: ZoneInfo, moment: datetime) -> Segment:
    """The segment that holds `moment`. It may be cut short by years, at a place where no offset changes."""
    start, end, changes = _around(zone, moment.year)
    position = bisect_right(changes, moment)
    offset = _offset(zone, moment)
    return Segment(
        changes[position - 1] if position else start,
        changes[position] if position < len(changes) else end,
        _offset(zone, changes[position - 1] - TICK) if position else offset,
        offset,
        _offset(zone, changes[position]) if position < len(changes) else offset,
    )


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    offset = moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return offset


@lru_cache(maxsize=4096)
def _around(zone: ZoneInfo, year: int) -> tuple[datetime, datetime, list[datetime]]:
    """The year with its neighbours: where they begin and end, and the changes within."""
    years = [y for y in (year - 1, year, year + 1) if FIRST.year <= y < LAST.year]
    changes = [change for y in years for change in _changes(zone, y)]
    return _new_year(year - 1), _new_year(year + 2), changes


@lru_cache(maxsize=4096)
def _changes(zone: ZoneInfo, year: int) -> list[datetime]:
    found = []
    moment, end = _new_year(year), _new_year(year + 1)
    offset = _offset(zone, moment - TICK)
    while moment < end:
        if (now := _offset(zone, moment)) != offset:
            found.append(_search(zone, max(moment - _STEP, _new_year(year) - _SECOND), moment, offset))
            offset = now
        moment += _STEP
    return found


def _search(zone: ZoneInfo, low: datetime, high: datetime, offset: timedelta) -> datetime:
    """The first second in (low, high] at which the offset is another one."""
    while high - low > _SECOND:
        middle = low + (high - low) // (2 * _SECOND) * _SECOND
        if _offset(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high


def _new_year(year: int) -> datetime:
    return datetime(min(max(year, 1), 9999), 1, 1)  # noqa: DTZ001
