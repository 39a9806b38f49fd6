"""How many tasks a worker holds, and when its lease is over."""

import math

from promin_postgres.worker._heart import Life
from promin_postgres.worker._pace import Pace


def at_work(pace: Pace, *, each: float, seconds: float = 1.0, concurrency: int = 8) -> int:
    """Handlers that take `each` seconds, for a while."""
    now = 0.0
    while now < seconds:
        now += each
        pace.finished(concurrency, now)
    return pace.target


def test_slow_handlers_hold_what_they_can_begin_at_once() -> None:
    for each in (0.03, 0.1, 0.9):
        assert at_work(Pace(8, 500, now=0.0), each=each) == 8


def test_fast_handlers_hold_more_and_at_most_two_batches() -> None:
    assert 60 <= at_work(Pace(8, 500, now=0.0), each=0.002) <= 100
    assert at_work(Pace(8, 500, now=0.0), each=0.00001) == 8 + 2 * 500


def test_what_is_held_bridges_two_claims() -> None:
    pace = Pace(8, 500, now=0.0)
    pace.went_round(0.05)
    assert 80 <= at_work(pace, each=0.01) <= 110


def test_handlers_that_become_slow_hold_less_again() -> None:
    pace = Pace(8, 500, now=0.0)
    assert at_work(pace, each=0.001) > 100
    pace.finished(8, 2.0)
    assert pace.target == 8


def test_a_life_that_is_over_is_over_for_ever() -> None:
    life = Life("me", math.inf)
    assert not life.is_over
    life.renew(-1.0)  # it had run out when this came
    assert life.is_over
    life.renew(math.inf)
    assert life.is_over
    other = Life("me", math.inf)
    other.end()
    assert other.is_over
