"""When a schedule fires: cron and recurrence rules in a time zone, and intervals. Pure.

Fire times are aware datetimes in UTC. A zone is a row of segments with one offset each; rules are asked about local
times inside a segment only, and never see a change of the offset.

A rule is either wild (its minute or its hour begins with `*`; of recurrence rules those by the hour or the minute):
then it fires whenever the clock on the wall says so. Or it is fixed, a time of day: one that falls into the gap fires
at the change ("fire") or not at all ("skip"), one that comes twice fires the "first" time, the "last" time or "both".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

import attrs

from promin_postgres.scheduler._cron import cron_times
from promin_postgres.scheduler._records import DstFold, DstGap
from promin_postgres.scheduler._rrule import rule_times
from promin_postgres.scheduler._zones import FIRST, LAST, TICK, Segment, segment_at, zone_of

_FARTHEST = timedelta(days=2)
"""More than any two clocks on walls are apart, a skipped day included."""


class FireTimes(Protocol):
    """The fire times of a schedule."""

    def after(self, moment: datetime) -> datetime | None:
        """The first one after `moment`; None when there is none."""
        ...

    def between(self, after: datetime, until: datetime, keep: int) -> tuple[int, list[datetime]]:
        """How many there are in (after, until], and the last `keep` of them, oldest first."""
        ...


class LocalTimes(Protocol):
    """Times on the wall, without a zone."""

    is_wild: bool

    def next(self, moment: datetime) -> datetime | None: ...

    def within(self, low: datetime, high: datetime, keep: int) -> tuple[int, list[datetime]]: ...


@attrs.frozen
class Interval:
    """Every `length` from the anchor on, and before it."""

    anchor: datetime
    length: timedelta

    def after(self, moment: datetime) -> datetime | None:
        found = self.anchor + ((moment - self.anchor) // self.length + 1) * self.length
        return found if _naive(found) < LAST else None

    def between(self, after: datetime, until: datetime, keep: int) -> tuple[int, list[datetime]]:
        last = (until - self.anchor) // self.length
        count = max(0, last - (after - self.anchor) // self.length)
        return count, [self.anchor + n * self.length for n in range(last - min(keep, count) + 1, last + 1)]


@attrs.frozen
class Zoned:
    """Local times in a zone."""

    local: LocalTimes
    zone: ZoneInfo
    gap: DstGap
    fold: DstFold

    def after(self, moment: datetime) -> datetime | None:
        start = _naive(moment)
        begin = max(start, FIRST)
        while begin < LAST:
            segment = segment_at(self.zone, begin)
            if begin == segment.start > start and self._fires_in_gap(segment):
                return _aware(begin)
            low, high = self._window(segment)
            found = self.local.next(max(start + segment.offset, low - TICK))
            if found is None:
                return None
            if found < high:
                return _aware(found - segment.offset)
            # Nothing comes before `found`, in no gap either, but for what the clocks repeat at the end of this segment.
            begin = segment.end if segment.after < segment.offset else max(segment.end, found - _FARTHEST)
        return None

    def between(self, after: datetime, until: datetime, keep: int) -> tuple[int, list[datetime]]:
        start, stop = _naive(after), _naive(until)
        total = 0
        newest: deque[datetime] = deque(maxlen=keep)
        for begin, segment in self._segments(start):
            if begin > stop:
                break
            first = max(begin, start + TICK)
            if begin == segment.start > start and self._fires_in_gap(segment):
                total += 1
                newest.append(_aware(begin))
                first = begin + TICK
            low, high = self._window(segment)
            low, high = max(low, first + segment.offset), min(high, stop + TICK + segment.offset)
            if low < high:
                count, found = self.local.within(low, high, keep)
                total += count
                newest.extend(_aware(local - segment.offset) for local in found)
        return total, list(newest)

    def _segments(self, moment: datetime) -> Iterator[tuple[datetime, Segment]]:
        """Segments from a moment on, each with where the one before it ended: it may have begun earlier."""
        moment = max(moment, FIRST)
        while moment < LAST:
            segment = segment_at(self.zone, moment)
            yield moment, segment
            moment = segment.end

    def _fires_in_gap(self, segment: Segment) -> bool:
        """Whether a fixed time lies in the gap at the start of a segment."""
        if self.local.is_wild or self.gap == "skip" or segment.offset <= segment.before:
            return False
        found = self.local.next(segment.start + segment.before - TICK)
        return found is not None and found < segment.start + segment.offset

    def _window(self, segment: Segment) -> tuple[datetime, datetime]:
        """The local times [low, high) that count in a segment: of a repeated hour those of the pass that is wanted."""
        low, high = segment.start + segment.offset, segment.end + segment.offset
        if not self.local.is_wild:
            if self.fold == "first":
                low = max(low, segment.start + segment.before) if segment.before > segment.offset else low
            elif self.fold == "last" and segment.after < segment.offset:
                high = segment.end + segment.after
        return low, high


@lru_cache(maxsize=20_000)
def fire_times(
    *,
    cron: str | None,
    interval: timedelta | None,
    rrule: str | None,
    timezone: str,
    dst_gap: DstGap,
    dst_fold: DstFold,
    anchor: datetime,
) -> FireTimes:
    """The fire times of a schedule with one of the three triggers. Intervals and rules begin at `anchor`.

    Raises:
        InvalidArgument: The trigger or the zone is not understood, or never fires.
        ConfigurationError: A rule needs python-dateutil, which is not installed.
    """
    zone = zone_of(timezone)
    if interval is not None:
        return Interval(anchor, interval)
    local: LocalTimes
    if cron is not None:
        local = cron_times(cron)
    else:
        assert rrule is not None
        local = rule_times(rrule, anchor.astimezone(zone).replace(tzinfo=None))
    return Zoned(local, zone, dst_gap, dst_fold)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
