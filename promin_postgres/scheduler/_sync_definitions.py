# Generated from _async_definitions.py by tools/twins.py. Do not edit: edit that and generate again.
"""Definitions: declaring schedules, looking at them, and ticks that are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from promin_postgres._advisory import advisory_key
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.errors import InvalidArgument, NotFound
from promin_postgres.scheduler import _statements as sql
from promin_postgres.scheduler._sync_core import SchedulerCore
from promin_postgres.scheduler._plan import Fire, asked, registered, resumed, upcoming
from promin_postgres.scheduler._records import (
    DstFold,
    DstGap,
    Moments,
    OverlapPolicy,
    Schedule,
    Schedules,
    ScheduleState,
    ScheduleTick,
    Ticks,
)
from promin_postgres.scheduler._rows import state_of, tick_of
from promin_postgres.scheduler._settings import (
    check_count,
    check_instant,
    check_overlap,
    check_range,
    check_text,
    row_of,
    times_of,
)

_MOST_AT_ONCE = 10_000
_PURGED_AT_ONCE = 1_000


class Definitions:
    """What a scheduler does with schedules, beside firing them."""

    _core: SchedulerCore

    def _rung(self) -> None:
        """The loop of this object may have something to do sooner than it believed."""
        raise NotImplementedError

    def register(
        self,
        id: str,
        *,
        name: str | None = None,
        cron: str | None = None,
        interval: Seconds | None = None,
        rrule: str | None = None,
        timezone: str = "UTC",
        overlap_policy: OverlapPolicy = "allow",
        buffer_limit: int = 100,
        max_catch_up: int = 0,
        jitter: Seconds = 0,
        dst_gap: DstGap = "fire",
        dst_fold: DstFold = "first",
        enabled: bool = True,
        start_at: datetime | None = None,
        end_at: datetime | None = None,
        max_fires: int | None = None,
        pause_on_failure: bool = False,
        metadata: Mapping[str, Any] | None = None,
        connection: Any = None,
    ) -> ScheduleState:
        """Declare a schedule, or declare it once more; the arguments are those of `Schedule`.

        With the trigger that it had, its next fire time stays, also one that has passed: to register at each start
        does not lose what was missed meanwhile. With another trigger it counts from now on, and nothing is made up for.
        A pause stays.

        Args:
            connection: Register in this connection's transaction.

        Raises:
            InvalidArgument: Names the field. Among them an expression that never fires.

        Source: sql/scheduler/register.sql. Safe when many processes do it at once.
        """
        schedule = Schedule(
            id=id, name=name, cron=cron, interval=interval, rrule=rrule, timezone=timezone,
            overlap_policy=overlap_policy, buffer_limit=buffer_limit, max_catch_up=max_catch_up, jitter=jitter,
            dst_gap=dst_gap, dst_fold=dst_fold, enabled=enabled, start_at=start_at, end_at=end_at, max_fires=max_fires,
            pause_on_failure=pause_on_failure, metadata=metadata,
        )  # fmt: skip
        (state,) = self._declare([row_of(schedule)], remove_missing=False, connection=connection)
        return state

    def apply(
        self, schedules: Iterable[Schedule], *, remove_missing: bool = False, connection: Any = None
    ) -> Schedules:
        """Declare schedules in one transaction, each as `register` does; returns them in their order.

        Args:
            remove_missing: Remove every other schedule of the namespace, as `unregister` does.
            connection: Apply in this connection's transaction.

        Raises:
            InvalidArgument: Names the schedule and its field; nothing was written.
        """
        rows = []
        for number, schedule in enumerate(schedules):
            try:
                rows.append(row_of(schedule))
            except InvalidArgument as error:
                raise InvalidArgument(f"schedules[{number}].{error.argument}", error.value, error.problem) from None
        ids = [row["schedule_id"] for row in rows]
        for schedule_id, count in Counter(ids).items():
            if count > 1:
                raise InvalidArgument("schedules", schedule_id, f"is there {count} times")
        return self._declare(rows, remove_missing=remove_missing, connection=connection)

    def _declare(self, rows: Sequence[dict[str, Any]], *, remove_missing: bool, connection: Any) -> Schedules:
        core = self._core
        ids = [row["schedule_id"] for row in rows]
        key = advisory_key("schedules", core.sql.names.schema, core.settings.namespace)
        with core.joined(connection) as joined:
            core.sql.execute(sql.LOCK_REGISTRATION, {"key": key} | core.patience(connection), connection=joined)
            old = {row["schedule_id"]: row for row in self._locked(ids, joined, connection)}
            now = self._now(joined)
            for row in rows:
                before = old.get(row["schedule_id"])
                full = registered(row | core.namespace, before, now)
                params = {name: full[name] for name in sql.REGISTER.parameters}
                if (
                    before is None
                    or before["error"] is not None
                    or any(before[name] != params[name] for name in params)
                ):
                    core.sql.execute(sql.REGISTER, params, connection=joined)
            if remove_missing:
                self._remove(ids, all_but=True, connection=joined)
            found = {row["schedule_id"]: state_of(row) for row in self._locked(ids, joined, connection)}
        self._rung()
        return [found[one] for one in ids]

    def _locked(self, ids: Sequence[str], connection: Any, callers: Any) -> list[dict[str, Any]]:
        core = self._core
        params = core.namespace | core.clock | core.patience(callers) | {"schedule_ids": ids}
        return core.fetch(sql.LOCK, params, connection=connection)

    def _now(self, connection: Any = None) -> datetime:
        (row,) = self._core.fetch(sql.PRESENT, self._core.clock, connection=connection)
        present: datetime = row["present"]
        return present

    def unregister(self, id: str, *, connection: Any = None) -> bool:
        """Remove a schedule with all of its ticks; whether there was one.

        Ticks that wait are not handed out any more, and whoever works on one finds its lease lost.
        """
        with self._core.joined(connection) as joined:
            return self._remove([check_text("id", id)], all_but=False, connection=joined)

    def _remove(self, ids: Sequence[str], *, all_but: bool, connection: Any) -> bool:
        core = self._core
        params = core.namespace | {"schedule_ids": ids, "all_but": all_but}
        gone = [row["id"] for row in core.fetch(sql.UNREGISTER, params, connection=connection)]
        if gone:
            core.sql.execute(sql.DROP_TICKS, {"ids": gone}, connection=connection)
        return bool(gone)

    def pause(self, id: str, reason: str | None = None, *, connection: Any = None) -> None:
        """Let a schedule not fire until `resume`. Ticks that were made are handed out all the same.

        Raises:
            NotFound
        """
        params = {
            "schedule_id": check_text("id", id),
            "reason": None if reason is None else check_text("reason", reason, longest=10_000),
            "failed": False,
        }
        if self._core.sql.fetch_one(sql.PAUSE, self._core.namespace | params, connection=connection) is None:
            raise NotFound("schedule", id)

    def resume(self, id: str, catch_up: bool = False, *, connection: Any = None) -> None:
        """Let a schedule fire again that was paused or quarantined.

        Args:
            catch_up: Take up to `max_catch_up` of the fire times during the pause for missed ones that are made up for;
                the rest counts as missed. Without it the next fire time is the first one from now on.

        Raises:
            NotFound
            InvalidArgument: It was quarantined, and still cannot be evaluated.
        """
        core = self._core
        with core.joined(connection) as joined:
            rows = self._locked([check_text("id", id)], joined, connection)
            for row in rows:
                step = resumed(row, row["present"], catch_up=catch_up)
                params = {"id": row["id"], "scheduled_at": step.scheduled_at, "due_at": step.due_at}
                core.sql.execute(sql.RESUME, params, connection=joined)
        if not rows:
            raise NotFound("schedule", id)
        self._rung()

    def get(self, id: str) -> ScheduleState:
        """A schedule as it stands.

        Raises:
            NotFound
        """
        return state_of(self._row(id))

    def _row(self, id: str) -> dict[str, Any]:
        params = {"schedule_id": check_text("id", id), "enabled": None}
        rows = self._core.fetch(sql.LOAD, self._core.namespace | self._core.clock | params)
        if not rows:
            raise NotFound("schedule", id)
        return rows[0]

    def list(self, enabled: bool | None = None) -> Schedules:
        """The schedules of the namespace, in the order of their ids: all, or those that are enabled or not."""
        params = self._core.namespace | self._core.clock | {"schedule_id": None, "enabled": enabled}
        return [state_of(row) for row in self._core.fetch(sql.LOAD, params)]

    def next_fire_times(self, id: str, count: int, after: datetime | None = None) -> Moments:
        """The next fire times, without their jitter, in UTC; fewer than `count` when the schedule ends before.

        Args:
            count: 1 to 10,000.
            after: An aware datetime; by default now.

        Raises:
            NotFound, InvalidArgument
        """
        check_count("count", count, least=1, most=_MOST_AT_ONCE)
        row = self._row(id)
        return upcoming(row, row["present"] if after is None else check_instant("after", after), count)

    def trigger_now(self, id: str, *, connection: Any = None) -> ScheduleTick | None:
        """Make a manual tick, also of a schedule that is paused or disabled; None when its overlap policy skips it.

        Args:
            connection: Make it in this connection's transaction.

        Raises:
            NotFound
        """
        core = self._core
        made: list[dict[str, Any]] = []
        with core.joined(connection) as joined:
            rows = self._locked([check_text("id", id)], joined, connection)
            for row in rows:
                fire = Fire(scheduled_at=row["present"], kind="manual")
                made = core.make([asked(row, [fire], row["overlap_policy"])], joined, core.bell(connection))
        if not rows:
            raise NotFound("schedule", id)
        return None if made[0]["status"] == "skipped" else tick_of(rows[0], made[0])

    def backfill(
        self,
        id: str,
        *,
        start: datetime,
        end: datetime,
        overlap: OverlapPolicy = "allow",
        connection: Any = None,
    ) -> Ticks:
        """Make a tick for each fire time in [start, end), whatever the schedule has done by itself.

        A fire time that was backfilled before makes no other tick, so that calling it twice is harmless.

        Args:
            overlap: How these ticks get on with each other, and with what is not settled; "queue" holds back any
                number.
            connection: Make them in this connection's transaction.

        Returns:
            The backfill ticks of the range, those made before included, in the order of their fire times.

        Raises:
            NotFound
            InvalidArgument: Among other things when the range holds more than 10,000 fire times.
        """
        core = self._core
        start, end = check_range(start, end)
        check_overlap("overlap", overlap)
        ticks: Ticks = []
        bounds = {"range_start": start, "range_end": end}
        too_many = 0
        with core.joined(connection) as joined:
            rows = self._locked([check_text("id", id)], joined, connection)
            for row in rows:
                before = core.fetch(sql.BACKFILLED, bounds | {"id": row["id"]}, connection=joined)
                done = {tick["scheduled_at"] for tick in before}
                count, moments = times_of(row).between(start - _INSTANT, end - _INSTANT, _MOST_AT_ONCE)
                too_many = count if count > _MOST_AT_ONCE else 0
                fires = [Fire(scheduled_at=moment, kind="backfill") for moment in moments if moment not in done]
                if fires and not too_many:
                    core.make([asked(row, fires, overlap, limit=_MOST_AT_ONCE)], joined, core.bell(connection))
                found = core.fetch(sql.BACKFILLED, bounds | {"id": row["id"]}, connection=joined)
                ticks = [tick_of(row, tick) for tick in found]
        if not rows:
            raise NotFound("schedule", id)
        if too_many:
            raise InvalidArgument("end", end, f"the range holds {too_many} fire times, more than {_MOST_AT_ONCE}")
        return ticks

    def history(self, id: str, limit: int = 100) -> Ticks:
        """The latest ticks of a schedule, the newest first, skipped and cancelled ones included.

        Args:
            limit: 1 to 10,000.

        Raises:
            NotFound
        """
        params = {
            "schedule_id": check_text("id", id),
            "limit": check_count("limit", limit, least=1, most=_MOST_AT_ONCE),
        }
        rows = self._core.fetch(sql.HISTORY, self._core.namespace | params)
        if not rows:
            raise NotFound("schedule", id)
        return [tick_of(row, row) for row in rows if row["number"] is not None]

    def purge(self, *, older_than: Seconds) -> int:
        """Remove ticks that were settled, skipped or cancelled longer ago than that; returns how many.

        What was backfilled and is removed would be made again by the same `backfill`.

        Args:
            older_than: Seconds or a timedelta.
        """
        params = {"older_than": timedelta(seconds=check_seconds("older_than", older_than)), "limit": _PURGED_AT_ONCE}
        every = self._core.namespace | self._core.clock | {"schedule_id": None, "enabled": None}
        total = 0
        for row in self._core.fetch(sql.LOAD, every):
            while gone := self._core.sql.execute(sql.PURGE, params | {"schedule": row["id"]}):
                total += gone
        return total


_INSTANT = timedelta(microseconds=1)
