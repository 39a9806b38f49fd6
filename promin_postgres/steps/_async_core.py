"""AsyncStepCore: the statements of the step queue as one claimer sends them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from promin_postgres._statement import Statement
from promin_postgres._watermark import Start
from promin_postgres.database import AsyncDatabase
from promin_postgres.lookups import TaskStatus
from promin_postgres.steps import _statements as sql
from promin_postgres.steps._async_lessee import AsyncStepLessee
from promin_postgres.steps._fairness import LEVELS, Draws, by_priority, in_turn, next_turn, somewhere
from promin_postgres.steps._records import ID, Fairness, StepTask
from promin_postgres.steps._settings import (
    MAX_LIMIT,
    Settlement,
    completions,
    each_once,
    fence,
    settlement,
    split,
)

_MAKE = partial(tuple.__new__, StepTask)

_WIDEN = 4
"""How much more a claim asks for when all that it found was buried or parked."""

_QUICK = 0.01
"""Seconds: a look that finds less than it may, and takes no longer, is served well by the plan that it has."""

_UNPARK_EVERY = 10.0
"""Seconds between two looks for parked tasks that a crash left behind."""


class AsyncStepCore(AsyncStepLessee):
    """One claimer on one database, with its marks. Not to be shared between processes."""

    def __init__(self, db: AsyncDatabase, **settings: Any) -> None:
        super().__init__(db, **settings)
        self.next_in: float | None = None
        """Seconds, as of the last look, until another one may find what it did not: None, nobody knows."""
        self.exhausted = False
        """Whether the last look was one from the start, and found nothing."""
        self._start = Start()
        self._rung = False
        self._is_calm = False
        self._turn = somewhere()
        self._draws = Draws()
        self._first_queue = 0
        self._unpark_at = 0.0
        self._claims: set[object] = set()
        self._doubts: list[float] = []
        """When (monotonic) to give back what claims leased that broke off."""

    async def claim(self, queues: Sequence[str], limit: int, fairness: Fairness) -> list[StepTask]:
        """Lease up to `limit` tasks, in the order of the policy."""
        tasks, _ = await self.settle_and_claim((), queues, limit, fairness)
        return tasks

    def look_from_start(self) -> None:
        """Have the next look begin at the start, however short ago the last one did."""
        self._start.reset()

    def look_behind_marks(self) -> None:
        """Have the next look begin there, if the last one from the start was not too long ago.

        What the bell rang for is most likely there, and is found a round trip earlier.
        """
        self._rung = True

    async def settle_and_claim(
        self, settlements: Sequence[Settlement], queues: Sequence[str], limit: int, fairness: Fairness
    ) -> tuple[list[StepTask], list[int]]:
        """Settle, and lease the next: in one statement, but for what `split` sets aside.

        Returns the tasks, and the ids that could not be settled.
        """
        await self.live()
        plain, rest = split(settlements)
        lost = await self.settle(rest) if rest else []
        plain, twice = each_once(plain)
        lost += twice
        claim = object()
        await self._begin_claim(claim)
        try:
            tasks, late = await self._claim(queues, limit, fairness, plain)
        except BaseException:
            now = time.monotonic()
            self._doubts = [now, now + self.lease]  # again, because the server may still be at it
            raise
        finally:
            self._claims.discard(claim)
        return tasks, lost + late

    async def _begin_claim(self, claim: object) -> None:
        """After a claim that broke off: give back what it may have leased, once no other one is under way."""
        self._claims.add(claim)
        while self._is_in_doubt:
            self._claims.discard(claim)
            async with self._living:
                if self._is_in_doubt and not self._claims:
                    await self.requeue_stuck(claimed_by=self.me, kept=self._held)
                    self._doubts.pop(0)
                self._claims.add(claim)
                if self._is_in_doubt:
                    return

    @property
    def _is_in_doubt(self) -> bool:
        return bool(self._doubts) and time.monotonic() >= self._doubts[0]

    async def _claim(
        self, queues: Sequence[str], limit: int, fairness: Fairness, settlements: Sequence[Settlement]
    ) -> tuple[list[StepTask], list[int]]:
        turns = [list(queues)]
        if fairness == "round-robin":
            first = self._first_queue = (self._first_queue + 1) % len(queues)
            turns = [[queue] for queue in (*queues[first:], *queues[:first])]
        tasks: list[StepTask] = []
        lost: list[int] = []
        for number, turn in enumerate(turns):
            found, late = await self._look(turn, limit - len(tasks), fairness, () if number else settlements)
            tasks += found
            lost += late
            if len(tasks) >= limit:
                break
        self._held.update(map(ID, tasks))
        return tasks, lost

    async def _look(
        self, queues: Sequence[str], limit: int, fairness: Fairness, settlements: Sequence[Settlement]
    ) -> tuple[list[StepTask], list[int]]:
        lost: list[int] = []
        from_start = self._start.is_overdue if self._rung else self._start.is_due
        self._rung = False
        wanted = limit
        while True:
            began = self._start.clock()
            if from_start:
                await self._tidy()
            tasks, late, found = await self._send(queues, wanted, fairness, settlements, from_start)
            settlements, lost = (), lost + late
            if from_start:
                self._start.looked_from_start(began=began)
            self.exhausted = from_start and not found
            if tasks or self.exhausted:
                if len(tasks) > limit:
                    await self.release([settlement(task) for task in tasks[limit:]])
                return tasks[:limit], lost
            if not found and self._steps is not None and not self._start.is_due:
                # There may be any number of tasks of other steps: walking past all of them each time is too much.
                due_in = self._start.due_in
                self.next_in = due_in if self.next_in is None else min(self.next_in, due_in)
                return tasks, lost
            # What was found was buried or parked: there may be more, in long rows that one look each would take too
            # long for. What was not found may be behind the marks.
            if found:
                wanted = min(_WIDEN * wanted, MAX_LIMIT)
                await self.live()
            from_start = not found

    async def _send(
        self,
        queues: Sequence[str],
        limit: int,
        fairness: Fairness,
        settlements: Sequence[Settlement],
        from_start: bool,
    ) -> tuple[list[StepTask], list[int], int]:
        """One statement; returns tasks to work on, ids that were not settled, and how many were claimed in all."""
        params: dict[str, Any] = {
            "me": self.me,
            "queues": list(queues),
            "limit": limit,
            "namespace": self.namespace or "",
            "steps": self._steps,
            "definitions": self._definitions,
        }
        if fairness == "round-robin":
            params["turn"] = self._turn
        else:
            params["after"] = [0] * len(LEVELS) * len(queues) if from_start else self._marks.after(queues)
        if fairness == "weighted":
            params["draws"] = self._draws.take(limit)
        of_one = fairness == "strict-priority" and len(queues) == 1
        busy, calm, settling = _CLAIMS["of one" if of_one else fairness]
        statement = calm if self._is_calm else busy
        if settlements:
            params |= fence(settlements) | completions(settlements)
            statement = settling
        asked = time.monotonic()
        rows = await self.sql.fetch_tuples(statement, params)
        took = time.monotonic() - asked
        self._held.difference_update(map(ID, settlements))
        lost = [row[0] for row in rows if row[1] is None]
        leased = [row for row in rows if row[1] is not None] if lost else rows
        # As StepTask._make, which takes five times as long.
        claimed = by_priority(map(_MAKE, leased))
        self._is_calm = len(claimed) < limit and took < _QUICK
        if fairness != "round-robin":
            self._marks.looked(
                claimed,
                queues,
                from_start=from_start,
                is_full=len(claimed) >= limit,
                by_level=fairness == "strict-priority",
            )
        tasks = await self._fit(claimed)
        if fairness == "round-robin":
            tasks = in_turn(tasks)
            self._turn = next_turn(claimed, self._turn)
        return tasks, lost, len(claimed)

    async def _fit(self, claimed: list[StepTask]) -> list[StepTask]:
        """Bury what was delivered too often, and park what finds no seat; returns the rest.

        A step of a run is not buried: its run has to end.
        """
        worn = [task for task in claimed if task.deliveries > self.max_deliveries and task.definition is None]
        keyed = [task for task in claimed if task.concurrency_key is not None and not task.holds_seat]
        if not worn and not keyed:
            return claimed
        gone = {task.id for task in worn}
        if worn:
            await self._settle(each_once([settlement(task, TaskStatus.DEAD) for task in worn])[0])
        keyed = [task for task in keyed if task.id not in gone]
        if keyed:
            ids = [task.id for task in keyed]
            seated = {row["id"] for row in await self.sql.fetch_all(sql.ADMIT, {"me": self.me, "ids": ids})}
            gone.update(set(ids) - seated)
        return [task for task in claimed if task.id not in gone]

    async def _tidy(self) -> None:
        """What a look from the start begins with: delayed tasks whose moment has come, and empty seats."""
        row = await self.sql.fetch_one(sql.PROMOTE)
        self.next_in = None if row is None or row["next_in"] is None else row["next_in"].total_seconds()
        if time.monotonic() >= self._unpark_at:
            self._unpark_at = time.monotonic() + _UNPARK_EVERY
            await self.unpark(None)


_CLAIMS: Mapping[str, tuple[Statement, Statement, Statement]] = {
    "strict-priority": (sql.CLAIM, sql.CLAIM.calm(), sql.SETTLE_AND_CLAIM),
    "of one": (sql.CLAIM_OF_ONE, sql.CLAIM_OF_ONE.calm(), sql.SETTLE_AND_CLAIM_OF_ONE),
    "round-robin": (sql.CLAIM_IN_TURN, sql.CLAIM_IN_TURN.calm(), sql.SETTLE_AND_CLAIM_IN_TURN),
    "weighted": (sql.CLAIM_WEIGHTED, sql.CLAIM_WEIGHTED.calm(), sql.SETTLE_AND_CLAIM_WEIGHTED),
}
"""Each policy: the statement that claims, the same for a calm claimer, and the one that settles as well. Most claimers
serve one queue, strictly: they have statements of their own, which need not merge queues.

A calm one found less than he asked for, and was quick about it. With a plan for an empty queue he looks through a full
one once, and is not calm after that.
"""
