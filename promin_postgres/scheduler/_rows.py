"""Rows of the server as what callers get. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from promin_postgres.codec import JSON
from promin_postgres.scheduler._records import ScheduleState, ScheduleTick, Standing


def in_utc(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its moments in UTC. They come in the zone of the session, where a day may have 23 hours."""
    return {name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in row.items()}


def state_of(row: Mapping[str, Any]) -> ScheduleState:
    """A row of schedules. Nothing is checked: one that was damaged can be looked at too."""
    return ScheduleState(
        id=row["schedule_id"],
        name=row["name"],
        cron=row["cron"],
        interval=row["every"],
        rrule=row["rrule"],
        timezone=row["timezone"],
        overlap_policy=row["overlap_policy"],
        buffer_limit=row["buffer_limit"],
        max_catch_up=row["max_catch_up"],
        jitter=row["jitter"],
        dst_gap=row["dst_gap"],
        dst_fold=row["dst_fold"],
        enabled=row["enabled"],
        start_at=row["start_at"],
        end_at=row["end_at"],
        max_fires=row["max_fires"],
        pause_on_failure=row["pause_on_failure"],
        metadata=_metadata(row),
        standing=_standing(row),
        next_fire_at=row["due_at"],
        last_scheduled_at=row["last_scheduled_at"],
        ticks=row["ticks"],
        fires=row["fires"],
        missed=row["missed"],
        paused_at=row["paused_at"],
        pause_reason=row["pause_reason"],
        error=row["error"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def tick_of(schedule: Mapping[str, Any], tick: Mapping[str, Any]) -> ScheduleTick:
    """A row of ticks, and of the schedule that it belongs to."""
    return ScheduleTick(
        schedule_id=schedule["schedule_id"],
        schedule_name=schedule["name"],
        scheduled_at=tick["scheduled_at"],
        fired_at=tick["fired_at"],
        tick_number=tick["number"],
        kind="catch_up" if tick["catch_up"] else tick["kind"],
        previous_scheduled_at=tick["previous_at"],
        metadata=_metadata(schedule),
        status=tick["status"],
        reason=tick["reason"],
        workflow_id=tick.get("workflow_id"),
    )


def input_of(tick: ScheduleTick) -> dict[str, Any]:
    """A tick as the input of a run."""
    return {
        "schedule_id": tick.schedule_id,
        "tick_number": tick.tick_number,
        "kind": tick.kind,
        "scheduled_at": tick.scheduled_at.isoformat(),
        "metadata": None if tick.metadata is None else dict(tick.metadata),
    }


def run_of(tick: ScheduleTick) -> str:
    """The id of the run of a tick: another one also for a schedule that was removed and registered anew."""
    return f"{tick.schedule_id}#{tick.tick_number}@{tick.scheduled_at.isoformat()}"


def _metadata(row: Mapping[str, Any]) -> dict[str, Any] | None:
    return None if row["metadata"] is None else JSON.decode(row["metadata"])


def _standing(row: Mapping[str, Any]) -> Standing:
    if row["error"] is not None:
        return "quarantined"
    if not row["enabled"]:
        return "disabled"
    if row["paused_at"] is not None:
        return "paused"
    return "finished" if row["due_at"] is None else "active"
