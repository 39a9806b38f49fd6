"""Fire times: what every trigger promises, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from _random_cron import EXPRESSIONS
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from promin_postgres.errors import InvalidArgument
from promin_postgres.scheduler._firing import fire_times

ZONES = sorted(available_timezones())
INSTANT = timedelta(microseconds=1)


def times(cron=None, *, every=None, rrule=None, zone="UTC", gap="fire", fold="first", anchor=None):
    return fire_times(
        cron=cron, interval=every, rrule=rrule, timezone=zone, dst_gap=gap, dst_fold=fold,
        anchor=anchor or datetime(2024, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def first(of, count, after):
    found = []
    while len(found) < count and (after := of.after(after)) is not None:
        found.append(after)
    return found


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def local(moments, zone):
    return [moment.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M:%S") for moment in moments]


MOMENTS = st.integers(-10, 90).flatmap(
    lambda year: st.timedeltas(timedelta(0), timedelta(days=365)).map(lambda into: utc(1970 + year, 1, 1) + into)
)
RULES = st.sampled_from(
    [
        "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;BYHOUR=1", "FREQ=MONTHLY;BYMONTHDAY=-1",
        "FREQ=HOURLY;INTERVAL=5", "FREQ=MINUTELY;INTERVAL=17", "FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", "FREQ=DAILY;COUNT=9",
    ]
)  # fmt: skip


@st.composite
def any_times(draw):
    """Cron, mostly; of any zone."""
    options = {
        "zone": draw(st.sampled_from(ZONES)),
        "gap": draw(st.sampled_from(["fire", "skip"])),
        "fold": draw(st.sampled_from(["first", "last", "both"])),
    }
    trigger = draw(st.one_of(EXPRESSIONS, EXPRESSIONS, RULES, st.timedeltas(INSTANT * 1000, timedelta(days=400))))
    if isinstance(trigger, timedelta):
        return times(every=trigger, **options)
    if trigger.startswith("FREQ"):
        return times(rrule=trigger, **options)
    try:
        return times(trigger, **options)
    except InvalidArgument as error:
        assume(error.problem != "never fires")  # 31 February
        raise


def strictly_increasing_and_counted(of, start):
    moments = first(of, 40, start)
    assert all(a < b for a, b in pairwise([start, *moments]))
    if not moments:
        return
    for before, after in list(pairwise([start, *moments]))[::8]:
        assert of.after(before + (after - before) / 2) == after or after - before == INSTANT
        assert of.after(after - INSTANT) == after
    assert of.between(start, moments[-1], 5) == (len(moments), moments[-5:])
    assert of.between(start, moments[-1] - INSTANT, 0) == (len(moments) - 1, [])


@settings(max_examples=100, deadline=None)
@given(any_times(), MOMENTS)
def test_strictly_increasing_and_counted(of, start):
    strictly_increasing_and_counted(of, start)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=3_000, deadline=None)
@given(any_times(), MOMENTS)
def test_strictly_increasing_and_counted_at_length(of, start):
    strictly_increasing_and_counted(of, start)


def test_seconds_come_first():
    assert first(times("*/20 30 2 * * *"), 4, utc(2026, 1, 1)) == [
        utc(2026, 1, 1, 2, 30), utc(2026, 1, 1, 2, 30, 20), utc(2026, 1, 1, 2, 30, 40), utc(2026, 1, 2, 2, 30),
    ]  # fmt: skip


def test_every_second_of_an_hour_that_is_skipped_fires_once():
    of = times("* 30-59 2 * * *", zone="America/New_York")
    found = first(of, 2, utc(2026, 3, 8))
    assert local(found, "America/New_York") == ["03-08 03:00:00", "03-09 02:30:00"]


@pytest.mark.parametrize(
    ("gap", "expected"),
    [("fire", ["03-28 02:30:00", "03-29 03:00:00"]), ("skip", ["03-28 02:30:00", "03-30 02:30:00"])],
)
def test_a_time_that_the_clocks_skip(gap, expected):
    assert local(first(times("30 2 * * *", zone="Europe/Kyiv", gap=gap), 0, utc(2026, 3, 28)), "Europe/Kyiv") == []
    assert local(first(times("30 2 * * *", zone="Europe/Berlin", gap=gap), 2, utc(2026, 3, 28)), "Europe/Berlin") == (
        expected
    )


@pytest.mark.parametrize(
    ("fold", "expected"),
    [
        ("first", [utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)]),
        ("last", [utc(2026, 10, 25, 1, 30), utc(2026, 10, 26, 1, 30)]),
        ("both", [utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 30)]),
    ],
)
def test_a_time_that_comes_twice(fold, expected):
    assert first(times("30 2 * * *", zone="Europe/Berlin", fold=fold), 2, utc(2026, 10, 24, 12)) == expected


def test_a_time_that_comes_twice_on_one_day_of_the_year():
    of = times("15 2 31 oct *", zone="Europe/Madrid", fold="both")
    assert first(of, 2, utc(2027, 1, 1)) == [utc(2027, 10, 31, 0, 15), utc(2027, 10, 31, 1, 15)]


def test_a_day_that_never_was():
    """Samoa skipped 30 December 2011: what was to happen on it happens as the next day begins."""
    of = times("0 9 * * *", zone="Pacific/Apia")
    assert local(first(of, 3, utc(2011, 12, 29)), "Pacific/Apia") == [
        "12-29 09:00:00",
        "12-31 00:00:00",
        "12-31 09:00:00",
    ]
    assert of.between(utc(2011, 12, 29), utc(2012, 1, 1), 9)[0] == 4


def test_an_interval_counts_in_utc_from_its_anchor():
    anchor = utc(2026, 3, 7, 12)
    of = times(every=timedelta(hours=24), zone="America/New_York", anchor=anchor)
    assert first(of, 3, anchor) == [utc(2026, 3, day, 12) for day in (8, 9, 10)]
    assert first(of, 1, utc(2026, 3, 1)) == [utc(2026, 3, 1, 12)], "before the anchor too, for a backfill"


def test_a_rule_begins_at_its_anchor_and_ends_by_its_count():
    anchor = datetime(2026, 3, 7, 9, tzinfo=ZoneInfo("America/New_York"))
    of = times(rrule="RRULE:FREQ=DAILY;COUNT=3", zone="America/New_York", anchor=anchor)
    assert first(of, 9, utc(2020, 1, 1)) == [utc(2026, 3, 7, 14), utc(2026, 3, 8, 13), utc(2026, 3, 9, 13)]


def test_a_rule_by_the_hour_fires_every_hour_that_there_is():
    of = times(rrule="FREQ=HOURLY", zone="America/New_York", anchor=utc(2026, 1, 1))
    assert first(of, 6, utc(2026, 11, 1, 3)) == [utc(2026, 11, 1, hour) for hour in range(4, 10)]


@pytest.mark.parametrize(
    "rule", ["FREQ=WEEKLY;INTERVAL=3;BYDAY=TU,SU", "FREQ=MINUTELY;INTERVAL=7", "FREQ=HOURLY;INTERVAL=5", "FREQ=DAILY"]
)
def test_a_rule_that_is_begun_anew_goes_on_as_it_was(rule):
    of = times(rrule=rule, anchor=utc(2026, 1, 1, 0, 3))
    walked = first(of, 2_000, utc(2026, 1, 1))
    assert all(of.after(a) == b for a, b in pairwise(walked))
    assert of.between(walked[99], walked[-1], 2) == (1_900, walked[-2:])
    every = list(
        of.local._rule.xafter(utc(2026, 1, 1).replace(tzinfo=None), count=2_000)
    )  # from its start, without any zone
    assert [moment.replace(tzinfo=None) for moment in walked] == every


def test_a_year_of_seconds_is_counted_without_looking_at_each():
    of = times("* * * * * *", zone="Europe/Berlin")
    count, newest = of.between(utc(2024, 1, 1), utc(2025, 1, 1), 3)
    assert count == 366 * 86_400
    assert newest == [utc(2024, 12, 31, 23, 59, 58), utc(2024, 12, 31, 23, 59, 59), utc(2025, 1, 1)]


@pytest.mark.parametrize(
    ("alias", "expression"),
    [("@hourly", "0 * * * *"), ("@daily", "0 0 * * *"), ("@weekly", "0 0 * * 0"), ("@MONTHLY", "0 0 1 * *")],
)
def test_aliases(alias, expression):
    assert first(times(alias), 5, utc(2026, 1, 1)) == first(times(expression), 5, utc(2026, 1, 1))


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 0 L * *", ["02-28", "03-31", "04-30"]),
        ("0 0 * * L5", ["02-27", "03-27", "04-24"]),
        ("0 0 * * fri#5", ["05-29", "07-31", "10-30"]),
        ("0 0 * * 1-1", ["02-16", "02-23", "03-02"]),
        ("0 0 * * sat-sun", ["02-14", "02-15", "02-21"]),
        ("0 0 1-7 * mon#1", ["03-01", "03-02", "03-03"]),
        ("0 0 ? jun-jul 7", ["06-07", "06-14", "06-21"]),
        ("0 0 13 * 5", ["02-13", "02-20", "02-27"]),
        ("0 0 29 2 *", ["02-29", "02-29", "02-29"]),
        ("0 0 20/4,L 2 *", ["02-20", "02-24", "02-28"]),
    ],
)
def test_days(expression, days):
    assert [moment.strftime("%m-%d") for moment in first(times(expression), 3, utc(2026, 2, 10))] == days


@pytest.mark.parametrize("moment", [utc(1, 1, 1), utc(9999, 12, 31)])
def test_at_the_ends_of_time(moment):
    for of in (times("0 0 1 1 *", zone="Europe/Berlin"), times(rrule="FREQ=YEARLY")):
        assert of.after(moment) is None or of.after(moment) > moment
