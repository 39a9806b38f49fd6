"""What goes in and comes out of a scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

import attrs

from promin_postgres._time import Seconds

OverlapPolicy = Literal["allow", "skip", "queue", "buffer_one", "cancel_previous"]
"""What becomes of a tick while another one of its schedule is not settled yet."""

DstGap = Literal["fire", "skip"]
DstFold = Literal["first", "last", "both"]

TickKind = Literal["scheduled", "catch_up", "manual", "backfill"]
"""Why a tick was made: its time came, it was missed and made up for, somebody asked for it, or for a range."""

TickStatus = Literal["ready", "queued", "settled", "skipped", "cancelled"]
"""`ready` is handed out, or being worked on; `queued` waits for the one before it."""

Standing = Literal["active", "paused", "disabled", "finished", "quarantined"]


@attrs.frozen(kw_only=True)
class Schedule:
    """A schedule as it is declared.

    Args:
        id: 1 to 255 characters, unique in the namespace.
        name: For people; by default the id.
        cron: Five fields (minute, hour, day of month, month, day of week), or six with the seconds first, or an alias
            such as @daily. A day of the month may be `L`, the last one; a day of the week `mon#2`, the second Monday of
            the month, or `L1`, the last one.
        interval: Seconds or a timedelta, at least 0.01; counted in UTC from `start_at`, or from the registration.
        rrule: A recurrence rule (RFC 5545) of minutes or longer, which begins at `start_at` or at the registration;
            needs the extra `rrule`.
        timezone: The IANA zone that cron and rrule speak of.
        overlap_policy: What happens when a tick of the schedule is not settled yet: "allow" fires beside it; "skip"
            records a skipped tick; "queue" holds up to `buffer_limit` ticks back, "buffer_one" one, until those before
            are settled; "cancel_previous" cancels those before.
        buffer_limit: Of "queue"; 1 to 100,000.
        max_catch_up: How many missed fire times are made up for after downtime: the newest; 0 to 1,000.
        jitter: Fire up to so much later, in seconds or as a timedelta: for each fire time another, the same everywhere.
        dst_gap: Whether a time of day that the clocks skip fires, when they do.
        dst_fold: At which pass a time of day that comes twice fires. A cron expression whose minute or hour begins with
            `*`, and a rule by the hour or minute, fires whenever the wall clock says so: both of these leave it alone.
        enabled: Whether it fires at all.
        start_at: The earliest fire time, an aware datetime.
        end_at: All fire times are before it, an aware datetime.
        max_fires: After so many scheduled ticks, skipped ones not counted, it is finished.
        pause_on_failure: Pause when a consumer gives a tick back as failed (`nack`).
        metadata: A JSON object that every tick carries.
    """

    id: str
    name: str | None = None
    cron: str | None = None
    interval: Seconds | None = None
    rrule: str | None = None
    timezone: str = "UTC"
    overlap_policy: OverlapPolicy = "allow"
    buffer_limit: int = 100
    max_catch_up: int = 0
    jitter: Seconds = 0
    dst_gap: DstGap = "fire"
    dst_fold: DstFold = "first"
    enabled: bool = True
    start_at: datetime | None = None
    end_at: datetime | None = None
    max_fires: int | None = None
    pause_on_failure: bool = False
    metadata: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class ScheduleState(Schedule):
    """A schedule as it stands.

    Attributes:
        standing: Whether it fires, or why not.
        next_fire_at: When the next tick is due, jitter included; None when none is.
        last_scheduled_at: The fire time of its latest scheduled tick.
        ticks: How many ticks it has made, of all kinds.
        fires: How many scheduled ones, skipped ones not counted.
        missed: How many fire times came and went while no scheduler ran, and were not made up for.
        pause_reason: What was given to `pause`, or the failure that paused it.
        error: Why it cannot be evaluated, when it is quarantined; register it anew, or `resume` it.
    """

    standing: Standing
    next_fire_at: datetime | None
    last_scheduled_at: datetime | None
    ticks: int
    fires: int
    missed: int
    paused_at: datetime | None
    pause_reason: str | None
    error: str | None
    created_at: datetime
    updated_at: datetime


@attrs.frozen(kw_only=True)
class ScheduleTick:
    """One firing of a schedule.

    Attributes:
        scheduled_at: The fire time; of a manual tick when it was asked for.
        fired_at: When the tick was made.
        tick_number: 0, 1, 2, ... per schedule, over all kinds, skipped ones included.
        previous_scheduled_at: The fire time of the scheduled tick before it; of a backfill, the one before it in the
            range.
        metadata: Those of the schedule.
        reason: Why it was skipped or cancelled, or the last failure that a consumer reported or that its run ended by.
        workflow_id: The run that it has started.
    """

    schedule_id: str
    schedule_name: str
    scheduled_at: datetime
    fired_at: datetime
    tick_number: int
    kind: TickKind
    previous_scheduled_at: datetime | None
    metadata: Mapping[str, Any] | None
    status: TickStatus
    reason: str | None
    workflow_id: str | None = None

    @property
    def lateness(self) -> timedelta:
        """How long after its fire time it was made, jitter included."""
        return self.fired_at - self.scheduled_at


@attrs.frozen(kw_only=True)
class SchedulerHealth:
    """How the loop of one scheduler object is doing.

    Attributes:
        running: Whether `run` is under way.
        leader: The instance that fires, as of the last look.
        is_leader: Whether it is this one.
        polled_at: The last look that succeeded.
        fired: Ticks made by this object's loop.
        failures: Looks that failed in a row; `error` says how the last one did.
    """

    instance_id: str
    running: bool
    is_leader: bool
    leader: str | None
    polled_at: datetime | None
    fired: int
    failures: int
    error: str | None


Schedules: TypeAlias = list[ScheduleState]
Ticks: TypeAlias = list[ScheduleTick]
Moments: TypeAlias = list[datetime]
