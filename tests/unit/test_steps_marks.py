"""Where the next look at each level of each queue begins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from promin_postgres.steps._fairness import LEVELS
from promin_postgres.steps._marks import Marks

QUEUES = ["a", "b"]


def tasks(*found: tuple[str, int, int]) -> list[Any]:
    """(queue, priority, id), the highest priority first."""
    return [SimpleNamespace(queue=queue, priority=priority, id=number) for queue, priority, number in found]


def look(marks: Marks, *found: tuple[str, int, int], from_start: bool = False, full: bool = True, **given: Any) -> None:
    marks.looked(tasks(*found), QUEUES, from_start=from_start, is_full=full, by_level=given.get("by_level", True))


def after(marks: Marks) -> dict[tuple[str, int], int]:
    levels = [(queue, level) for level in LEVELS for queue in QUEUES]
    return {level: number for level, number in zip(levels, marks.after(QUEUES), strict=True) if number}


def test_looks_go_on_behind_what_was_given() -> None:
    marks = Marks()
    look(marks, ("a", 5, 10), ("a", 5, 12), ("b", 5, 11), ("a", 3, 2), from_start=True)
    assert after(marks) == {("a", 5): 12, ("b", 5): 11, ("a", 3): 2}
    look(marks, ("a", 5, 20), full=False)
    assert after(marks) == {("a", 5): 20, ("b", 5): 11, ("a", 3): 2}
    look(marks, full=False)
    assert after(marks) == {("a", 5): 20, ("b", 5): 11, ("a", 3): 2}


def test_where_much_is_found_behind_them_looks_go_on_from_there() -> None:
    marks = Marks()
    look(marks, ("a", 7, 99), ("a", 5, 100), ("b", 5, 90), ("b", 3, 80), from_start=True)
    look(marks, ("a", 7, 4), ("a", 5, 10), ("a", 5, 12), from_start=True)
    assert after(marks) == {("a", 7): 99, ("a", 5): 12}, "above, all is seen; beside and below, nothing"
    look(marks, ("a", 5, 30), ("b", 5, 31))
    assert after(marks) == {("a", 7): 99, ("a", 5): 30, ("b", 5): 31}
    look(marks, ("a", 5, 40), ("b", 3, 7))
    assert after(marks) == {("a", 7): 99, ("a", 5): 100, ("b", 5): 90, ("b", 3): 7}
    look(marks, ("b", 3, 8), full=False)
    assert after(marks) == {("a", 7): 99, ("a", 5): 100, ("b", 5): 90, ("b", 3): 80}


def test_what_is_newer_than_the_mark_ends_the_walk_behind_it() -> None:
    marks = Marks()
    look(marks, ("a", 5, 100), from_start=True)
    look(marks, ("a", 5, 7), from_start=True)
    look(marks, ("a", 5, 8), ("a", 5, 101))
    assert after(marks) == {("a", 5): 101}


def test_levels_that_are_drawn_go_on_by_themselves() -> None:
    marks = Marks()
    look(marks, ("a", 7, 99), ("a", 5, 100), ("a", 3, 80), from_start=True, by_level=False)
    look(marks, ("a", 7, 4), ("a", 3, 5), from_start=True, by_level=False)
    assert after(marks) == {("a", 7): 4, ("a", 5): 100, ("a", 3): 5}


def test_a_task_that_waits_again_is_found_by_the_next_look() -> None:
    marks = Marks()
    look(marks, ("a", 5, 100), ("a", 3, 50), from_start=True)
    marks.step_back("a", 3, 20)
    marks.step_back("a", 3, 30)
    marks.step_back("a", 5, 101)
    assert after(marks) == {("a", 5): 100, ("a", 3): 19}
    look(marks, ("a", 5, 102))
    assert after(marks) == {("a", 5): 102, ("a", 3): 19}, "that one did not come so far"
    look(marks, ("a", 3, 20), full=False)
    assert after(marks) == {("a", 5): 102, ("a", 3): 50}
