# Generated from _async_sources.py by tools/twins.py. Do not edit: edit that and generate again.
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
from promin_postgres._wait import sleep
from promin_postgres.bell import Ear, open_ear
from promin_postgres.queue._sync_core import Envelope, QueueCore
from promin_postgres.queue._records import Fetched

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Envelopes(Generic[T]):
    """Leased messages one by one, fetched in batches. Those not handed out when it closes are given back."""

    def __init__(
        self, core: QueueCore[T], *, batch_size: int, visibility_timeout: float, until_empty: bool
    ) -> None:
        self._core = core
        self._batch_size = batch_size
        self._visibility_timeout = visibility_timeout
        self._until_empty = until_empty
        self._ahead: deque[Fetched] = deque()
        self._ear: Ear | None = None
        self._closed = False
        self._leased_at = 0.0
        self._guard = threading.Lock()  # never held across a wait, so that it serves tasks as well

    def __iter__(self) -> Envelopes[T]:
        return self

    def __next__(self) -> Envelope[T]:
        while not self._closed:
            if not self._ahead:
                if not self._refill():
                    break
            elif time.monotonic() - self._leased_at > self._visibility_timeout / 2:
                self._renew()
            for fetched in self._pop(1):
                envelope = self._core.open(fetched)
                if envelope is not None:
                    return envelope
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Give back what was fetched ahead; a wait under way ends."""
        with self._guard:
            self._closed = True
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()
        self._core.release(self._pop(self._batch_size))

    def give_back(self, envelope: Envelope[T]) -> None:
        """An operator had pulled it, and nobody will see it: as if it had never been fetched."""
        self._core.release([envelope])

    def take(self, envelope: Envelope[T]) -> bool:
        """Acknowledge what is handed out; whether it is ours to hand out.

        When the connection breaks, nobody knows whether the message was settled. One that is not ours any more when we
        ask again was settled by us, but for what a consumer does with it after our time: twice is better than never.
        """
        failures = 0
        while True:
            try:
                return envelope.take() or failures > 0
            except psycopg.OperationalError as error:
                if self._closed or self._core.db.is_connection:
                    raise
                failures += 1
                self._pause(failures, "acknowledging", error)

    def put_back(self, envelope: Envelope[T]) -> bool:
        """Give a message back that may be acknowledged already; whether it was still ours."""
        return bool(self._core.release([envelope]))

    def _pause(self, failures: int, what: str, error: psycopg.OperationalError) -> None:
        logger.warning("queue %r: %s failed, trying again: %s", self._core.settings.name, what, error)
        sleep(RECONNECT.pause(failures, draw=1.0))

    def _listen(self) -> None:
        ear = open_ear(self._core.db, self._core.channel)
        with self._guard:
            if not self._closed:
                self._ear = ear
                return
        ear.close()

    def _renew(self) -> None:
        """The consumer is slow: hold on to what is left, so that what is handed out has its time ahead of it."""
        asked = time.monotonic()
        ahead = self._pop(self._batch_size)
        held = set(self._core.extend(ahead, self._visibility_timeout))
        self._leased_at = asked
        self._keep([fetched for fetched in ahead if fetched.message_id in held])

    def _keep(self, fetched: list[Fetched]) -> None:
        with self._guard:
            if not self._closed:
                self._ahead.extend(fetched)
                return
        self._core.release(fetched)

    def _pop(self, most: int) -> list[Fetched]:
        """Up to so many of what was fetched ahead; when another thread closes, each message goes to one of the two."""
        with self._guard:
            return [self._ahead.popleft() for _ in range(min(most, len(self._ahead)))]

    def _refill(self) -> bool:
        """Fetch the next batch, waiting for it; False when there will be none."""
        failures = 0
        while not self._closed:
            ear = self._ear  # another thread may close it meanwhile; a wait on a closed one returns at once
            if ear is not None:
                ear.clear()
            asked = time.monotonic()
            try:
                batch = self._core.fetch(self._batch_size, self._visibility_timeout)
            except psycopg.OperationalError as error:
                failures += 1
                self._pause(failures, "fetching", error)
                continue
            self._leased_at = asked
            self._keep(batch)
            if batch or self._until_empty:
                return bool(batch)
            if ear is None:
                self._listen()
                continue  # to look once more: what was published before somebody listened has rung for nobody
            ear.wait(jittered(self._core.settings.poll_interval))
        return False


class Values(Generic[T]):
    """Values one by one; each is acknowledged as it is handed out, and not before."""

    def __init__(self, envelopes: Envelopes[T], publish: Callable[[T], Any]) -> None:
        self._envelopes = envelopes
        self._publish = publish

    def __iter__(self) -> Values[T]:
        return self

    def __next__(self) -> T:
        while True:
            envelope = self._envelopes.__next__()
            try:
                if self._envelopes.take(envelope):
                    return envelope.value
            except Exception:
                raise
            except BaseException:
                self._put_back(envelope)
                raise

    def _put_back(self, envelope: Envelope[T]) -> None:
        """Cancelled: whether the message was acknowledged by then, only the server knows."""
        try:
            if not self._envelopes.put_back(envelope):
                self.give_back(envelope.value)
        except psycopg.OperationalError as error:
            logger.warning("%r: cancelled, perhaps acknowledged, and not given back: %s", envelope, error)

    def close(self) -> None:
        self._envelopes.close()

    def give_back(self, value: T) -> None:
        """An operator had pulled it, and nobody will see it. It was acknowledged, so it is published anew."""
        self._publish(value)
