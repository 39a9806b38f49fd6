"""Pauses grow, stay under their cap and spread; odd settings are refused. Durations and moments likewise."""

import math
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promin_postgres._retry import NO_RETRY, RECONNECT, Retry
from promin_postgres._time import check_moment, check_seconds
from promin_postgres.errors import InvalidArgument


def test_pauses_grow_by_the_factor_up_to_the_cap() -> None:
    retry = Retry(base=1, factor=3, cap=20, jitter="none")
    assert [retry.pause(attempt) for attempt in range(1, 6)] == [1, 3, 9, 20, 20]


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_jitter_stays_between_nothing_and_the_computed_pause(attempt: int, draw: float) -> None:
    plain = Retry(base=0.5, cap=60, jitter="none").pause(attempt)
    assert 0 <= Retry(base=0.5, cap=60).pause(attempt, draw=draw) <= plain <= 60


def test_jitter_throws_dice() -> None:
    assert len({Retry().pause(1) for _ in range(20)}) > 1


def test_attempts_are_counted_with_the_first() -> None:
    retry = Retry(max_attempts=3)
    assert [retry.allows_another(attempt) for attempt in (1, 2, 3, 4)] == [True, True, False, False]
    assert not NO_RETRY.allows_another(1)


def test_durations_may_be_timedeltas() -> None:
    assert Retry(base=timedelta(milliseconds=500), cap=timedelta(minutes=1)) == Retry(base=0.5, cap=60)


def test_reconnecting_starts_soon_and_never_gives_up_by_count() -> None:
    longest = [RECONNECT.pause(attempt, draw=1.0) for attempt in range(1, 12)]
    assert longest[0] <= 0.1
    assert all(earlier <= later for earlier, later in pairwise(longest))
    assert longest[-1] == 2.0
    assert RECONNECT.allows_another(999_999)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("max_attempts", 0),
        ("max_attempts", True),
        ("max_attempts", 2.0),
        ("base", -1),
        ("base", math.nan),
        ("base", "1"),
        ("cap", math.inf),
        ("cap", timedelta(seconds=-1)),
        ("factor", 0.5),
        ("factor", math.nan),
        ("factor", math.inf),
        ("factor", "2"),
        ("jitter", "some"),
    ],
)
def test_odd_settings_are_refused_by_name(argument: str, value: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Retry(**{argument: value})  # type: ignore[arg-type]
    assert caught.value.argument == argument


@pytest.mark.parametrize(("value", "seconds"), [(0, 0.0), (1.5, 1.5), (timedelta(minutes=2), 120.0)])
def test_durations_become_seconds(value, seconds: float) -> None:
    assert check_seconds("wait", value) == seconds


@pytest.mark.parametrize(
    "value",
    [-0.1, math.nan, math.inf, True, "1", None, timedelta(seconds=-1), 10**400, 1e10],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_duration_is_refused(value) -> None:
    with pytest.raises(InvalidArgument, match="wait="):
        check_seconds("wait", value)


@pytest.mark.parametrize("value", [0, 0.0, timedelta(0)])
def test_nothing_is_no_positive_duration(value) -> None:
    with pytest.raises(InvalidArgument, match="must be positive"):
        check_seconds("wait", value, positive=True)


class Undecided(tzinfo):
    def utcoffset(self, moment: datetime | None) -> None:
        return None


def test_a_moment_must_say_whose_clock_it_means() -> None:
    aware = datetime(2030, 1, 1, tzinfo=UTC)
    assert check_moment("at", aware) is aware
    naive = aware.replace(tzinfo=None)
    for odd in (naive, datetime(2030, 1, 1, tzinfo=Undecided()), "2030-01-01", aware.date()):
        with pytest.raises(InvalidArgument, match="at="):
            check_moment("at", odd)  # type: ignore[arg-type]
