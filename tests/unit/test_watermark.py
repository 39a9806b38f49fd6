"""Where a claim begins to look."""

from __future__ import annotations

from promin_postgres._watermark import Watermark


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_look_is_from_the_start() -> None:
    assert Watermark(clock=Clock()).after() == 0


def test_after_a_look_it_goes_on_behind_what_was_found() -> None:
    clock = Clock()
    watermark = Watermark(clock=clock)
    clock.now += 0.01
    watermark.looked(after=0, last=42, is_full=False, began=100.0)
    assert watermark.after() == 42
    watermark.looked(after=42, last=None, is_full=False, began=clock.now)
    assert watermark.after() == 42
    watermark.looked(after=42, last=50, is_full=False, began=clock.now)
    assert watermark.after() == 50


def test_a_late_lower_id_does_not_move_it_back() -> None:
    clock = Clock()
    watermark = Watermark(clock=clock)
    clock.now += 0.01
    watermark.looked(after=0, last=42, is_full=False, began=100.0)
    watermark.looked(after=0, last=7, is_full=False, began=100.0)
    assert watermark.after() == 42


def test_where_much_is_found_behind_it_goes_on_from_there() -> None:
    clock = Clock()
    watermark = Watermark(clock=clock)
    clock.now += 0.01
    watermark.looked(after=0, last=42, is_full=True, began=100.0)
    watermark.looked(after=0, last=7, is_full=True, began=100.0)
    assert watermark.after() == 7
    watermark.looked(after=7, last=11, is_full=True, began=clock.now)
    assert watermark.after() == 11
    watermark.looked(after=11, last=12, is_full=False, began=clock.now)
    assert watermark.after() == 42


def test_looks_from_the_start_take_a_fiftieth_of_the_time_and_none_is_a_second_away() -> None:
    clock = Clock()
    watermark = Watermark(clock=clock)
    for length, pause in ((0.01, 0.5), (3.0, 1.0)):
        began = clock.now
        clock.now += length
        watermark.looked(after=0, last=1, is_full=False, began=began)
        clock.now += pause - 0.001
        assert watermark.after() == 1
        clock.now += 0.002
        assert watermark.after() == 0


def test_a_row_that_was_given_back_is_looked_for_at_once() -> None:
    clock = Clock()
    watermark = Watermark(clock=clock)
    clock.now += 1
    watermark.looked(after=0, last=42, is_full=False, began=100.0)
    watermark.reset()
    assert watermark.after() == 0
