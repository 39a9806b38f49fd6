"""Nobody waits behind somebody's backlog: turns and shares, measured."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from _tasks import new_steps, some, watch

from promin_postgres.steps import Completed, NewTask

__all__ = ["new_steps", "watch"]

SUITE_RUNS = "async"

DEFAULT = ["default"]
SIZES = [10_000, pytest.param(100_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]


@pytest.mark.parametrize("backlog", SIZES, ids=["short", "soak"])
@pytest.mark.parametrize(("limit", "claimers"), [(1, 1), (100, 1), (7, 4), (1, 4)])
def test_fifty_small_workflows_beside_a_big_one(new_steps: Any, backlog: int, limit: int, claimers: int) -> None:
    """All are done within the first 1,100 tasks that are claimed."""
    queues = [new_steps() for _ in range(claimers)]
    for start in range(0, backlog, 10_000):
        queues[0].enqueue_many(NewTask(workflow_id="big", step_name=f"s{n}") for n in range(start, start + 10_000))
    for number in range(50):
        queues[0].enqueue_many(some(10, workflow_id=f"small-{number}"))
    claimed: Counter[str] = Counter()
    outcomes: list[list[Completed]] = [[] for _ in queues]
    turn = 0
    while sum(claimed.values()) < 1_100:
        turn = (turn + 1) % claimers
        tasks = queues[turn].settle_and_claim(outcomes[turn], queues=DEFAULT, limit=limit, fairness="round-robin")
        outcomes[turn] = [Completed(task) for task in tasks]
        claimed.update(task.workflow_id for task in tasks[: 1_100 - sum(claimed.values())])
    assert sum(count for name, count in claimed.items() if name != "big") == 500


@pytest.mark.parametrize(
    ("claims", "limit"),
    [(20_000, 100), pytest.param(20_000, 1, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
    ids=["short", "soak"],
)
def test_shares_of_levels_are_those_of_their_weights(new_steps: Any, claims: int, limit: int) -> None:
    queue = new_steps()
    levels = (0, 1, 10)
    claimed: Counter[int] = Counter()
    ahead: Counter[int] = Counter()
    outcomes: list[Completed] = []
    while sum(claimed.values()) < claims:
        for level in levels:
            if ahead[level] < limit:
                queue.enqueue_many(
                    NewTask(workflow_id=f"{level}", step_name=f"s{n}", priority=level, run=claimed[level] + 1)
                    for n in range(1_000)
                )
                ahead[level] += 1_000
        tasks = queue.settle_and_claim(outcomes, queues=DEFAULT, limit=limit, fairness="weighted")
        assert len(tasks) == limit
        outcomes = [Completed(task) for task in tasks]
        claimed.update(task.priority for task in tasks)
        ahead.subtract(task.priority for task in tasks)
    weights = sum(level + 1 for level in levels)
    for level in levels:
        share, fair = claimed[level] / sum(claimed.values()), (level + 1) / weights
        assert abs(share - fair) <= 0.01 * fair, claimed


def test_the_lowest_level_does_not_starve(new_steps: Any) -> None:
    """One at level 0 behind ten thousand at level 10: drawn one time in twelve, and evenly."""
    queue = new_steps()
    queue.enqueue_many([*some(10_000, workflow_id="big", priority=10), *some(1, priority=0)])
    for _ in range(24):
        (task,) = queue.claim(queues=DEFAULT, fairness="weighted")
        if task.priority == 0:
            return
    pytest.fail("never drawn")
