"""What the durable scheduler refuses: each time with the field and the value, and before anything is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from promin_postgres.errors import InvalidArgument

SUITE_RUNS = "async"

START = datetime(2026, 1, 1, tzinfo=UTC)
NAIVE = START.replace(tzinfo=None)
BAD = [
    ({}, "cron"),
    ({"cron": "* * * * *", "interval": 5}, "cron or interval"),
    ({"interval": 5, "rrule": "FREQ=DAILY"}, "interval or rrule"),
    ({"cron": "0 0 31 2 *"}, "cron"),
    ({"cron": "0 0 30 feb *"}, "cron"),
    ({"cron": "R * * * *"}, "cron"),
    ({"cron": "H H * * *"}, "cron"),
    ({"cron": "0 0 15W * *"}, "cron"),
    ({"cron": "61 * * * *"}, "cron"),
    ({"cron": "* * * *"}, "cron"),
    ({"cron": "0 0 1 1 * 0 2030"}, "cron"),
    ({"cron": ""}, "cron"),
    ({"cron": "@reboot"}, "cron"),
    ({"cron": 5}, "cron"),
    ({"cron": ["* * * * *"]}, "cron"),
    ({"rrule": ["FREQ=DAILY"]}, "rrule"),
    ({"interval": 5, "timezone": ["UTC"]}, "timezone"),
    ({"interval": 5, "overlap_policy": ["skip"]}, "overlap_policy"),
    ({"cron": "*/0 * * * *"}, "cron"),
    ({"cron": "5-1-2 * * * *"}, "cron"),
    ({"cron": "? * * * *"}, "cron"),
    ({"cron": "0 0 * * 1#6"}, "cron"),
    ({"cron": "0 0 * * L"}, "cron"),
    ({"cron": "0 0 * 13 *"}, "cron"),
    ({"cron": ", * * * *"}, "cron"),
    ({"interval": 0}, "interval"),
    ({"interval": -1}, "interval"),
    ({"interval": 0.001}, "interval"),
    ({"interval": float("nan")}, "interval"),
    ({"interval": "5"}, "interval"),
    ({"interval": True}, "interval"),
    ({"rrule": "FREQ=SOMETIMES"}, "rrule"),
    ({"rrule": "FREQ=SECONDLY"}, "rrule"),
    ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "rrule"),
    ({"rrule": "FREQ=DAILY;COUNT=1000000"}, "rrule"),
    ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31"}, "rrule"),
    ({"rrule": "DTSTART:20260101T000000\nRRULE:FREQ=DAILY"}, "rrule"),
    ({"rrule": "FREQ=DAILY;UNTIL=20200101T000000"}, "rrule"),
    ({"rrule": ""}, "rrule"),
    ({"rrule": 5}, "rrule"),
    ({"interval": 5, "timezone": "Mars/Olympus"}, "timezone"),
    ({"interval": 5, "timezone": ""}, "timezone"),
    ({"interval": 5, "timezone": "../etc/passwd"}, "timezone"),
    ({"interval": 5, "timezone": None}, "timezone"),
    ({"interval": 5, "overlap_policy": "maybe"}, "overlap_policy"),
    ({"interval": 5, "buffer_limit": 0}, "buffer_limit"),
    ({"interval": 5, "max_catch_up": -1}, "max_catch_up"),
    ({"interval": 5, "max_catch_up": 1001}, "max_catch_up"),
    ({"interval": 5, "jitter": -1}, "jitter"),
    ({"interval": 5, "jitter": timedelta(days=8)}, "jitter"),
    ({"interval": 5, "dst_gap": "maybe"}, "dst_gap"),
    ({"interval": 5, "dst_fold": "never"}, "dst_fold"),
    ({"interval": 5, "enabled": 1}, "enabled"),
    ({"interval": 5, "start_at": NAIVE}, "start_at"),
    ({"interval": 5, "end_at": "tomorrow"}, "end_at"),
    ({"interval": 5, "start_at": START, "end_at": START}, "end_at"),
    ({"interval": 5, "max_fires": 0}, "max_fires"),
    ({"interval": 5, "pause_on_failure": "yes"}, "pause_on_failure"),
    ({"interval": 5, "metadata": [1]}, "metadata"),
    ({"interval": 5, "name": ""}, "name"),
    ({"interval": 5, "name": "a\x00b"}, "name"),
]


@pytest.mark.parametrize(("options", "field"), BAD, ids=lambda value: str(value)[:60])
def test_bad_schedules_are_refused_with_the_field_and_the_value(make_scheduler, options, field):
    scheduler = make_scheduler()
    with pytest.raises(InvalidArgument) as caught:
        scheduler.register("bad", **options)
    assert caught.value.argument.startswith(field)
    if field in options:
        assert caught.value.value is options[field] or caught.value.value == options[field]
    assert scheduler.list() == []


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda s: s.register("", interval=5), "id"),
        (lambda s: s.register("x" * 256, interval=5), "id"),
        (lambda s: s.register("\ud800", interval=5), "id"),
        (lambda s: s.apply([{"id": "a"}]), "schedules[0].schedule"),
        (lambda s: s.get(5), "id"),
        (lambda s: s.pause("a", ""), "reason"),
        (lambda s: s.next_fire_times("a", 0), "count"),
        (lambda s: s.next_fire_times("a", 1, NAIVE), "after"),
        (lambda s: s.history("a", 0), "limit"),
        (lambda s: s.backfill("a", start=START, end=START), "end"),
        (lambda s: s.backfill("a", start=NAIVE, end=START), "start"),
        (lambda s: s.backfill("a", start=START, end=START + timedelta(1), overlap="x"), "overlap"),
        (lambda s: s.stream(""), "id"),
        (lambda s: s.stream(visibility_timeout=0), "visibility_timeout"),
        (lambda s: s.stream_ack("a", visibility_timeout=-1), "visibility_timeout"),
        (lambda s: s.purge(older_than=-1), "older_than"),
    ],
)
def test_bad_arguments_are_refused(make_scheduler, call, argument):
    scheduler = make_scheduler()
    scheduler.register("a", interval=5)
    with pytest.raises(InvalidArgument) as caught:
        call(scheduler)
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"namespace": ""}, "namespace"),
        ({"instance_id": ""}, "instance_id"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"lease": 0}, "lease"),
        ({"lease": 3, "poll_interval": 2}, "lease"),
        ({"grace": -1}, "grace"),
        ({"clock": datetime(2026, 1, 1, tzinfo=UTC)}, "clock"),
    ],
)
def test_bad_settings_are_refused(make_scheduler, options, argument):
    with pytest.raises(InvalidArgument) as caught:
        make_scheduler(**options)
    assert caught.value.argument == argument
