"""What the streams of a queue pull from."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import attrs
import psycopg

from promin_postgres._retry import RECONNECT, jittered
from promin_postgres._wait import async_sleep
from promin_postgres.bell import AsyncEar, async_open_ear
from promin_postgres.pgmq._async_core import AsyncEnvelope, AsyncPgmqCore
from promin_postgres.pgmq._records import AckMode, Fetched
from promin_postgres.pgmq._settings import ReadMode

T = TypeVar("T")

logger = logging.getLogger(__name__)


class AsyncEnvelopes(Generic[T]):
    """Leased messages one by one, fetched in batches. Those not handed out when it closes are given back."""

    def __init__(
        self, core: AsyncPgmqCore[T], *, mode: ReadMode, poll_interval: float, ack_mode: AckMode, until_empty: bool
    ) -> None:
        assert mode.vt is not None
        self._core = core
        self._mode = mode
        self._vt = mode.vt
        self._poll_interval = poll_interval
        self._ack_mode: AckMode = ack_mode
        self._until_empty = until_empty
        self._ahead: deque[Fetched] = deque()
        self._ear: AsyncEar | None = None
        self._closed = False
        self._guard = threading.Lock()  # never held across a wait, so that it serves tasks as well

    def __aiter__(self) -> AsyncEnvelopes[T]:
        return self

    async def __anext__(self) -> AsyncEnvelope[T]:
        while not self._closed:
            if not self._ahead:
                if not await self._refill():
                    break
            else:
                await self._renew()
            for fetched in self._pop(1):
                envelope = await self._core.open(fetched, self._ack_mode)
                if envelope is not None:
                    return envelope
        await self.close()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Give back what was fetched ahead; a wait under way ends, but for one on the server."""
        with self._guard:
            self._closed = True
        ear, self._ear = self._ear, None
        if ear is not None:
            await ear.close()
        await self._core.release(self._pop())

    async def give_back(self, envelope: AsyncEnvelope[T]) -> None:
        """Take an envelope back from an operator of the stream that does not hand it out."""
        await self._core.release([envelope])

    async def take(self, envelope: AsyncEnvelope[T]) -> bool:
        """Acknowledge what is handed out; whether it is ours to hand out.

        When the connection breaks, nobody knows whether the message was deleted. One that is gone when we ask again was
        deleted by us, but for what a consumer does with it after our time: twice is better than never.
        """
        failures = 0
        while True:
            try:
                return await envelope.take() or failures > 0
            except psycopg.OperationalError as error:
                if self._closed:
                    raise
                failures += 1
                await self._pause(failures, "acknowledging", error)

    async def put_back(self, envelope: AsyncEnvelope[T]) -> bool:
        """Give a message back that may be acknowledged already; whether it was there."""
        return bool(await self._core.set_vt([envelope.message_id], 0))

    async def _pause(self, failures: int, what: str, error: psycopg.OperationalError) -> None:
        if self._core.db.is_connection:
            raise error  # it stays broken
        logger.warning("queue %r: %s failed, trying again: %s", self._core.name, what, error)
        await async_sleep(RECONNECT.pause(failures, draw=1.0))

    async def _renew(self) -> None:
        """When the consumer is slow hold on to what is left, so that what is handed out has its time ahead of it."""
        now = time.monotonic()
        if not any(fetched.held_until - now < self._vt / 2 for fetched in tuple(self._ahead)[:1]):
            return
        ours = [fetched for fetched in self._pop() if now < fetched.held_until]
        try:
            held = set(await self._core.set_vt([fetched.message_id for fetched in ours], self._vt))
        except psycopg.OperationalError as error:
            await self._pause(1, "holding on to messages", error)
            return  # they come back by themselves
        await self._keep(
            [attrs.evolve(fetched, held_until=now + self._vt) for fetched in ours if fetched.message_id in held]
        )

    async def _keep(self, fetched: list[Fetched]) -> None:
        with self._guard:
            if not self._closed:
                self._ahead.extend(fetched)
                return
        await self._core.release(fetched)

    def _pop(self, most: int | None = None) -> list[Fetched]:
        """Up to so many of what was fetched ahead; when another thread closes, each message goes to one of the two."""
        with self._guard:
            count = len(self._ahead) if most is None else min(most, len(self._ahead))
            return [self._ahead.popleft() for _ in range(count)]

    async def _refill(self) -> bool:
        """Fetch the next batch, waiting for it; False when there will be none."""
        failures = 0
        # What comes within the throttle of the last message rings for nobody: look again when it has passed for sure.
        soon = min(self._poll_interval, 1.25 * self._core.throttle + 0.01)
        pause = soon
        while not self._closed:
            ear = self._ear  # another thread may close it meanwhile; a wait on a closed one returns at once
            if ear is not None:
                ear.clear()
            try:
                batch = await self._core.fetch(self._mode)
                if not (batch or self._until_empty or self._mode.waits or ear is not None):
                    await self._listen()
                    continue  # to look once more: what was published before somebody listened has rung for nobody
            except psycopg.OperationalError as error:
                failures += 1
                await self._pause(failures, "reading", error)
                continue
            failures = 0
            await self._keep(batch)
            if batch or self._until_empty:
                return bool(batch)
            if ear is None:
                continue  # the server has waited
            rung = await _is_rung(ear, jittered(pause))
            pause = soon if rung else self._poll_interval
        return False

    async def _listen(self) -> None:
        greeting = await self._core.greeting()
        ear = await async_open_ear(self._core.db, self._core.channel, has_door=False, greeting=greeting)
        with self._guard:
            if not self._closed:
                self._ear = ear
                return
        await ear.close()


async def _is_rung(ear: AsyncEar, seconds: float) -> bool:
    """Wait for a ring; whether there was one before the time was over."""
    began = time.monotonic()
    await ear.wait(seconds)
    return time.monotonic() - began < seconds


class AsyncValues(Generic[T]):
    """Values one by one; each is acknowledged as it is handed out, and not before."""

    def __init__(self, envelopes: AsyncEnvelopes[T], publish: Callable[[T], Any]) -> None:
        self._envelopes = envelopes
        self._publish = publish

    def __aiter__(self) -> AsyncValues[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            envelope = await self._envelopes.__anext__()
            try:
                if await self._envelopes.take(envelope):
                    return envelope.value
            except Exception:
                raise
            except BaseException:
                await self._put_back(envelope)
                raise

    async def _put_back(self, envelope: AsyncEnvelope[T]) -> None:
        """Cancelled: whether the message was acknowledged by then, only the server knows."""
        try:
            if not await self._envelopes.put_back(envelope):
                await self.give_back(envelope.value)
        except psycopg.OperationalError as error:
            logger.warning("%r: cancelled, perhaps acknowledged, and not given back: %s", envelope, error)

    async def close(self) -> None:
        await self._envelopes.close()

    async def give_back(self, value: T) -> None:
        """An operator had pulled it, and nobody will see it. It was acknowledged, so it is published anew."""
        await self._publish(value)
