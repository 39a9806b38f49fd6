"""What is to be done with a schedule: which ticks it makes now, and when it is due again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import attrs

from promin_postgres.scheduler._records import TickKind
from promin_postgres.scheduler._settings import times_of

_TRIGGER = ("cron", "every", "rrule", "timezone", "dst_gap", "dst_fold", "start_at")
_INSTANT = timedelta(microseconds=1)
CANCELLED = "cancelled by the next tick"


@attrs.frozen(kw_only=True)
class Next:
    """The fire time that comes next, and when its tick is due; neither when there is none."""

    scheduled_at: datetime | None = None
    due_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Fire:
    """A tick to be made."""

    scheduled_at: datetime
    kind: TickKind


@attrs.frozen(kw_only=True)
class Plan:
    """What a due schedule does: ticks in their order, fire times that are given up, and what comes next."""

    fires: list[Fire]
    missed: int
    next: Next


@attrs.frozen(kw_only=True)
class Made:
    """A tick that was decided on: handed out, held back, skipped or cancelled at once."""

    fire: Fire
    status: str
    reason: str | None = None


def due(row: Mapping[str, Any], scheduled_at: datetime) -> datetime:
    """The fire time with its jitter, drawn from a hash: the same on every node."""
    if not row["jitter"]:
        return scheduled_at
    text = f"{row['namespace']}\0{row['schedule_id']}\0{scheduled_at.timestamp():.6f}"
    draw = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
    jitter: timedelta = row["jitter"] * draw
    return scheduled_at + jitter


def following(row: Mapping[str, Any], after: datetime) -> Next:
    """The first fire time after `after` that the bounds of the schedule allow."""
    if row["max_fires"] is not None and row["fires"] >= row["max_fires"]:
        return Next()
    start = row["start_at"]
    found = times_of(row).after(after if start is None else max(after, start - _INSTANT))
    if found is None or (row["end_at"] is not None and found >= row["end_at"]):
        return Next()
    return Next(scheduled_at=found, due_at=due(row, found))


def upcoming(row: Mapping[str, Any], after: datetime, count: int) -> list[datetime]:
    """The next fire times, as far as the bounds of the schedule allow."""
    found: list[datetime] = []
    if row["max_fires"] is not None:
        count = min(count, row["max_fires"] - row["fires"])
    while len(found) < count:
        step = following(row, found[-1] if found else after)
        if step.scheduled_at is None:
            break
        found.append(step.scheduled_at)
    return found


def registered(row: Mapping[str, Any], old: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    """The anchor and the next fire time of a schedule that is declared, perhaps once more.

    With the same trigger as before the next fire time stays, also when it has passed: registering at each start does
    not lose what was missed meanwhile. With another one nothing before now is made up for.
    """
    anchor, fires, after, paused = row["start_at"] or now, 0, now, False
    if old is not None:
        if all(row[name] == old[name] for name in ("every", "rrule", "start_at")):
            anchor = old["anchor_at"]
        stands: datetime | None = old["scheduled_at"]
        same = all(row[name] == old[name] for name in _TRIGGER)
        if same and old["enabled"] and old["error"] is None and stands is not None:
            after = stands - _INSTANT
        fires, paused = old["fires"], old["paused_at"] is not None
    full = {**row, "anchor_at": anchor, "fires": fires}
    step = following(full, after)
    idle = paused or not row["enabled"]
    return full | {"scheduled_at": step.scheduled_at, "due_at": None if idle else step.due_at}


def resumed(row: Mapping[str, Any], now: datetime, *, catch_up: bool) -> Next:
    """The next fire time after a pause: from now on, or from where it stood."""
    stands: datetime | None = row["scheduled_at"]
    step = following(row, stands - _INSTANT if catch_up and stands is not None else now)
    return step if row["enabled"] else Next(scheduled_at=step.scheduled_at)


def plan(row: Mapping[str, Any], now: datetime, grace: timedelta) -> Plan:
    """What a due schedule does now.

    A fire time that is due within the grace fires as scheduled. Of those before, the newest `max_catch_up` are made up
    for, and the rest is missed.
    """
    times = times_of(row)
    begin = row["scheduled_at"] - _INSTANT
    until = now if row["end_at"] is None else min(now, row["end_at"] - _INSTANT)
    edge = max(begin, min(until, now - grace - row["jitter"]))
    missed, late = times.between(begin, edge, row["max_catch_up"])
    timely: list[datetime] = []
    moment = times.after(edge)
    while moment is not None and moment <= until and (due_at := due(row, moment)) <= now:
        if not timely and now - due_at > grace:
            missed += 1
            late.append(moment)
        else:
            timely.append(moment)
        moment = times.after(moment)
    late = late[len(late) - min(len(late), row["max_catch_up"]) :]
    fires = [Fire(scheduled_at=moment, kind="catch_up") for moment in late]
    fires += [Fire(scheduled_at=moment, kind="scheduled") for moment in timely]
    step = Next() if moment is None else following(row, moment - _INSTANT)
    return Plan(fires=fires, missed=missed - len(late), next=step)


def decide(
    fires: Sequence[Fire], policy: str, *, ready: int, queued: int, limit: int, most: int | None = None
) -> tuple[list[Made], bool]:
    """What becomes of ticks, given how many of the schedule are not settled; and whether those are cancelled.

    `most` bounds how many are not skipped; what comes after it is not made at all.
    """
    made: list[Made] = []
    fired = 0
    cancels = policy == "cancel_previous" and bool(fires) and ready + queued > 0
    for fire in fires:
        if fired == most:
            break
        fired += 1
        if policy in ("allow", "cancel_previous") or ready + queued == 0:
            if policy == "cancel_previous" and made:
                made[-1] = attrs.evolve(made[-1], status="cancelled", reason=CANCELLED)
            made.append(Made(fire=fire, status="ready"))
            ready += 1
        elif policy != "skip" and queued < limit:
            made.append(Made(fire=fire, status="queued"))
            queued += 1
        else:
            reason = "the previous tick is not settled" if policy == "skip" else "the buffer is full"
            made.append(Made(fire=fire, status="skipped", reason=reason))
            fired -= 1
    return made, cancels


@attrs.define(kw_only=True)
class Firing:
    """A locked schedule that makes ticks: what it is to do, and then what it did.

    `scheduled` is False for ticks that somebody asked for: the schedule goes on as if there were none.
    """

    row: Mapping[str, Any]
    fires: Sequence[Fire]
    policy: str
    next: Next
    missed: int = 0
    scheduled: bool = True
    limit: int | None = None
    made: list[Made] = attrs.field(factory=list, init=False)

    def decide(self, ready: int, queued: int) -> bool:
        """Settle what becomes of each tick, given how many are open; whether those are to be cancelled."""
        most = self.row["max_fires"]
        left = None if most is None or not self.scheduled else max(0, most - self.row["fires"])
        self.made, cancels = decide(self.fires, self.policy, ready=ready, queued=queued, limit=self._limit, most=left)
        return cancels

    @property
    def _limit(self) -> int:
        if self.policy == "buffer_one":
            return 1
        return int(self.row["buffer_limit"]) if self.limit is None else self.limit

    def ticks(self) -> Iterator[tuple[Any, ...]]:
        """The columns of its ticks."""
        previous = self.row["last_scheduled_at"]
        for number, made in enumerate(self.made, self.row["ticks"]):
            moment, kind = made.fire.scheduled_at, made.fire.kind
            if kind == "backfill" and made is self.made[0]:
                previous = None
            catch_up = kind == "catch_up"
            yield (
                self.row["id"], number, "scheduled" if catch_up else kind, catch_up, moment, previous,
                made.status, made.reason,
            )  # fmt: skip
            previous = moment

    def move(self) -> tuple[Any, ...]:
        """The columns of the schedule after it."""
        row, step, last = self.row, self.next, self.row["last_scheduled_at"]
        fires = row["fires"]
        if self.scheduled:
            fires += sum(made.status != "skipped" for made in self.made)
            last = self.made[-1].fire.scheduled_at if self.made else last
            if row["max_fires"] is not None and fires >= row["max_fires"]:
                step = Next()
        return (
            row["id"], step.scheduled_at, step.due_at, last, row["ticks"] + len(self.made), fires,
            row["missed"] + self.missed,
        )  # fmt: skip


def asked(row: Mapping[str, Any], fires: Sequence[Fire], policy: str, *, limit: int | None = None) -> Firing:
    """Ticks that somebody asked for: the schedule goes on as it would have."""
    step = Next(scheduled_at=row["scheduled_at"], due_at=row["due_at"])
    return Firing(row=row, fires=fires, policy=policy, next=step, scheduled=False, limit=limit)
