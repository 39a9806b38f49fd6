"""Positions of change streams as texts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promin_postgres.changes._cursor import Beginning, Cursor, Offset, Polled, is_snapshot, parse
from promin_postgres.errors import CursorInvalid, InvalidArgument

NUMBERS = st.integers(0, (1 << 63) - 1)


@st.composite
def snapshots(draw):
    inside = sorted(draw(st.sets(st.integers(1, 10_000), max_size=5)))
    low = inside[0] if inside else draw(st.integers(1, 10_000))
    high = draw(st.integers((inside[-1] + 1) if inside else low, 20_000))
    return f"{low}:{high}:{','.join(map(str, inside))}"


@given(NUMBERS, snapshots(), snapshots(), NUMBERS, NUMBERS)
def test_a_cursor_comes_back(system, low, high, seq, item):
    cursor = Cursor(str(system), low, high, seq, item)
    assert parse(cursor.text) == cursor


@pytest.mark.parametrize(
    "place", [Beginning("7"), Polled("7", datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), -9)], ids=["start", "poll"]
)
def test_other_places_come_back(place):
    assert parse(place.text) == place
    assert Offset.cursor(place.text).place == place


def test_what_a_cursor_knows():
    cursor = Cursor("7", "10:20:10,14", "15:30:17")
    assert (cursor.seen_below, cursor.ahead, cursor.is_fresh) == (10, 30, False)
    assert Cursor("7", "10:20:", "10:20:").is_fresh


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log",
        "log/1/1:1:/1:1:/0",
        "log/1/1:1:/1:1:/0/0/0",
        "log/x/1:1:/1:1:/0/0",
        "log/1/1:1/1:1:/0/0",
        "log/1/2:1:/1:1:/0/0",
        "log/1/1:1:/1:1:/-1/0",
        "log/1/1:1:/1:1:/9223372036854775808/0",
        "log/1/1:1:/1:1:/0/٣",
        "start/",
        "start/1/2",
        "poll/1/yesterday/1",
        "poll/1/2026-01-01T00:00:00/1",
        "poll/1/2026-01-01T00:00:00+00:00/x",
        "17",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(CursorInvalid) as error:
        Offset.cursor(text)
    assert error.value.cursor == text


@pytest.mark.parametrize("text", ["0:1:", "5:5:5", "5:6:4", "5:9:7,6", "5:9:6,6", "5:9:9", "5:9:6,", " 5:9:", "5:9:6 "])
def test_snapshots_that_postgresql_would_not_read(text):
    assert not is_snapshot(text)


def test_an_offset_is_a_text():
    with pytest.raises(InvalidArgument):
        Offset.cursor(17)
