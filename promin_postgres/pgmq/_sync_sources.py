# Generated from _async_sources.py by tools/twins.py. Do not edit: edit that and generate again.
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
from promin_postgres._wait import sleep
from promin_postgres.bell import Ear, open_ear
from promin_postgres.pgmq._sync_core import Envelope, PgmqCore
from promin_postgres.pgmq._records import AckMode, Fetched
from promin_postgres.pgmq._settings import ReadMode

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Envelopes(Generic[T]):
    """Leased messages one by one, fetched in batches. Those not handed out when it closes are given back."""

    def __init__(
        self, core: PgmqCore[T], *, mode: ReadMode, poll_interval: float, ack_mode: AckMode, until_empty: bool
    ) -> None:
        assert mode.vt is not None
        self._core = core
        self._mode = mode
        self._vt = mode.vt
        self._poll_interval = poll_interval
        self._ack_mode: AckMode = ack_mode
        self._until_empty = until_empty
        self._ahead: deque[Fetched] = deque()
        self._ear: Ear | None = None
        self._closed = False
        self._guard = threading.Lock()  # never held across a wait, so that it serves tasks as well

    def __iter__(self) -> Envelopes[T]:
        return self

    def __next__(self) -> Envelope[T]:
        while not self._closed:
            if not self._ahead:
                if not self._refill():
                    break
            else:
                self._renew()
            for fetched in self._pop(1):
                envelope = self._core.open(fetched, self._ack_mode)
                if envelope is not None:
                    return envelope
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Give back what was fetched ahead; a wait under way ends, but for one on the server."""
        with self._guard:
            self._closed = True
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()
        self._core.release(self._pop())

    def give_back(self, envelope: Envelope[T]) -> None:
        """Take an envelope back from an operator of the stream that does not hand it out."""
        self._core.release([envelope])

    def take(self, envelope: Envelope[T]) -> bool:
        """Acknowledge what is handed out; whether it is ours to hand out.

        When the connection breaks, nobody knows whether the message was deleted. One that is gone when we ask again was
        deleted by us, but for what a consumer does with it after our time: twice is better than never.
        """
        failures = 0
        while True:
            try:
                return envelope.take() or failures > 0
            except psycopg.OperationalError as error:
                if self._closed:
                    raise
                failures += 1
                self._pause(failures, "acknowledging", error)

    def put_back(self, envelope: Envelope[T]) -> bool:
        """Give a message back that may be acknowledged already; whether it was there."""
        return bool(self._core.set_vt([envelope.message_id], 0))

    def _pause(self, failures: int, what: str, error: psycopg.OperationalError) -> None:
        if self._core.db.is_connection:
            raise error  # it stays broken
        logger.warning("queue %r: %s failed, trying again: %s", self._core.name, what, error)
        sleep(RECONNECT.pause(failures, draw=1.0))

    def _renew(self) -> None:
        """When the consumer is slow hold on to what is left, so that what is handed out has its time ahead of it."""
        now = time.monotonic()
        if not any(fetched.held_until - now < self._vt / 2 for fetched in tuple(self._ahead)[:1]):
            return
        ours = [fetched for fetched in self._pop() if now < fetched.held_until]
        try:
            held = set(self._core.set_vt([fetched.message_id for fetched in ours], self._vt))
        except psycopg.OperationalError as error:
            self._pause(1, "holding on to messages", error)
            return  # they come back by themselves
        self._keep(
            [attrs.evolve(fetched, held_until=now + self._vt) for fetched in ours if fetched.message_id in held]
        )

    def _keep(self, fetched: list[Fetched]) -> None:
        with self._guard:
            if not self._closed:
                self._ahead.extend(fetched)
                return
        self._core.release(fetched)

    def _pop(self, most: int | None = None) -> list[Fetched]:
        """Up to so many of what was fetched ahead; when another thread closes, each message goes to one of the two."""
        with self._guard:
            count = len(self._ahead) if most is None else min(most, len(self._ahead))
            return [self._ahead.popleft() for _ in range(count)]

    def _refill(self) -> bool:
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
                batch = self._core.fetch(self._mode)
                if not (batch or self._until_empty or self._mode.waits or ear is not None):
                    self._listen()
                    continue  # to look once more: what was published before somebody listened has rung for nobody
            except psycopg.OperationalError as error:
                failures += 1
                self._pause(failures, "reading", error)
                continue
            failures = 0
            self._keep(batch)
            if batch or self._until_empty:
                return bool(batch)
            if ear is None:
                continue  # the server has waited
            rung = _is_rung(ear, jittered(pause))
            pause = soon if rung else self._poll_interval
        return False

    def _listen(self) -> None:
        greeting = self._core.greeting()
        ear = open_ear(self._core.db, self._core.channel, has_door=False, greeting=greeting)
        with self._guard:
            if not self._closed:
                self._ear = ear
                return
        ear.close()


def _is_rung(ear: Ear, seconds: float) -> bool:
    """Wait for a ring; whether there was one before the time was over."""
    began = time.monotonic()
    ear.wait(seconds)
    return time.monotonic() - began < seconds


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
