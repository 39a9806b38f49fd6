"""Which tasks a claim asks for, and in which order it hands them out. Pure."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from operator import attrgetter

from promin_postgres.steps._records import ID, StepTask

LOWEST, HIGHEST = 0, 10
LEVELS = tuple(range(HIGHEST, LOWEST - 1, -1))
"""All priorities, the highest first."""

_PRIORITY = attrgetter("priority")
_DICE = random.Random()  # noqa: S311 - spreads work, guards nothing; the program's own random numbers stay as they are


class Draws:
    """Numbers from [0, 1), each as likely as any, and any run of them more evenly spread than by chance.

    They go round a circle in steps of the golden section: after n numbers the share of any stretch is right to within
    a few n-ths, where dice would be off by 1 / sqrt(n).
    """

    _STEP = (5**0.5 - 1) / 2

    def __init__(self) -> None:
        self._next = _DICE.random()

    def take(self, count: int) -> list[float]:
        drawn = [(self._next + number * self._STEP) % 1.0 for number in range(count)]
        self._next = (self._next + count * self._STEP) % 1.0
        return drawn


def somewhere() -> int:
    """A place among the workflows to begin at, so that claimers do not all begin with the same."""
    return _DICE.randrange(-(2**63), 2**63)


def by_priority(tasks: Iterable[StepTask]) -> list[StepTask]:
    """The highest priority first, then the oldest. (An UPDATE promises no order of the rows that it returns.)"""
    by_age = sorted(tasks, key=ID)
    return sorted(by_age, key=_PRIORITY, reverse=True)


def in_turn(tasks: Iterable[StepTask]) -> list[StepTask]:
    """A0 B0 C0 A1 B1 C1: the workflow whose first task is the oldest begins."""
    lanes: dict[int, list[StepTask]] = {}
    for task in by_priority(tasks):
        lanes.setdefault(task.lane, []).append(task)
    columns = sorted(lanes.values(), key=lambda lane: min(task.id for task in lane))
    return [task for task in chain.from_iterable(zip_longest(*columns)) if task is not None]


def next_turn(tasks: Sequence[StepTask], turn: int) -> int:
    """Where the next round begins, going round from `turn`: behind the last workflow that gave as many as any."""
    if not tasks:
        return turn
    given = Counter(task.lane for task in tasks)
    most = max(given.values())
    return max((lane for lane in given if given[lane] == most), key=lambda lane: (lane - turn - 1) % 2**64)
