"""What the durable scheduler promises, on both twins, with the time in the hands of the test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from _schedules import at, moments, turn
from psycopg.conninfo import make_conninfo

from promin_postgres.errors import InvalidArgument, NotFound
from promin_postgres.scheduler import Schedule

SUITE_RUNS = "async"

NEW_YORK = ZoneInfo("America/New_York")


def test_a_fire_time_makes_a_tick(make_scheduler, clock):
    scheduler = make_scheduler()
    state = scheduler.register("hourly", name="Every hour", cron="0 * * * *", metadata={"to": ["é"]})
    assert (state.standing, state.next_fire_at, state.ticks) == ("active", at(13), 0)
    assert turn(scheduler) == 0
    clock.now = at(13, 0, 2)
    assert turn(scheduler) == 1
    assert turn(scheduler) == 0
    clock.now = at(14)
    turn(scheduler)
    second, first = scheduler.history("hourly")
    assert (first.schedule_id, first.schedule_name, first.metadata) == ("hourly", "Every hour", {"to": ["é"]})
    assert (first.kind, first.status, first.tick_number, second.tick_number) == ("scheduled", "ready", 0, 1)
    assert (first.scheduled_at, first.lateness) == (at(13), timedelta(seconds=2))
    assert (first.previous_scheduled_at, second.previous_scheduled_at) == (None, at(13))
    state = scheduler.get("hourly")
    assert (state.last_scheduled_at, state.next_fire_at, state.ticks, state.fires) == (at(14), at(15), 2, 2)


def test_six_fields_and_rules_and_intervals_fire(make_scheduler, clock):
    scheduler = make_scheduler()
    scheduler.register("seconds", cron="*/30 * * * * *")
    scheduler.register("rule", rrule="FREQ=MINUTELY;INTERVAL=2", start_at=at(12, 1))
    scheduler.register("interval", interval=timedelta(seconds=45))
    for _ in range(8):
        clock.now += timedelta(seconds=15)
        turn(scheduler)
    assert moments(scheduler, "seconds") == [at(12, 0, 30), at(12, 1), at(12, 1, 30), at(12, 2)]
    assert moments(scheduler, "rule") == [at(12, 1)]
    assert moments(scheduler, "interval") == [at(12, 0, 45), at(12, 1, 30)]


def test_a_session_in_another_zone_changes_nothing(make_scheduler, clock, promin_dsn):
    scheduler = make_scheduler(make_conninfo(promin_dsn, options="-c timezone=America/New_York"))
    clock.now = datetime(2026, 3, 7, 12, tzinfo=UTC)
    scheduler.register("daily", interval=86_400)
    for day in (8, 9):
        clock.now = datetime(2026, 3, day, 12, tzinfo=UTC)
        turn(scheduler)
    assert moments(scheduler, "daily") == [datetime(2026, 3, day, 12, tzinfo=UTC) for day in (8, 9)]


@pytest.mark.parametrize("most", [0, 1, 3])
def test_a_month_of_downtime_is_made_up_for_as_far_as_asked(make_scheduler, clock, most):
    scheduler = make_scheduler()
    scheduler.register("daily", cron="30 6 * * *", max_catch_up=most)
    clock.now = at(18) + timedelta(days=30)
    assert turn(scheduler) == most
    assert turn(scheduler) == 0
    newest = [at(6, 30) + timedelta(days=30 - n) for n in range(most)][::-1]
    ticks = scheduler.history("daily")[::-1]
    assert [(tick.scheduled_at, tick.kind) for tick in ticks] == [(moment, "catch_up") for moment in newest]
    state = scheduler.get("daily")
    assert (state.missed, state.next_fire_at) == (30 - most, at(6, 30) + timedelta(days=31))


def test_downtime_of_a_schedule_by_the_second_is_counted_at_once(make_scheduler, clock):
    scheduler = make_scheduler()
    scheduler.register("seconds", cron="* * * * * *", max_catch_up=2)
    clock.now += timedelta(days=30)
    assert turn(scheduler) == 2 + 30  # and what is within the grace of 30 seconds
    state = scheduler.get("seconds")
    assert state.missed == 30 * 86_400 - 32
    ticks = scheduler.history("seconds")[::-1]
    assert [tick.kind for tick in ticks] == ["catch_up"] * 2 + ["scheduled"] * 30
    assert moments(scheduler, "seconds")[-1] == clock.now


def test_registering_again_keeps_what_was_missed_and_another_trigger_does_not(make_scheduler, clock):
    scheduler = make_scheduler()
    scheduler.register("daily", cron="0 6 * * *", max_catch_up=5)
    clock.now += timedelta(days=3)
    scheduler.register("daily", name="renamed", cron="0 6 * * *", max_catch_up=2)
    assert turn(scheduler) == 2
    clock.now += timedelta(days=3)
    scheduler.register("daily", cron="0 7 * * *", max_catch_up=2)
    assert turn(scheduler) == 0
    state = scheduler.get("daily")
    assert (state.ticks, state.missed, state.next_fire_at) == (2, 1, at(7) + timedelta(days=7))


def test_a_pause_is_not_downtime(make_scheduler, clock):
    scheduler = make_scheduler()
    scheduler.register("hourly", cron="0 * * * *", max_catch_up=3)
    scheduler.pause("hourly", "holiday")
    scheduler.pause("hourly", "again")
    state = scheduler.get("hourly")
    assert (state.standing, state.pause_reason, state.next_fire_at) == ("paused", "holiday", None)
    clock.now = at(12) + timedelta(days=2, minutes=30)
    assert turn(scheduler) == 0
    assert scheduler.register("hourly", cron="0 * * * *", max_catch_up=3).standing == "paused"
    scheduler.resume("hourly")
    state = scheduler.get("hourly")
    assert (state.standing, state.pause_reason, state.missed) == ("active", None, 0)
    assert state.next_fire_at == at(13) + timedelta(days=2)
    assert turn(scheduler) == 0


def test_resuming_with_catch_up(make_scheduler, clock):
    scheduler = make_scheduler()
    scheduler.register("hourly", cron="0 * * * *", max_catch_up=3)
    scheduler.pause("hourly")
    clock.now = at(12) + timedelta(days=1, minutes=30)
    scheduler.resume("hourly", catch_up=True)
    assert turn(scheduler) == 3
    assert scheduler.get("hourly").missed == 21


def test_disabling_and_enabling(make_scheduler, clock):
    scheduler = make_scheduler()
    scheduler.register("off", cron="0 * * * *", enabled=False, max_catch_up=9)
    scheduler.register("on", cron="0 * * * *")
    assert [state.id for state in scheduler.list(enabled=False)] == ["off"]
    assert [state.standing for state in scheduler.list()] == ["disabled", "active"]
    clock.now = at(15, 30)
    scheduler.register("off", cron="0 * * * *", max_catch_up=9)
    turn(scheduler)
    assert moments(scheduler, "off") == []
    assert scheduler.get("off").next_fire_at == at(16)


def test_bounds(make_scheduler, clock):
    scheduler = make_scheduler()
    scheduler.register("bounded", cron="* * * * *", start_at=at(12, 5), end_at=at(12, 8), max_catch_up=9)
    scheduler.register("few", cron="* * * * *", max_fires=2, max_catch_up=9)
    assert scheduler.next_fire_times("bounded", 9) == [at(12, minute) for minute in (5, 6, 7)]
    assert scheduler.next_fire_times("few", 9) == [at(12, 1), at(12, 2)]
    clock.now = at(13)
    turn(scheduler)
    assert moments(scheduler, "bounded") == [at(12, minute) for minute in (5, 6, 7)]
    assert len(moments(scheduler, "few")) == 2
    assert [scheduler.get(one).standing for one in ("bounded", "few")] == ["finished", "finished"]
    assert scheduler.next_fire_times("few", 9) == []
    assert scheduler.register("few", cron="* * * * *", max_fires=3).next_fire_at == at(13, 1)


def test_next_fire_times_in_a_zone(make_scheduler):
    scheduler = make_scheduler()
    scheduler.register("nightly", cron="30 2 * * *", timezone="America/New_York", jitter=3600)
    after = datetime(2026, 3, 7, tzinfo=NEW_YORK)
    found = [moment.astimezone(NEW_YORK).isoformat() for moment in scheduler.next_fire_times("nightly", 3, after)]
    assert found == ["2026-03-07T02:30:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"]


def test_jitter_delays_and_is_the_same_everywhere(make_scheduler, clock):
    first, second = make_scheduler(), make_scheduler()
    first.register("jittered", cron="*/10 * * * *", jitter=300)
    due = first.get("jittered").next_fire_at
    assert at(12, 10) < due < at(12, 15)
    second.unregister("jittered")
    assert second.register("jittered", cron="*/10 * * * *", jitter=300).next_fire_at == due
    clock.now = due - timedelta(seconds=1)
    assert turn(first) == 0
    clock.now = due
    assert turn(first) == 1
    (tick,) = first.history("jittered")
    assert (tick.scheduled_at, tick.kind) == (at(12, 10), "scheduled")
    assert first.get("jittered").next_fire_at not in (due + timedelta(minutes=10), at(12, 20))


def test_trigger_now(make_scheduler, clock, promin_dsn):
    scheduler = make_scheduler()
    scheduler.register("rare", cron="0 0 1 1 *", metadata={"a": 1})
    scheduler.pause("rare")
    ticks = [scheduler.trigger_now("rare") for _ in range(3)]
    assert [(tick.tick_number, tick.kind, tick.scheduled_at) for tick in ticks] == [
        (number, "manual", at(12)) for number in range(3)
    ]
    assert ticks[0].metadata == {"a": 1}
    scheduler.register("rare", cron="0 0 1 1 *", overlap_policy="skip")
    assert scheduler.trigger_now("rare") is None
    skipped = scheduler.history("rare")[0]
    assert (skipped.status, skipped.reason) == ("skipped", "the previous tick is not settled")
    with pytest.raises(NotFound):
        scheduler.trigger_now("unknown")


def test_a_backfill_is_made_once(make_scheduler, clock):
    scheduler = make_scheduler()
    scheduler.register("daily", cron="0 0 * * *")
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC)
    ticks = scheduler.backfill("daily", start=start, end=end)
    assert [tick.scheduled_at.day for tick in ticks] == [1, 2, 3, 4]
    assert {(tick.kind, tick.status) for tick in ticks} == {("backfill", "ready")}
    assert [tick.previous_scheduled_at and tick.previous_scheduled_at.day for tick in ticks] == [None, 1, 2, 3]
    assert scheduler.backfill("daily", start=start, end=end) == ticks
    longer = scheduler.backfill("daily", start=start, end=end + timedelta(days=1))
    assert (longer[:4], longer[4].tick_number) == (ticks, 4)
    assert (scheduler.get("daily").ticks, scheduler.get("daily").fires) == (5, 0)


def test_a_backfill_across_a_change_of_the_clocks(make_scheduler):
    scheduler = make_scheduler()
    scheduler.register("daily", cron="0 0 * * *", timezone="America/New_York")
    start, end = datetime(2026, 3, 7, tzinfo=NEW_YORK), datetime(2026, 3, 10, tzinfo=NEW_YORK)
    found = [tick.scheduled_at for tick in scheduler.backfill("daily", start=start, end=end)]
    assert found == [datetime(2026, 3, day, hour, tzinfo=UTC) for day, hour in ((7, 5), (8, 5), (9, 4))]


@pytest.mark.parametrize(
    ("overlap", "statuses"),
    [
        ("allow", ["ready"] * 4),
        ("skip", ["ready", "skipped", "skipped", "skipped"]),
        ("queue", ["ready", "queued", "queued", "queued"]),
        ("buffer_one", ["ready", "queued", "skipped", "skipped"]),
        ("cancel_previous", ["cancelled", "cancelled", "cancelled", "ready"]),
    ],
)
def test_how_a_backfill_overlaps(make_scheduler, overlap, statuses):
    scheduler = make_scheduler()
    scheduler.register("daily", cron="0 0 * * *", buffer_limit=1)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    ticks = scheduler.backfill("daily", start=start, end=start + timedelta(days=4), overlap=overlap)
    assert [tick.status for tick in ticks] == statuses


def test_too_long_a_backfill_is_refused(make_scheduler):
    scheduler = make_scheduler()
    scheduler.register("seconds", cron="* * * * * *")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidArgument, match="86400 fire times"):
        scheduler.backfill("seconds", start=start, end=start + timedelta(days=1))
    assert scheduler.history("seconds") == []


def test_apply(make_scheduler, clock):
    scheduler = make_scheduler()
    scheduler.register("old", cron="* * * * *")
    scheduler.trigger_now("old")
    wanted = [Schedule(id="b", interval=60), Schedule(id="a", cron="@daily", timezone="Europe/Kyiv")]
    assert [state.id for state in scheduler.apply(wanted)] == ["b", "a"]
    assert [state.id for state in scheduler.list()] == ["a", "b", "old"]
    before = scheduler.apply(wanted, remove_missing=True)
    assert [state.id for state in scheduler.list()] == ["a", "b"]
    assert scheduler.apply(wanted, remove_missing=True) == before, "nothing was written: updated_at is the same"
    assert scheduler.apply(before) == before, "what comes out goes in"
    with pytest.raises(InvalidArgument, match=r"schedules\[1\].cron='0 0 31 2 \*': never fires"):
        scheduler.apply([Schedule(id="c", interval=60), Schedule(id="d", cron="0 0 31 2 *")], remove_missing=True)
    with pytest.raises(InvalidArgument, match="2 times"):
        scheduler.apply([Schedule(id="c", interval=60), Schedule(id="c", interval=61)])
    assert [state.id for state in scheduler.list()] == ["a", "b"]
    assert scheduler.apply([], remove_missing=True) == scheduler.list() == []


def test_unregister_leaves_nothing_behind(make_scheduler, promin_dsn):
    scheduler = make_scheduler()
    scheduler.register("a", interval=60)
    scheduler.trigger_now("a")
    assert scheduler.unregister("a") is True
    assert scheduler.unregister("a") is False
    for call in (scheduler.get, scheduler.history, scheduler.pause, scheduler.resume):
        with pytest.raises(NotFound, match="'a'"):
            call("a")
    with psycopg.connect(promin_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM wf_schedule_ticks").fetchone() == (0,)


def test_namespaces_do_not_see_each_other(make_scheduler, clock):
    one, other = make_scheduler(namespace="one"), make_scheduler(namespace="other")
    for scheduler in (one, other, make_scheduler()):
        scheduler.register("same", interval=60)
    clock.now = at(12, 1)
    assert turn(one) == 1
    assert (len(one.history("same")), len(other.history("same"))) == (1, 0)
    one.apply([], remove_missing=True)
    assert len(other.list()) == 1


def test_writing_joins_the_callers_transaction(make_scheduler, twin, promin_dsn):
    scheduler = make_scheduler()
    connection = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect(promin_dsn)
    scheduler.register("a", cron="0 0 * * *", connection=connection)
    scheduler.trigger_now("a", connection=connection)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    scheduler.backfill("a", start=start, end=start + timedelta(days=1), connection=connection)
    assert scheduler.list() == []
    connection.rollback()
    assert scheduler.list() == []
    scheduler.apply([Schedule(id="a", interval=60)], connection=connection)
    scheduler.pause("a", connection=connection)
    connection.commit()
    assert scheduler.get("a").standing == "paused"
    scheduler.resume("a", connection=connection)
    scheduler.unregister("a", connection=connection)
    connection.rollback()
    assert scheduler.get("a").standing == "paused"
    connection.close()


def test_purge_removes_what_is_over(make_scheduler, promin_dsn):
    scheduler = make_scheduler()
    scheduler.register("a", interval=60, overlap_policy="skip")
    for _ in range(3):
        scheduler.trigger_now("a")
    assert scheduler.purge(older_than=3600) == 0
    assert scheduler.purge(older_than=0) == 2
    assert [tick.status for tick in scheduler.history("a")] == ["ready"]


DAMAGES = {
    "cron": "cron = 'every day'",
    "never": "cron = '0 0 31 2 *'",
    "zone": "timezone = 'Mars/Olympus'",
    "interval": "cron = NULL, every = '-1 second'",
    "short interval": "cron = NULL, every = '1 microsecond'",
    "rule": "cron = NULL, rrule = 'FREQ=NEVER'",
    "policy": "overlap_policy = 'sometimes'",
    "buffer": "buffer_limit = -1",
    "catch-up": "max_catch_up = 2000000000",
    "gap": "dst_gap = ''",
    "infinity": "scheduled_at = '-infinity'",
    "no moment": "scheduled_at = NULL",
    "far": "end_at = '20000-01-01'",
    "due for ever": "due_at = '-infinity'",
    "number": "ticks = 9223372036854775807",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_schedule_is_set_aside_alone(make_scheduler, clock, promin_dsn, damage):
    scheduler = make_scheduler()
    for one in ("before", "broken", "then"):
        scheduler.register(one, cron="0 * * * *")
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute(f"UPDATE wf_schedules SET {DAMAGES[damage]} WHERE schedule_id = 'broken'")
    clock.now = at(13)
    assert turn(scheduler) == 2
    assert turn(scheduler) == 0
    assert moments(scheduler, "before") == moments(scheduler, "then") == [at(13)]
    assert [state.standing for state in scheduler.list()] == ["active", "quarantined", "active"]
    assert scheduler.get("broken").error
    mended = scheduler.register("broken", cron="0 * * * *")
    assert (mended.standing, mended.next_fire_at) == ("active", at(14))


def test_a_quarantined_schedule_is_mended_by_registering_or_resuming(make_scheduler, clock, promin_dsn):
    scheduler = make_scheduler()
    scheduler.register("broken", cron="0 * * * *")
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("UPDATE wf_schedules SET timezone = 'Mars/Olympus'")
        clock.now = at(13)
        turn(scheduler)
        state = scheduler.get("broken")
        assert (state.standing, state.next_fire_at) == ("quarantined", None)
        assert "Mars/Olympus" in state.error
        with pytest.raises(InvalidArgument, match="timezone='Mars/Olympus'"):
            scheduler.resume("broken")
        connection.execute("UPDATE wf_schedules SET timezone = 'UTC'")
    scheduler.resume("broken")
    assert scheduler.get("broken").standing == "active"
    assert scheduler.register("broken", cron="0 * * * *").next_fire_at == at(14)
