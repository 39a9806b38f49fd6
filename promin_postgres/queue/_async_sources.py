"""What the streams of a queue pull from."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import psycopg

from promin_postgres._retry import RECONNECT, jittered
from promin_postgres._wait import async_sleep
from promin_postgres.bell import AsyncEar, async_open_ear
from promin_postgres.queue._async_core import AsyncEnvelope, AsyncQueueCore
from promin_postgres.queue._records import Fetched

T = TypeVar("T")

logger = logging.getLogger(__name__)


class AsyncEnvelopes(Generic[T]):
    """Leased messages one by one, fetched in batches. Those not handed out when it closes are given back."""

    def __init__(
        self, core: AsyncQueueCore[T], *, batch_size: int, visibility_timeout: float, until_empty: bool
    ) -> None:
        self._core = core
        self._batch_size = batch_size
        self._visibility_timeout = visibility_timeout
        self._until_empty = until_empty
        self._ahead: deque[Fetched] = deque()
        self._ear: AsyncEar | None = None
        self._closed = False
        self._leased_at = 0.0
        self._guard = threading.Lock()  # never held across a wait, so that it serves tasks as well

    def __aiter__(self) -> AsyncEnvelopes[T]:
        return self

    async def __anext__(self) -> AsyncEnvelope[T]:
        while not self._closed:
            if not self._ahead:
                if not await self._refill():
                    break
            elif time.monotonic() - self._leased_at > self._visibility_timeout / 2:
                await self._renew()
            for fetched in self._pop(1):
                envelope = await self._core.open(fetched)
                if envelope is not None:
                    return envelope
        await self.close()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Give back what was fetched ahead; a wait under way ends."""
        with self._guard:
            self._closed = True
        ear, self._ear = self._ear, None
        if ear is not None:
            await ear.close()
        await self._core.release(self._pop(self._batch_size))

    async def give_back(self, envelope: AsyncEnvelope[T]) -> None:
        """An operator had pulled it, and nobody will see it: as if it had never been fetched."""
        await self._core.release([envelope])

    async def take(self, envelope: AsyncEnvelope[T]) -> bool:
        """Acknowledge what is handed out; whether it is ours to hand out.

        When the connection breaks, nobody knows whether the message was settled. One that is not ours any more when we
        ask again was settled by us, but for what a consumer does with it after our time: twice is better than never.
        """
        failures = 0
        while True:
            try:
                return await envelope.take() or failures > 0
            except psycopg.OperationalError as error:
                if self._closed or self._core.db.is_connection:
                    raise
                failures += 1
                await self._pause(failures, "acknowledging", error)

    async def put_back(self, envelope: AsyncEnvelope[T]) -> bool:
        """Give a message back that may be acknowledged already; whether it was still ours."""
        return bool(await self._core.release([envelope]))

    async def _pause(self, failures: int, what: str, error: psycopg.OperationalError) -> None:
        logger.warning("queue %r: %s failed, trying again: %s", self._core.settings.name, what, error)
        await async_sleep(RECONNECT.pause(failures, draw=1.0))

    async def _listen(self) -> None:
        ear = await async_open_ear(self._core.db, self._core.channel)
        with self._guard:
            if not self._closed:
                self._ear = ear
                return
        await ear.close()

    async def _renew(self) -> None:
        """The consumer is slow: hold on to what is left, so that what is handed out has its time ahead of it."""
        asked = time.monotonic()
        ahead = self._pop(self._batch_size)
        held = set(await self._core.extend(ahead, self._visibility_timeout))
        self._leased_at = asked
        await self._keep([fetched for fetched in ahead if fetched.message_id in held])

    async def _keep(self, fetched: list[Fetched]) -> None:
        with self._guard:
            if not self._closed:
                self._ahead.extend(fetched)
                return
        await self._core.release(fetched)

    def _pop(self, most: int) -> list[Fetched]:
        """Up to so many of what was fetched ahead; when another thread closes, each message goes to one of the two."""
        with self._guard:
            return [self._ahead.popleft() for _ in range(min(most, len(self._ahead)))]

    async def _refill(self) -> bool:
        """Fetch the next batch, waiting for it; False when there will be none."""
        failures = 0
        while not self._closed:
            ear = self._ear  # another thread may close it meanwhile; a wait on a closed one returns at once
            if ear is not None:
                ear.clear()
            asked = time.monotonic()
            try:
                batch = await self._core.fetch(self._batch_size, self._visibility_timeout)
            except psycopg.OperationalError as error:
                failures += 1
                await self._pause(failures, "fetching", error)
                continue
            self._leased_at = asked
            await self._keep(batch)
            if batch or self._until_empty:
                return bool(batch)
            if ear is None:
                await self._listen()
                continue  # to look once more: what was published before somebody listened has rung for nobody
            await ear.wait(jittered(self._core.settings.poll_interval))
        return False


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
