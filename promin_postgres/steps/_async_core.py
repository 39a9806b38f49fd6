"""AsyncStepCore: the statements of the step queue as one claimer sends them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from promin_postgres._statement import Statement
from promin_postgres._wait import AsyncRLock
from promin_postgres._watermark import Start
from promin_postgres.bell import channel_name, door_key
from promin_postgres.database import AsyncDatabase
from promin_postgres.lookups import TaskStatus
from promin_postgres.steps import _statements as sql
from promin_postgres.steps._fairness import LEVELS, by_priority, draws, in_turn, next_turn, somewhere
from promin_postgres.steps._records import Fairness, StepTask
from promin_postgres.steps._settings import Settlement, incarnation, settlement

logger = logging.getLogger(__name__)

_RENEWALS = 3
"""How often a claimer renews its lease before it runs out."""

_UNPARK_EVERY = 10.0
"""Seconds between two looks for parked tasks that a crash left behind."""


class AsyncStepCore:
    """One claimer on one database: its name, its marks, its lease. Not to be shared between processes."""

    def __init__(
        self,
        db: AsyncDatabase,
        *,
        worker_id: str | None,
        namespace: str | None,
        schema: str | None,
        table_prefix: str | None,
        max_deliveries: int,
        lease: float,
        steps: Sequence[str] | None = None,
    ) -> None:
        self.db = db
        self.sql = db.executor(schema=schema, table_prefix=table_prefix)
        self.namespace = namespace
        self.max_deliveries = max_deliveries
        self.lease = lease
        self._steps = None if steps is None else list(steps)
        self._worker_id = worker_id
        self.me = incarnation(worker_id)
        self.next_in: float | None = None
        """Seconds, as of the last look, until another one may find what it did not: None, nobody knows."""
        self.exhausted = False
        """Whether the last look was one from the start, and found nothing."""
        self._kept = False
        self._living = AsyncRLock()
        self._renew_at = 0.0
        self._start = Start()
        self._marks: dict[tuple[str, int], int] = {}
        self._turn = somewhere()
        self._first_queue = 0
        self._unpark_at = 0.0
        self._bells: dict[str, tuple[str, int]] = {}

    # -- living

    async def live(self) -> None:
        """Be alive for long enough to work: begin to live, or renew the lease when a third of it has passed."""
        if self._kept or time.monotonic() < self._renew_at:
            return
        async with self._living:
            if time.monotonic() >= self._renew_at and not await self.heartbeat():
                await self._begin()

    async def begin_kept(self) -> float:
        """Begin to live, under another name, kept alive by somebody else; returns when (monotonic), at the earliest."""
        self._kept = True
        return await self._begin()

    async def heartbeat(self) -> bool:
        """Renew the lease; False when it ran out, or never began: what was leased before is lost."""
        began = time.monotonic()
        row = await self.sql.fetch_one(sql.HEARTBEAT, self._life())
        if row is not None:
            self._renew_at = began + self.lease / _RENEWALS
        return row is not None

    async def _begin(self) -> float:
        self.me = incarnation(self._worker_id)
        began = time.monotonic()
        await self.sql.execute(sql.REGISTER, self._life())
        self._renew_at = began + self.lease / _RENEWALS
        return began

    def _life(self) -> dict[str, Any]:
        return {"me": self.me, "lease": timedelta(seconds=self.lease)}

    async def retire(self) -> None:
        """End: what is still leased is anybody's."""
        await self.sql.execute(sql.RETIRE, {"me": self.me})
        self._renew_at = 0.0

    # -- claiming

    async def claim(self, queues: Sequence[str], limit: int, fairness: Fairness) -> list[StepTask]:
        """Lease up to `limit` tasks, in the order of the policy."""
        tasks, _ = await self.settle_and_claim((), queues, limit, fairness)
        return tasks

    async def settle_and_claim(
        self, settlements: Sequence[Settlement], queues: Sequence[str], limit: int, fairness: Fairness
    ) -> tuple[list[StepTask], list[int]]:
        """Settle, and lease the next: in one statement, but for tasks that are tried again or hold a seat.

        Returns the tasks, and the ids that could not be settled.
        """
        await self.live()
        plain = [one for one in settlements if one.retry_in is None and not _seated(one)]
        lost: list[int] = []
        if len(plain) < len(settlements):
            lost += await self.settle([one for one in settlements if one.retry_in is not None or _seated(one)])
        if fairness == "round-robin":
            tasks: list[StepTask] = []
            for _ in queues:
                queue = queues[self._first_queue % len(queues)]
                self._first_queue += 1
                found, settled = await self._look([queue], limit - len(tasks), fairness, plain)
                lost += _missing(plain, settled)
                plain = []
                tasks += found
                if len(tasks) >= limit:
                    break
            return tasks, lost
        tasks, settled = await self._look(queues, limit, fairness, plain)
        return tasks, lost + _missing(plain, settled)

    async def _look(
        self, queues: Sequence[str], limit: int, fairness: Fairness, settlements: Sequence[Settlement]
    ) -> tuple[list[StepTask], set[int]]:
        settled: set[int] = set()
        from_start = self._start.is_due
        while True:
            began = self._start.clock()
            if from_start:
                await self._tidy()
            tasks, done, found = await self._send(queues, limit, fairness, settlements, from_start)
            settlements, settled = (), settled | done
            if from_start:
                self._start.looked_from_start(began=began)
            self.exhausted = from_start and not found
            if tasks or self.exhausted:
                return tasks, settled
            if not found and self._steps is not None and not self._start.is_due:
                # There may be any number of tasks of other steps: walking past all of them each time is too much.
                due_in = self._start.due_in
                self.next_in = due_in if self.next_in is None else min(self.next_in, due_in)
                return tasks, settled
            # What was found was buried or parked: there may be more. What was not found may be behind the marks.
            from_start = not found

    async def _send(
        self,
        queues: Sequence[str],
        limit: int,
        fairness: Fairness,
        settlements: Sequence[Settlement],
        from_start: bool,
    ) -> tuple[list[StepTask], set[int], int]:
        """One statement; returns tasks to work on, ids that were settled, and how many tasks were claimed in all."""
        params: dict[str, Any] = {
            "me": self.me,
            "queues": list(queues),
            "limit": limit,
            "namespace": self.namespace,
            "steps": self._steps,
        }
        if fairness == "round-robin":
            params["turn"] = self._turn
        else:
            marks = self._marks
            params["priorities"] = list(LEVELS)
            params["after"] = [
                0 if from_start else marks.get((queue, level), 0) for level in LEVELS for queue in queues
            ]
        if fairness == "weighted":
            params["draws"] = draws(limit)
        alone, fused = _CLAIMS[fairness]
        if settlements:
            params |= _fence(settlements) | _outcomes(settlements)
        rows = await self.sql.fetch_tuples(fused if settlements else alone, params)
        claimed = [StepTask._make(row) for row in rows if row[1] is not None]
        settled = {row[0] for row in rows if row[1] is None}
        for task in claimed:
            level = (task.queue, task.priority)
            if task.id > self._marks.get(level, 0):
                self._marks[level] = task.id
        order = in_turn if fairness == "round-robin" else by_priority
        tasks = order(await self._fit(claimed))
        if fairness == "round-robin":
            self._turn = next_turn(claimed, self._turn)
        return tasks, settled, len(claimed)

    async def _fit(self, claimed: list[StepTask]) -> list[StepTask]:
        """Bury what was delivered too often, and park what finds no seat; returns the rest."""
        worn = [task for task in claimed if task.deliveries > self.max_deliveries]
        keyed = [task for task in claimed if task.concurrency_key is not None and not task.holds_seat]
        if not worn and not keyed:
            return claimed
        gone = {task.id for task in worn}
        if worn:
            await self._settle([settlement(task, TaskStatus.DEAD) for task in worn])
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
            await self._unpark(None)

    # -- settling

    async def settle(self, settlements: Sequence[Settlement]) -> list[int]:
        """Write outcomes; returns the ids of those that were not ours any more."""
        given = await self._located(settlements)
        again = [one for one in given if one.retry_in is not None and not self._is_worn(one)]
        final = [
            one._replace(status=TaskStatus.DEAD, retry_in=None) if one.retry_in is not None else one
            for one in given
            if one.retry_in is None or self._is_worn(one)
        ]
        settled = await self._settle(final) if final else set()
        if again:
            settled |= await self._give_back(again, attempts=1, deliveries=0)
        return _missing(settlements, settled)

    async def release(self, settlements: Sequence[Settlement]) -> list[int]:
        """Give tasks back as if they had not been delivered, each to come again after its `retry_in`.

        Returns the ids of those that were not ours any more.
        """
        given = await self._located(settlements)
        settled = await self._give_back(given, attempts=0, deliveries=1) if given else set()
        return _missing(settlements, settled)

    async def release_unknown(self, known: Sequence[int]) -> int:
        """Give back what is leased to us without our knowing, because no answer to a claim came; returns how many."""
        rows = await self.sql.fetch_all(sql.FIND_UNKNOWN, {"me": self.me, "known": list(known)})
        strays = [settlement(row["id"])._replace(**row) for row in rows]
        return len(strays) - len(await self.release(strays))

    def _is_worn(self, one: Settlement) -> bool:
        return one.deliveries is not None and one.deliveries >= self.max_deliveries

    async def _located(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """With the lease of those of which only the id is known; without those that are not ours."""
        unknown = [one.id for one in settlements if one.lease is None]
        if not unknown:
            return list(settlements)
        rows = await self.sql.fetch_all(sql.FIND_LEASED, {"me": self.me, "ids": unknown})
        found = {row["id"]: row for row in rows}
        return [
            one if one.lease is not None else one._replace(**found[one.id])
            for one in settlements
            if one.lease is not None or one.id in found
        ]

    async def _settle(self, settlements: Sequence[Settlement]) -> set[int]:
        keys = {one.concurrency_key for one in settlements if one.concurrency_key is not None}
        params = {"me": self.me} | _fence(settlements) | _outcomes(settlements)
        rows = await self.sql.fetch_tuples(sql.SETTLE_SEATED if keys else sql.SETTLE, params)
        if keys:
            await self._unpark(sorted(keys))
        return {row[0] for row in rows}

    async def _give_back(self, settlements: Sequence[Settlement], *, attempts: int, deliveries: int) -> set[int]:
        keys = {one.concurrency_key for one in settlements if one.concurrency_key is not None}
        params = (
            {
                "me": self.me,
                "delays": [one.retry_in for one in settlements],
                "attempts": [attempts] * len(settlements),
                "deliveries": [deliveries] * len(settlements),
                "errors": [one.error for one in settlements],
            }
            | _fence(settlements)
            | self.bells({one.queue for one in settlements if one.queue is not None})
        )
        rows = await self.sql.fetch_tuples(sql.GIVE_BACK, params)
        for one in settlements:
            self._mark_before(one.queue, one.priority, one.id)
        if keys:
            await self._unpark(sorted(keys))
        return {row[0] for row in rows}

    async def _unpark(self, keys: Sequence[str] | None) -> None:
        """Let those wait for a worker who may find a seat now: of these keys, or of all."""
        await self.returned(await self.sql.fetch_all(sql.UNPARK, {"keys": keys}))

    async def returned(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Have tasks found that wait again: here, and by those who are idle."""
        for row in rows:
            self._mark_before(row["queue"], row["priority"], row["id"])
        await self.ring({row["queue"] for row in rows})

    def _mark_before(self, queue: str | None, priority: int | None, task_id: int) -> None:
        """Let the next look at this level find a task that waits again."""
        if queue is not None and priority is not None and task_id <= self._marks.get((queue, priority), 0):
            self._marks[queue, priority] = task_id - 1

    def warn_of_lost(self, ids: Sequence[int]) -> None:
        if ids:
            logger.warning("%d outcomes came too late, their tasks are not ours any more: %s", len(ids), list(ids))

    # -- ringing

    def bell(self, queue: str) -> tuple[str, int]:
        """The channel of a queue, and its door."""
        known = self._bells.get(queue)
        if known is None:
            names = self.sql.names
            channel = channel_name(names.schema, f"{names.table_prefix}step_queue.{queue}")
            known = self._bells[queue] = channel, door_key(channel)
        return known

    def bells(self, queues: set[str]) -> dict[str, list[Any]]:
        """The channels and doors of some queues, as arrays."""
        pairs = [self.bell(queue) for queue in sorted(queues)]
        return {"channels": [channel for channel, _ in pairs], "doors": [door for _, door in pairs]}

    async def ring(self, queues: set[str]) -> None:
        """Wake the workers that wait for these queues."""
        if queues:
            await self.sql.fetch_one(sql.RING, self.bells(queues))


_CLAIMS: Mapping[str, tuple[Statement, Statement]] = {
    "strict-priority": (sql.CLAIM, sql.SETTLE_AND_CLAIM),
    "round-robin": (sql.CLAIM_IN_TURN, sql.SETTLE_AND_CLAIM_IN_TURN),
    "weighted": (sql.CLAIM_WEIGHTED, sql.SETTLE_AND_CLAIM_WEIGHTED),
}
"""Each policy: the statement that claims, and the one that settles as well."""


def _seated(one: Settlement) -> bool:
    """Whether it may hold a seat, or whether nobody knows."""
    return one.concurrency_key is not None or one.lease is None


def _fence(settlements: Sequence[Settlement]) -> dict[str, Any]:
    return {"ids": [one.id for one in settlements], "leases": [one.lease for one in settlements]}


def _outcomes(settlements: Sequence[Settlement]) -> dict[str, Any]:
    return {
        "statuses": _unless_none(
            [None if one.status is TaskStatus.COMPLETED else int(one.status) for one in settlements]
        ),
        "results": _unless_none([one.result for one in settlements]),
        "errors": _unless_none([one.error for one in settlements]),
        "durations": _unless_none([one.duration for one in settlements]),
    }


def _unless_none(values: list[Any]) -> list[Any]:
    """The array, or an empty one if it holds nothing but None: unnest fills up with NULL."""
    return values if any(value is not None for value in values) else []


def _missing(settlements: Sequence[Settlement], settled: set[int]) -> list[int]:
    return [one.id for one in settlements if one.id not in settled]
