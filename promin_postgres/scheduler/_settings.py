"""Schedules and arguments, checked. Pure."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import attrs

from promin_postgres._time import Seconds, check_moment, check_seconds
from promin_postgres.bell import channel_name, door_key
from promin_postgres.codec import JSON
from promin_postgres.errors import InvalidArgument
from promin_postgres.scheduler._firing import FireTimes, fire_times
from promin_postgres.scheduler._records import DstFold, DstGap, OverlapPolicy, Schedule

LONGEST_ID = 255
_LEASE = 10.0
_SHORTEST = 0.01
_LONGEST_JITTER = 7 * 86_400.0
_UNBOUNDED = 1 << 60
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def check_text(argument: str, value: str, *, longest: int = LONGEST_ID) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidArgument(argument, value, "must be a non-empty string")
    if len(value) > longest:
        raise InvalidArgument(argument, value, f"must have at most {longest} characters")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidArgument(argument, value, "must not contain NUL or surrogates")
    return value


def check_count(argument: str, value: int, *, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidArgument(argument, value, f"must be a whole number from {least} to {most}")
    return value


def _check_choice(argument: str, value: str, choices: Any) -> str:
    if value not in get_args(choices):
        raise InvalidArgument(argument, value, f"must be one of {', '.join(get_args(choices))}")
    return value


def _check_flag(argument: str, value: bool) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgument(argument, value, "must be True or False")
    return value


def check_overlap(argument: str, value: OverlapPolicy) -> OverlapPolicy:
    _check_choice(argument, value, OverlapPolicy)
    return value


def _check_interval(value: Seconds | None) -> timedelta | None:
    if value is None:
        return None
    seconds = check_seconds("interval", value, positive=True)
    if seconds < _SHORTEST:
        raise InvalidArgument("interval", value, f"must be at least {_SHORTEST} seconds")
    return timedelta(seconds=seconds)


def check_instant(argument: str, value: datetime) -> datetime:
    """A moment in UTC, where a day always has 24 hours."""
    return check_moment(argument, value).astimezone(UTC)


def check_range(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    first, last = check_instant("start", start), check_instant("end", end)
    if last <= first:
        raise InvalidArgument("end", end, f"must be after start, {start}")
    return first, last


def row_of(schedule: Schedule) -> dict[str, Any]:
    """The columns of a declared schedule.

    Raises:
        InvalidArgument: Names the field.
    """
    if not isinstance(schedule, Schedule):
        raise InvalidArgument("schedule", schedule, "must be a Schedule")
    triggers = {"cron": schedule.cron, "interval": schedule.interval, "rrule": schedule.rrule}
    given = [name for name, value in triggers.items() if value is not None]
    if len(given) != 1:
        shown = {name: triggers[name] for name in given} or None
        raise InvalidArgument(
            " or ".join(given or triggers), shown, "exactly one of cron, interval, rrule must be given"
        )
    texts = {"cron": schedule.cron or "", "rrule": schedule.rrule or "", "timezone": schedule.timezone}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise InvalidArgument(name, text, "must be a string")
    jitter = check_seconds("jitter", schedule.jitter)
    if jitter > _LONGEST_JITTER:
        raise InvalidArgument("jitter", schedule.jitter, "must be at most a week")
    start_at = None if schedule.start_at is None else check_instant("start_at", schedule.start_at)
    end_at = None if schedule.end_at is None else check_instant("end_at", schedule.end_at)
    if start_at is not None and end_at is not None and end_at <= start_at:
        raise InvalidArgument("end_at", end_at, f"must be after start_at, {start_at}")
    if schedule.max_fires is not None:
        check_count("max_fires", schedule.max_fires, least=1, most=_UNBOUNDED)
    if schedule.metadata is not None and not isinstance(schedule.metadata, Mapping):
        raise InvalidArgument("metadata", schedule.metadata, "must be a mapping")
    row = {
        "schedule_id": check_text("id", schedule.id),
        "name": check_text("name", schedule.id if schedule.name is None else schedule.name),
        "cron": schedule.cron,
        "every": _check_interval(schedule.interval),
        "rrule": schedule.rrule,
        "timezone": schedule.timezone,
        "overlap_policy": schedule.overlap_policy,
        "buffer_limit": schedule.buffer_limit,
        "max_catch_up": schedule.max_catch_up,
        "jitter": timedelta(seconds=jitter),
        "dst_gap": schedule.dst_gap,
        "dst_fold": schedule.dst_fold,
        "enabled": _check_flag("enabled", schedule.enabled),
        "start_at": start_at,
        "end_at": end_at,
        "max_fires": schedule.max_fires,
        "pause_on_failure": _check_flag("pause_on_failure", schedule.pause_on_failure),
        "metadata": None if schedule.metadata is None else JSON.encode(dict(schedule.metadata), subject="metadata"),
    }
    times_of(row | {"anchor_at": start_at or _EPOCH})
    return row


def times_of(row: Mapping[str, Any]) -> FireTimes:
    """The fire times of a row of schedules.

    Raises:
        InvalidArgument: The row cannot be evaluated: also one that was well when it was registered.
    """
    check_overlap("overlap_policy", row["overlap_policy"])
    _check_choice("dst_gap", row["dst_gap"], DstGap)
    _check_choice("dst_fold", row["dst_fold"], DstFold)
    check_count("buffer_limit", row["buffer_limit"], least=1, most=100_000)
    check_count("max_catch_up", row["max_catch_up"], least=0, most=1_000)
    return fire_times(
        cron=row["cron"],
        interval=_check_interval(row["every"]),
        rrule=row["rrule"],
        timezone=row["timezone"],
        dst_gap=row["dst_gap"],
        dst_fold=row["dst_fold"],
        anchor=row["anchor_at"],
    )


@attrs.frozen(kw_only=True)
class SchedulerSettings:
    """The settings of one scheduler object."""

    namespace: str
    instance_id: str
    poll_interval: float
    lease: timedelta
    grace: timedelta

    @classmethod
    def checked(
        cls,
        *,
        namespace: str | None,
        instance_id: str | None,
        poll_interval: Seconds,
        lease: Seconds | None,
        grace: Seconds | None,
    ) -> SchedulerSettings:
        poll = check_seconds("poll_interval", poll_interval, positive=True)
        held = max(_LEASE, 3 * poll) if lease is None else check_seconds("lease", lease, positive=True)
        if held < 2 * poll:
            raise InvalidArgument("lease", lease, f"must be at least twice the poll_interval, {2 * poll:g} seconds")
        made_up = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        return cls(
            namespace="" if namespace is None else check_text("namespace", namespace),
            instance_id=made_up if instance_id is None else check_text("instance_id", instance_id),
            poll_interval=poll,
            lease=timedelta(seconds=held),
            grace=timedelta(seconds=3 * held if grace is None else check_seconds("grace", grace)),
        )

    def bell_of(self, schema: str, table_prefix: str) -> tuple[str, int]:
        """The channel that rings for the ticks of this namespace, and its door."""
        channel = channel_name(schema, f"{table_prefix}schedule_ticks {self.namespace}")
        return channel, door_key(channel)
