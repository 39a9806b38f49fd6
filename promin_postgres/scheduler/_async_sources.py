"""What the streams of a scheduler pull from."""

from __future__ import annotations

import logging
import threading

import psycopg

from promin_postgres._retry import RECONNECT, jittered
from promin_postgres._wait import AsyncBackground, AsyncSignal, async_sleep
from promin_postgres.bell import AsyncEar, async_open_ear
from promin_postgres.scheduler._async_ticks import AsyncTickEnvelope, AsyncTicks
from promin_postgres.scheduler._records import ScheduleTick

logger = logging.getLogger(__name__)


class AsyncTickEnvelopes:
    """Leased ticks one by one, each claimed when it is asked for: a slow consumer holds nothing back from others."""

    def __init__(self, ticks: AsyncTicks, visibility_timeout: float) -> None:
        self.ticks = ticks
        self.visibility_timeout = visibility_timeout
        self._ear: AsyncEar | None = None
        self._closed = False
        self._guard = threading.Lock()  # never held across a wait, so that it serves tasks as well

    def __aiter__(self) -> AsyncTickEnvelopes:
        return self

    async def __anext__(self) -> AsyncTickEnvelope:
        failures = 0
        while not self._closed:
            ear = self._ear  # another thread may close it meanwhile; a wait on a closed one returns at once
            if ear is not None:
                ear.clear()
            try:
                envelope = await self.ticks.claim(self.visibility_timeout)
            except psycopg.OperationalError as error:
                failures += 1
                logger.warning("claiming a tick failed, trying again: %s", error)
                await async_sleep(RECONNECT.pause(failures, draw=1.0))
                continue
            failures = 0
            if envelope is not None:
                if not self._closed:
                    return envelope
                await self.ticks.release(envelope)
            elif ear is None:
                await self._listen()  # then look once more: what was fired before somebody listened has rung for nobody
            else:
                await ear.wait(jittered(self.ticks.core.settings.poll_interval))
        await self.close()
        raise StopAsyncIteration

    async def _listen(self) -> None:
        ear = await async_open_ear(self.ticks.core.db, self.ticks.core.channel)
        with self._guard:
            if not self._closed:
                self._ear = ear
                return
        await ear.close()

    async def close(self) -> None:
        """A wait under way ends. What was handed out stays its consumer's."""
        with self._guard:
            self._closed = True
        ear, self._ear = self._ear, None
        if ear is not None:
            await ear.close()

    async def give_back(self, envelope: AsyncTickEnvelope) -> None:
        """An operator had pulled it, and nobody will see it: as if it had never been handed out."""
        await self.ticks.release(envelope)


class AsyncTickValues:
    """Ticks one by one; each is settled when the next one is asked for, and held for as long as that takes."""

    def __init__(self, envelopes: AsyncTickEnvelopes) -> None:
        self._envelopes = envelopes
        self._current: AsyncTickEnvelope | None = None
        self._guard = threading.Lock()  # never held across a wait, so that it serves tasks as well
        self._stop = AsyncSignal()
        self._renewal: AsyncBackground | None = None

    def __aiter__(self) -> AsyncTickValues:
        return self

    async def __anext__(self) -> ScheduleTick:
        done = self._take()
        if done is not None and not await self._envelopes.ticks.settle(done):
            logger.warning("%r was cancelled, or its lease ran out, before it was settled", done)
        self._current = envelope = await self._envelopes.__anext__()
        if self._renewal is None:
            self._renewal = AsyncBackground(self._renew, "promin-ticks")
        return envelope.value

    async def close(self) -> None:
        """The tick in hand is not settled: it is given back."""
        await self._envelopes.close()
        self._stop.set()
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            await renewal.join(self._envelopes.visibility_timeout)
        current = self._take()
        if current is not None:
            await self._envelopes.ticks.release(current)

    async def give_back(self, tick: ScheduleTick) -> None:
        """An operator had pulled it, and nobody will see it: the tick in hand, for it was pulled last."""
        current = self._take()
        if current is not None:
            await self._envelopes.ticks.release(current)

    def _take(self) -> AsyncTickEnvelope | None:
        with self._guard:
            current, self._current = self._current, None
        return current

    async def _renew(self) -> None:
        """Hold on to the tick in hand, whatever its consumer takes for it."""
        every = self._envelopes.visibility_timeout
        while not await self._stop.wait(every / 3):
            current = self._current
            if current is None:
                continue
            try:
                await self._envelopes.ticks.extend(current, every)
            except psycopg.OperationalError as error:
                logger.warning("%r could not be held on to, trying again: %s", current, error)
