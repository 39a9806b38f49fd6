# Generated from _async_lessee.py by tools/twins.py. Do not edit: edit that and generate again.
"""StepLessee: who holds tasks, for how long, and what becomes of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from promin_postgres._wait import RLock
from promin_postgres.bell import door_key, queue_channel
from promin_postgres.database import Database, Executor
from promin_postgres.lookups import TaskStatus
from promin_postgres.steps import _statements as sql
from promin_postgres.steps._marks import Marks
from promin_postgres.steps._settings import (
    Settlement,
    completions,
    each_once,
    fence,
    incarnation,
    missing,
    outcomes,
    split,
    step_names,
)

logger = logging.getLogger(__name__)

_RENEWALS = 3
"""How often a claimer renews its lease before it runs out."""


class StepLessee:
    """One claimer on one database: its name and its lease, and what becomes of the tasks that it holds."""

    def __init__(
        self,
        db: Database,
        *,
        worker_id: str | None,
        namespace: str | None,
        schema: str | None,
        table_prefix: str | None,
        max_deliveries: int,
        lease: float,
        steps: Sequence[str] | None = None,
        definitions: Sequence[str] = (),
    ) -> None:
        self.db = db
        names = db.executor(schema=schema, table_prefix=table_prefix).names
        self.sql = Executor(db, step_names(names.schema, names.table_prefix, namespace))
        self.namespace = namespace
        self.max_deliveries = max_deliveries
        self.lease = lease
        self._steps = None if steps is None else list(steps)
        self._definitions = list(definitions) or None
        self._worker_id = worker_id
        self.me = incarnation(worker_id)
        self._living = RLock()
        self._has_lived = False
        self._kept = False
        self._renew_at = 0.0
        self._marks = Marks()
        self._held: set[int] = set()
        """Ids of the tasks that were handed out and not settled since."""
        self._bells: dict[str, tuple[str, int]] = {}

    # -- living

    def live(self) -> None:
        """Be alive for long enough to work: begin to live, or renew the lease when a third of it has passed."""
        if self._kept or time.monotonic() < self._renew_at:
            return
        with self._living:
            if time.monotonic() >= self._renew_at and not self.heartbeat():
                self._begin()

    def begin_kept(self) -> float:
        """Begin to live, under another name, kept alive by somebody else; returns when (monotonic), at the earliest."""
        self._kept = True
        return self._begin()

    def heartbeat(self) -> bool:
        """Renew the lease; False when it ran out, or never began: what was leased before is lost."""
        began = time.monotonic()
        row = self.sql.fetch_one(sql.HEARTBEAT, self._life(self.me))
        if row is not None:
            self._renew_at = began + self.lease / _RENEWALS
        return row is not None

    def _begin(self) -> float:
        name = incarnation(self._worker_id) if self._has_lived else self.me
        began = time.monotonic()
        self.sql.execute(sql.REGISTER, self._life(name))
        # Only now: what is claimed by a name that is not alive is anybody's.
        self.me, self._has_lived = name, True
        self._held.clear()
        self._renew_at = began + self.lease / _RENEWALS
        return began

    def _life(self, name: str) -> dict[str, Any]:
        return {"me": name, "lease": timedelta(seconds=self.lease)}

    def retire(self) -> None:
        """End: what is still leased is anybody's."""
        self.sql.execute(sql.RETIRE, {"me": self.me})
        self._renew_at = 0.0

    # -- settling

    def settle(self, settlements: Sequence[Settlement]) -> list[int]:
        """Write outcomes; returns the ids of those that were not ours any more."""
        given, lost = each_once(self._located(settlements))
        again = [one for one in given if one.retry_in is not None and not self._is_worn(one)]
        final = [
            one._replace(status=TaskStatus.DEAD, retry_in=None) if one.retry_in is not None else one
            for one in given
            if one.retry_in is None or self._is_worn(one)
        ]
        settled = self._settle(final) if final else set()
        if again:
            settled |= self._give_back(again, attempts=1, deliveries=0)
        return missing(settlements, settled) + [one for one in lost if one in settled]

    def release(self, settlements: Sequence[Settlement]) -> list[int]:
        """Give tasks back as if they had not been delivered, each to come again after its `retry_in`.

        Returns the ids of those that were not ours any more.
        """
        given, lost = each_once(self._located(settlements))
        settled = self._give_back(given, attempts=0, deliveries=1) if given else set()
        return missing(settlements, settled) + [one for one in lost if one in settled]

    def _is_worn(self, one: Settlement) -> bool:
        return one.deliveries is not None and one.deliveries >= self.max_deliveries

    def _located(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """With the lease of those of which only the id is known; without those that are not ours."""
        unknown = [one.id for one in settlements if one.lease is None]
        if not unknown:
            return list(settlements)
        rows = self.sql.fetch_all(sql.FIND_LEASED, {"me": self.me, "ids": unknown})
        found = {row["id"]: row for row in rows}
        return [
            one if one.lease is not None else one._replace(**found[one.id])
            for one in settlements
            if one.lease is not None or one.id in found
        ]

    def _settle(self, settlements: Sequence[Settlement]) -> set[int]:
        keys = {one.concurrency_key for one in settlements if one.concurrency_key is not None}
        _, rest = split(settlements)
        statement = sql.SETTLE_SEATED if keys else sql.SETTLE if rest else sql.COMPLETE
        params = {"me": self.me} | fence(settlements) | (outcomes(settlements) if rest else completions(settlements))
        rows = self.sql.fetch_tuples(statement, params)
        self._held.difference_update(params["ids"])
        if keys:
            self.unpark(sorted(keys))
        return {row[0] for row in rows}

    def _give_back(self, settlements: Sequence[Settlement], *, attempts: int, deliveries: int) -> set[int]:
        keys = {one.concurrency_key for one in settlements if one.concurrency_key is not None}
        params = (
            {
                "me": self.me,
                "delays": [one.retry_in for one in settlements],
                "attempts": [attempts] * len(settlements),
                "deliveries": [deliveries] * len(settlements),
                "errors": [one.error for one in settlements],
            }
            | fence(settlements)
            | self.bells({one.queue for one in settlements if one.queue is not None})
        )
        rows = self.sql.fetch_tuples(sql.GIVE_BACK, params)
        self._held.difference_update(params["ids"])
        for one in settlements:
            self._mark_before(one.queue, one.priority, one.id)
        if keys:
            self.unpark(sorted(keys))
        return {row[0] for row in rows}

    def unpark(self, keys: Sequence[str] | None) -> None:
        """Let those wait for a worker who may find a seat now: of these keys, or of all."""
        if keys is None:
            rows = self.sql.fetch_all(sql.UNPARK_ALL)
        else:
            rows = self.sql.fetch_all(sql.UNPARK, {"keys": keys})
        self.returned(rows)

    def returned(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Have tasks found that wait again: here, and by those who are idle."""
        for row in rows:
            self._mark_before(row["queue"], row["priority"], row["id"])
        self.ring({row["queue"] for row in rows})

    def _mark_before(self, queue: str | None, priority: int | None, task_id: int) -> None:
        """Let the next look at this level find a task that waits again."""
        if queue is not None and priority is not None:
            self._marks.step_back(queue, priority, task_id)

    def warn_of_lost(self, ids: Sequence[int]) -> None:
        if ids:
            logger.warning("%d outcomes came too late, their tasks are not ours any more: %s", len(ids), list(ids))

    def requeue_stuck(
        self, *, stale_timeout: timedelta | None = None, claimed_by: str | None = None, kept: Collection[int] = ()
    ) -> int:
        """Let the tasks of workers wait again, but for those that are `kept`; returns how many."""
        params = {"stale_timeout": stale_timeout, "claimed_by": claimed_by, "kept": list(kept)}
        rows = self.sql.fetch_all(sql.REQUEUE_STUCK, params)
        self.returned(rows)
        if any(row["holds_seat"] for row in rows):
            self.unpark(None)
        return len(rows)

    def forget(self, ids: Iterable[int]) -> None:
        """These were settled by somebody else in our name."""
        self._held.difference_update(ids)

    # -- ringing

    def bell(self, queue: str) -> tuple[str, int]:
        """The channel of a queue, and its door."""
        known = self._bells.get(queue)
        if known is None:
            names = self.sql.names
            channel = queue_channel(names.schema, names.table_prefix, queue)
            known = self._bells[queue] = channel, door_key(channel)
        return known

    def bells(self, queues: set[str]) -> dict[str, list[Any]]:
        """The channels and doors of some queues, as arrays."""
        pairs = [self.bell(queue) for queue in sorted(queues)]
        return {"channels": [channel for channel, _ in pairs], "doors": [door for _, door in pairs]}

    def ring(self, queues: set[str]) -> None:
        """Wake the workers that wait for these queues."""
        if queues:
            self.sql.fetch_one(sql.RING, self.bells(queues))
