"""Where the next look at each level of each queue begins. Pure.

A claimer looks behind the last task that it was given (`promin_postgres._watermark`). What has become claimable before
that is found by a look from the start; when it finds as much as it may take there is more of it, and the next looks go
on from there, and not behind the mark: or whatever wakes in great numbers would come by handfuls, one for each look
from the start.
"""

from __future__ import annotations

from collections.abc import Sequence

from promin_postgres.steps._fairness import LEVELS
from promin_postgres.steps._records import StepTask

Level = tuple[str, int]
"""A queue and a priority."""


class Marks:
    """The marks of one claimer. What several threads of it mix up, the next look from the start puts right."""

    def __init__(self) -> None:
        self._last: dict[Level, int] = {}
        """The highest id that was given."""
        self._behind: dict[Level, int] = {}
        """Levels that are being looked through from the start: the last id there."""

    def after(self, queues: Sequence[str]) -> list[int]:
        """For each level, and in it for each queue, look for ids greater than this."""
        behind, last = self._behind, self._last
        if behind:
            last = last | behind
        return [last.get((queue, level), 0) for level in LEVELS for queue in queues]

    def looked(
        self, found: Sequence[StepTask], queues: Sequence[str], *, from_start: bool, is_full: bool, by_level: bool
    ) -> None:
        """What a look gave.

        Args:
            found: By priority, the highest first, and of each the oldest first.
            from_start: All levels were looked at from the start.
            is_full: There may be more.
            by_level: A level was looked at when those above it had given all they had.
        """
        last, behind = self._last, self._behind
        # Most looks meet one level of one queue.
        if len(queues) == 1 and found and found[0].priority == found[-1].priority:
            given = {(found[0].queue, found[0].priority): found[-1].id}
        else:
            given = {(task.queue, task.priority): task.id for task in found}
        if is_full and (from_start or behind):
            self._go_on(given, queues, from_start=from_start, by_level=by_level)
        elif behind:
            for level in list(behind):
                if level[0] in queues:
                    behind.pop(level, None)
        for level, task_id in given.items():
            if task_id > last.get(level, 0):
                last[level] = task_id
                behind.pop(level, None)

    def _go_on(self, given: dict[Level, int], queues: Sequence[str], *, from_start: bool, by_level: bool) -> None:
        behind, last = self._behind, self._last
        lowest = min(priority for _, priority in given)
        if by_level:
            for queue in queues:
                for priority in LEVELS:
                    if priority > lowest:
                        behind.pop((queue, priority), None)
                    elif from_start and (queue, priority) in last:
                        behind[queue, priority] = 0
            given = {level: task_id for level, task_id in given.items() if level[1] == lowest}
        behind.update({level: task_id for level, task_id in given.items() if level in last})

    def step_back(self, queue: str, priority: int, task_id: int) -> None:
        """Have the next look find a task that waits again."""
        level = (queue, priority)
        if task_id <= self._last.get(level, 0):
            self._behind[level] = min(self._behind.get(level, task_id), task_id - 1)
