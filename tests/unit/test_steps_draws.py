"""Weighted levels are drawn by numbers that are spread evenly, wherever they begin and however they are taken."""

from __future__ import annotations

import pytest

from promin_postgres.steps._fairness import Draws


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_any_stretch_is_drawn_as_often_as_it_is_wide(at_once: int) -> None:
    draws = Draws()
    taken = [number for _ in range(7_000 // at_once) for number in draws.take(at_once)]
    assert all(0 <= number < 1 for number in taken)
    for low, high in ((0, 1 / 14), (1 / 14, 3 / 14), (3 / 14, 1)):
        drawn = sum(low <= number < high for number in taken)
        assert abs(drawn - (high - low) * len(taken)) <= 8


def test_claimers_do_not_draw_the_same() -> None:
    assert Draws().take(1) != Draws().take(1)
