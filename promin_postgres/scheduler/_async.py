"""AsyncDurableScheduler: schedules whose every fire time makes one tick."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Self

from promin_postgres._time import Seconds, check_seconds
from promin_postgres._wait import AsyncBackground
from promin_postgres.database import AsyncDatabase, AsyncDatabaseSource
from promin_postgres.errors import ConfigurationError, InvalidArgument, NotFound
from promin_postgres.scheduler import _statements as sql
from promin_postgres.scheduler._async_bindings import AsyncBinding, AsyncStartable
from promin_postgres.scheduler._async_core import AsyncSchedulerCore
from promin_postgres.scheduler._async_definitions import AsyncDefinitions
from promin_postgres.scheduler._async_loop import AsyncLoop
from promin_postgres.scheduler._async_sources import AsyncTickEnvelopes, AsyncTickValues
from promin_postgres.scheduler._async_ticks import AsyncTickEnvelope, AsyncTicks
from promin_postgres.scheduler._records import SchedulerHealth, ScheduleTick
from promin_postgres.scheduler._rows import input_of, run_of
from promin_postgres.scheduler._settings import SchedulerSettings, check_text
from promin_postgres.scheduler._zones import zone_of
from promin_postgres.streams import AsyncStream

_STOPS_WITHIN = 10.0


async def async_create_durable_scheduler(
    db: AsyncDatabaseSource,
    *,
    namespace: str | None = None,
    instance_id: str | None = None,
    poll_interval: Seconds = 1.0,
    clock: Callable[[], datetime] | None = None,
    lease: Seconds | None = None,
    grace: Seconds | None = None,
    schema: str | None = None,
    table_prefix: str | None = None,
) -> AsyncDurableScheduler:
    """A scheduler on a migrated database. Nothing is sent to the server yet.

    Args:
        db: A database, pool, connection or conninfo. A conninfo gets a pool of its own, which `close` closes.
        namespace: Schedulers of one namespace share schedules, ticks and a leader.
        instance_id: What others see of this one as the leader; by default made from the host and the process.
        poll_interval: Between two looks while nothing is due, in seconds or as a timedelta. What is due sooner is not
            waited for with a look, but what another process registers may be.
        clock: For tests and simulations: gives the aware moment that fire times are compared with, instead of the
            server's clock. Leases go by the server's clock all the same.
        lease: For how long a leader that died keeps the others from firing, in seconds or as a timedelta: twice the
            `poll_interval` or more; by default 10 seconds, or three times the `poll_interval`.
        grace: Fire times that are late by less fire as if on time, several if need be; those that are later are missed,
            but for `max_catch_up`. In seconds or as a timedelta; by default three times the lease, so that nothing is
            missed when a leader dies.
        schema: Where the tables are; by default that of `db`.
        table_prefix: How the names of the tables begin; by default that of `db`.

    Raises:
        InvalidArgument
        ConfigurationError: This machine has no time zone database.
    """
    settings = SchedulerSettings.checked(
        namespace=namespace, instance_id=instance_id, poll_interval=poll_interval, lease=lease, grace=grace
    )
    if clock is not None and not callable(clock):
        raise InvalidArgument("clock", clock, "must be a function that gives an aware datetime, or None")
    try:
        zone_of("UTC")
    except InvalidArgument:
        raise ConfigurationError("there is no time zone database: install tzdata") from None
    core = AsyncSchedulerCore(AsyncDatabase.of(db), settings, schema=schema, table_prefix=table_prefix, clock=clock)
    return AsyncDurableScheduler(core, owns_db=isinstance(db, str))


class AsyncDurableScheduler(AsyncDefinitions):
    """Schedules, the loop that fires them, and the ticks that come of it. Made by `async_create_durable_scheduler`.

    Each fire time of a schedule makes exactly one tick, whatever number of schedulers run, crash, pause or have wrong
    clocks: the server's clock decides, and its locks. Each tick is handed out at least once, until it is settled.

    Safe to share between threads and tasks. `run` in one place, or `start` it; define, look and stream in any.
    """

    def __init__(self, core: AsyncSchedulerCore, *, owns_db: bool) -> None:
        self._core = core
        self._owns_db = owns_db
        self._loop = AsyncLoop(core)
        self._background: AsyncBackground | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop, and close what this object opened itself. Its streams are closed on their own."""
        await self.stop()
        if self._owns_db:
            await self._core.db.close()

    async def run(self) -> None:
        """Fire until `stop` is called. When another scheduler of the namespace leads, wait to take over.

        A broken connection is mended for ever; `health` tells how it goes.

        Raises:
            ConfigurationError: It runs already.
        """
        self._loop.begin()
        await self._loop.run()

    async def start(self) -> None:
        """As `run`, in the background.

        Raises:
            ConfigurationError: It runs already.
        """
        self._loop.begin()
        self._background = AsyncBackground(self._loop.run, "promin-scheduler")

    async def stop(self) -> None:
        """End `run` or what `start` began, and let another scheduler lead at once."""
        self._loop.stop()
        background, self._background = self._background, None
        if background is not None:
            await background.join(_STOPS_WITHIN)

    async def bind(
        self,
        id: str,
        *,
        workflow: AsyncStartable,
        to_input: Callable[[ScheduleTick], Any] = input_of,
        to_workflow_id: Callable[[ScheduleTick], str] = run_of,
        connection: Any = None,
    ) -> None:
        """Let each tick of a schedule start a run of a workflow on workers, instead of being handed out.

        The run is started in the transaction that makes the tick: neither is there without the other. A tick is settled
        when its run has ended, and that is what the overlap policy goes by; "cancel_previous" cancels the run. When a
        run fails or is cancelled, a schedule with `pause_on_failure` is paused.

        That it is bound is recorded, and stays until it is unregistered; the workflow itself is code, so every process
        that may start runs calls this at its start. What a scheduler fires that did not is started by one that did,
        within its poll interval, and so are ticks that were held back.

        Args:
            id: Of a schedule that is registered.
            workflow: With its tables beside those of the scheduler.
            to_input: Gives the input for a tick; by default a dict of schedule_id, tick_number, kind, scheduled_at and
                metadata.
            to_workflow_id: Gives the id of the run for a tick; by default made from the schedule, the number and the
                fire time. When there is a run of that id, no other is started, and the tick is settled with that one.
            connection: Bind in this connection's transaction.

        Raises:
            NotFound
            InvalidArgument

        Source: sql/scheduler/bind.sql, fire.sql.
        """
        check_text("id", id)
        ours, names = self._core.sql.names, getattr(getattr(workflow, "storage", None), "names", None)
        if names is None:
            raise InvalidArgument("workflow", workflow, "must be a workflow")
        if (names.schema, names.table_prefix) != (ours.schema, ours.table_prefix):
            raise InvalidArgument("workflow", workflow, "has its tables in another schema, or under another prefix")
        for argument, function in (("to_input", to_input), ("to_workflow_id", to_workflow_id)):
            if not callable(function):
                raise InvalidArgument(argument, function, "must be a function of a tick")
        binding = AsyncBinding(workflow=workflow, to_input=to_input, to_workflow_id=to_workflow_id)
        core = self._core
        async with core.joined(connection) as joined:
            params = core.namespace | {"schedule_id": id, "workflow": workflow.definition.name}
            row = await core.sql.fetch_one(sql.BIND, params, connection=joined)
            if row is not None:
                await core.sql.execute(sql.HAND_OVER, {"schedule": row["id"]}, connection=joined)
        if row is None:
            raise NotFound("schedule", id)
        binding = AsyncBinding(workflow=workflow, to_input=to_input, to_workflow_id=to_workflow_id)
        core.bindings.add(id, binding)
        self._rung()

    def health(self) -> SchedulerHealth:
        """How the loop of this object is doing. Asks nobody."""
        return self._loop.health

    def _rung(self) -> None:
        self._loop.wake()

    def stream(self, id: str | None = None, *, visibility_timeout: Seconds = 30.0) -> AsyncStream[ScheduleTick]:
        """Ticks as they are fired; each is settled when the next one is asked for.

        The tick in hand is held on to for as long as its consumer takes; when that dies, or closes the stream, the tick
        is handed out again. To an operator that pulls ahead (par_map, merge, batched) a tick is handed out when it is
        pulled.

        Args:
            id: Of one schedule, registered or not yet; by default of all of the namespace.
            visibility_timeout: After how long the tick of a consumer that died is handed out again, in seconds or as a
                timedelta.

        Source: sql/scheduler/claim.sql. Each tick has one consumer at a time.
        """
        return AsyncStream(AsyncTickValues(self._envelopes(id, visibility_timeout)))

    def subscribe(self) -> AsyncStream[ScheduleTick]:
        """As `stream()`."""
        return self.stream()

    def stream_ack(
        self,
        id: str | None = None,
        *,
        visibility_timeout: Seconds = 60.0,
    ) -> AsyncStream[AsyncTickEnvelope]:
        """Ticks in envelopes as they are fired; settle each with `ack` or `nack`, or hold it for longer by `extend`.

        Args:
            id: Of one schedule, registered or not yet; by default of all of the namespace.
            visibility_timeout: For how long a tick is its consumer's, in seconds or as a timedelta.
        """
        return AsyncStream(self._envelopes(id, visibility_timeout))

    def _envelopes(self, schedule_id: str | None, visibility_timeout: Seconds) -> AsyncTickEnvelopes:
        checked = None if schedule_id is None else check_text("id", schedule_id)
        timeout = check_seconds("visibility_timeout", visibility_timeout, positive=True)
        return AsyncTickEnvelopes(AsyncTicks(self._core, checked), timeout)
