"""Whenever a scheduler looks, each fire time becomes a tick or counts as missed: once, and in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from promin_postgres.scheduler import Schedule
from promin_postgres.scheduler._plan import Fire, Firing, decide, plan, registered
from promin_postgres.scheduler._settings import row_of, times_of

START = datetime(2026, 3, 28, 12, tzinfo=UTC)
GRACE = timedelta(seconds=30)
STATE = {"namespace": "", "id": 1, "ticks": 0, "missed": 0, "last_scheduled_at": None}


def schedules():
    trigger = st.one_of(
        st.sampled_from(["* * * * *", "*/7 * * * * *", "30 2 * * *", "0 */3 * * *", "15 9 * * 1-5"]).map(
            lambda cron: {"cron": cron}
        ),
        st.floats(5, 100_000).map(lambda seconds: {"interval": round(seconds, 3)}),
    )
    return st.builds(
        lambda trigger, **options: Schedule(id="s", timezone="Europe/Berlin", **trigger, **options),
        trigger,
        max_catch_up=st.sampled_from([0, 1, 3, 50]),
        jitter=st.sampled_from([0, 20, 3600]),
        max_fires=st.one_of(st.none(), st.integers(1, 200)),
        end_at=st.one_of(st.none(), st.just(START + timedelta(days=2))),
    )


LOOKS = st.lists(st.one_of(st.floats(0.1, 40), st.floats(0.1, 200_000)), min_size=1, max_size=25)


@settings(max_examples=200, deadline=None)
@given(schedules(), LOOKS)
def test_each_fire_time_is_accounted_for(schedule, looks):
    row = STATE | registered(row_of(schedule) | STATE, None, START)
    now, made = START, []
    for seconds in looks:
        now += timedelta(seconds=seconds)
        while row["due_at"] is not None and row["due_at"] <= now:
            planned = plan(row, now, GRACE)
            firing = Firing(row=row, fires=planned.fires, policy="allow", next=planned.next, missed=planned.missed)
            firing.decide(0, 0)
            assert sum(one.fire.kind == "catch_up" for one in firing.made) <= schedule.max_catch_up
            assert all(
                now - one.fire.scheduled_at <= GRACE + timedelta(seconds=schedule.jitter)
                for one in firing.made
                if one.fire.kind == "scheduled"
            )
            made += [one.fire.scheduled_at for one in firing.made]
            _, at, due, last, ticks, fires, missed = firing.move()
            row |= {"scheduled_at": at, "due_at": due, "last_scheduled_at": last} | {
                "ticks": ticks, "fires": fires, "missed": missed,
            }  # fmt: skip
    assert all(a < b for a, b in pairwise(made))
    assert len(made) == row["ticks"] == row["fires"]
    until = now if schedule.end_at is None else min(now, schedule.end_at - timedelta(microseconds=1))
    if row["fires"] == schedule.max_fires:
        assert row["due_at"] is None
    else:
        assert row["scheduled_at"] is None or row["due_at"] > now
        pending = 0 if row["scheduled_at"] is None or row["scheduled_at"] > until else 1
        total, _ = times_of(row).between(START, until, 0)
        behind = total if pending == 0 else times_of(row).between(START, row["scheduled_at"], 0)[0] - 1
        assert len(made) + row["missed"] == behind


@given(
    st.sampled_from(["allow", "skip", "queue", "buffer_one", "cancel_previous"]),
    st.integers(0, 3), st.integers(0, 3), st.integers(1, 4), st.integers(0, 6), st.one_of(st.none(), st.integers(0, 4)),
)  # fmt: skip
def test_what_becomes_of_ticks(policy, ready, queued, limit, count, most):
    fires = [Fire(scheduled_at=START + timedelta(minutes=n), kind="scheduled") for n in range(count)]
    bound = 1 if policy == "buffer_one" else limit
    made, cancels = decide(fires, policy, ready=ready, queued=queued, limit=bound, most=most)
    statuses = [one.status for one in made]
    assert [one.fire for one in made] == fires[: len(made)]
    assert len(made) == count or sum(status != "skipped" for status in statuses) == most
    assert all((one.reason is None) == (one.status in ("ready", "queued")) for one in made)
    open_before = ready + queued
    if policy == "allow":
        assert set(statuses) <= {"ready"}
    elif policy == "cancel_previous":
        assert cancels == (count > 0 and open_before > 0)
        assert statuses == ["cancelled"] * (len(made) - 1) + ["ready"] * bool(made)
    else:
        assert statuses.count("ready") == (1 if made and not open_before else 0)
        assert statuses.count("queued") <= max(0, bound - queued)
        assert policy != "skip" or "queued" not in statuses
    assert cancels <= (policy == "cancel_previous")


def test_the_number_of_fires_bounds_a_plan():
    row = STATE | registered(
        row_of(Schedule(id="s", cron="* * * * *", max_fires=2, max_catch_up=9)) | STATE, None, START
    )
    planned = plan(row, START + timedelta(hours=1), GRACE)
    firing = Firing(row=row, fires=planned.fires, policy="allow", next=planned.next)
    firing.decide(0, 0)
    assert len(list(firing.ticks())) == 2
    assert firing.move()[1:3] == (None, None)
