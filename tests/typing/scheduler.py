"""What type checkers make of the scheduler."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, assert_type

from promin_postgres import (
    AsyncDatabase,
    AsyncDurableScheduler,
    AsyncStream,
    Database,
    DurableScheduler,
    Schedule,
    ScheduleTick,
    Stream,
    async_create_durable_scheduler,
    create_durable_scheduler,
)
from promin_postgres.scheduler import AsyncTickEnvelope, SchedulerHealth, ScheduleState, TickEnvelope
from promin_postgres.streams import AsyncEnvelope, AsyncStreamable, Envelope, Streamable


def sync(db: Database, start: datetime, end: datetime) -> None:
    scheduler = create_durable_scheduler(db, poll_interval=timedelta(seconds=1))
    assert_type(scheduler, DurableScheduler)
    assert_type(scheduler.register("a", cron="@daily", overlap_policy="skip"), ScheduleState)
    assert_type(scheduler.apply([Schedule(id="a", interval=5), scheduler.get("a")]), list[ScheduleState])
    assert_type(scheduler.list(enabled=True), list[ScheduleState])
    assert_type(scheduler.trigger_now("a"), ScheduleTick | None)
    assert_type(scheduler.backfill("a", start=start, end=end, overlap="queue"), list[ScheduleTick])
    assert_type(scheduler.history("a", 5), list[ScheduleTick])
    assert_type(scheduler.next_fire_times("a", 5), list[datetime])
    assert_type(scheduler.stream(), Stream[ScheduleTick])
    assert_type(scheduler.stream_ack("a"), Stream[TickEnvelope])
    assert_type(scheduler.health(), SchedulerHealth)
    streamable: Streamable[ScheduleTick] = scheduler
    for envelope in scheduler.stream_ack():
        kept: Envelope[ScheduleTick] = envelope
        assert_type(kept.value.lateness, timedelta)
    scheduler.register("a", cron="@daily", overlap_policy="perhaps")  # type: ignore[arg-type]  # pyright: ignore
    _: Any = streamable


async def asynchronous(db: AsyncDatabase) -> None:
    scheduler = await async_create_durable_scheduler(db)
    assert_type(scheduler, AsyncDurableScheduler)
    assert_type(await scheduler.register("a", interval=5), ScheduleState)
    assert_type(await scheduler.trigger_now("a"), ScheduleTick | None)
    assert_type(scheduler.stream(), AsyncStream[ScheduleTick])
    assert_type(scheduler.stream_ack(), AsyncStream[AsyncTickEnvelope])
    assert_type(scheduler.health(), SchedulerHealth)
    streamable: AsyncStreamable[ScheduleTick] = scheduler
    async for envelope in scheduler.stream_ack():
        kept: AsyncEnvelope[ScheduleTick] = envelope
        assert_type(kept.value.tick_number, int)
    _: Any = streamable
