"""Fire times across every change of the clocks, against looking at every minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from zoneinfo import ZoneInfo, available_timezones

import pytest
from _cron_oracle import Minutes, is_wild, transitions
from _random_cron import FIVE_FIELDS
from croniter import croniter
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from promin_postgres.errors import InvalidArgument
from promin_postgres.scheduler._firing import fire_times

EXPRESSIONS = [
    "* * * * *", "*/5 * * * *", "*/15 * * * *", "0 * * * *", "30 * * * *", "*/7 1-4 * * *", "15 */2 * * *",
    "0 */3 * * *", "*/20 2 * * *", "0 0 * * *", "0 1 * * *", "30 1 * * *", "0 2 * * *", "30 2 * * *", "59 1,2 * * *",
    "0 3 * * *", "15,45 1-3 * * *", "0-59/10 0-5 * * *", "30 23 * * *", "0 12 * * *", "30 2 * * sun", "0 2 * * 1-5",
    "45 0 L * *", "30 1 * * sun#1", "0 0 1 * *", "15 2 29,30,31 mar,oct *", "5/25 0,4 1-15 * 0", "1 0-23 * * *",
]  # fmt: skip
POLICIES = list(product(("fire", "skip"), ("first", "last", "both")))
AROUND = timedelta(hours=9)

# Gaps and folds of an hour, of half an hour (Lord Howe), of two (Troll), at midnight (Cairo, Santiago, Asuncion), a
# gap that stays (Nuuk, Almaty), negative summer time (Dublin), four changes a year (El Aaiun), and none at all.
SAMPLE = [
    "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Cairo", "America/Santiago",
    "America/Nuuk", "Asia/Almaty", "Europe/Dublin", "Africa/El_Aaiun", "Asia/Kathmandu", "UTC",
]  # fmt: skip


def times(expression, zone, gap="fire", fold="first"):
    return fire_times(
        cron=expression, interval=None, rrule=None, timezone=zone, dst_gap=gap, dst_fold=fold,
        anchor=datetime(2024, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def chain(of, start, end):
    """The fire times in [start, end), each from the one before it."""
    found = []
    moment = of.after(start - timedelta(microseconds=1))
    while moment is not None and moment < end:
        assert not found or moment > found[-1]
        found.append(moment)
        moment = of.after(moment)
    return found


def check(zone, first_year, last_year):
    """Compare all around every change of a zone; how many cases that was."""
    cases = 0
    info = ZoneInfo(zone)
    for change in transitions(info, first_year, last_year) or [datetime(first_year, 3, 31, 1, tzinfo=UTC)]:
        start, end = change - AROUND, change + AROUND
        minutes = Minutes(info, start, end)
        for expression in EXPRESSIONS:
            for gap, fold in POLICIES[:1] if is_wild(expression) else POLICIES:
                expected = minutes.fires(expression, gap, fold)
                of = times(expression, zone, gap, fold)
                assert chain(of, start, end) == expected, (zone, change, expression, gap, fold)
                bounds = (start - timedelta(microseconds=1), end - timedelta(microseconds=1))
                assert of.between(*bounds, 3) == (len(expected), expected[-3:]), (zone, change, expression, gap, fold)
                cases += 1
    return cases


@pytest.mark.parametrize("zone", SAMPLE)
def test_around_every_change(zone):
    assert check(zone, 2024, 2025) >= len(EXPRESSIONS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_around_every_change_of_every_zone():
    cases = sum(check(zone, 2024, 2030) for zone in sorted(available_timezones()))
    print(f"{len(available_timezones())} zones, {cases} cases")
    assert cases > 100_000


@cache
def changes(zone):
    return transitions(ZoneInfo(zone), 2024, 2030)


@cache
def minutes_around(zone, change):
    return Minutes(ZoneInfo(zone), change - AROUND, change + AROUND)


def random_expression(data, expression, policy):
    zone = data.draw(st.sampled_from(SAMPLE[:-2]))
    change = data.draw(st.sampled_from(changes(zone)))
    try:
        of = times(expression, zone, *policy)
    except InvalidArgument as error:
        assume(error.problem != "never fires")
        raise
    expected = minutes_around(zone, change).fires(expression, *policy)
    assert chain(of, change - AROUND, change + AROUND) == expected


@settings(max_examples=60, deadline=None)
@given(st.data(), FIVE_FIELDS, st.sampled_from(POLICIES))
def test_random_expressions(data, expression, policy):
    random_expression(data, expression, policy)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=5_000, deadline=None)
@given(st.data(), FIVE_FIELDS, st.sampled_from(POLICIES))
def test_random_expressions_at_length(data, expression, policy):
    random_expression(data, expression, policy)


def test_croniter_alone_fails_where_we_do_not():
    """The reason why croniter is never shown a time zone."""
    failures = set()
    for zone in ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe"):
        info = ZoneInfo(zone)
        for change in transitions(info, 2024, 2024):
            start, end = change - AROUND, change + AROUND
            minutes = Minutes(info, start, end)
            for expression in EXPRESSIONS:
                expected = minutes.fires(expression, "fire", "first")
                found = []
                alone = croniter(expression, start.astimezone(info) - timedelta(seconds=1), ret_type=datetime)
                while (moment := alone.get_next().astimezone(UTC)) < end and len(found) <= len(expected):
                    found.append(moment)
                if found != expected:
                    failures.add((zone, change, expression))
                assert chain(times(expression, zone), start, end) == expected
    assert failures
