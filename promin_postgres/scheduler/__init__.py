"""A durable scheduler: each fire time makes one tick, and each tick is handed out until it is settled."""

from promin_postgres.scheduler._async import AsyncDurableScheduler, async_create_durable_scheduler
from promin_postgres.scheduler._async_ticks import AsyncTickEnvelope
from promin_postgres.scheduler._records import (
    DstFold,
    DstGap,
    OverlapPolicy,
    Schedule,
    SchedulerHealth,
    ScheduleState,
    ScheduleTick,
    Standing,
    TickKind,
    TickStatus,
)
from promin_postgres.scheduler._sync import DurableScheduler, create_durable_scheduler
from promin_postgres.scheduler._sync_ticks import TickEnvelope

__all__ = [
    "AsyncDurableScheduler",
    "AsyncTickEnvelope",
    "DstFold",
    "DstGap",
    "DurableScheduler",
    "OverlapPolicy",
    "Schedule",
    "ScheduleState",
    "ScheduleTick",
    "SchedulerHealth",
    "Standing",
    "TickEnvelope",
    "TickKind",
    "TickStatus",
    "async_create_durable_scheduler",
    "create_durable_scheduler",
]
