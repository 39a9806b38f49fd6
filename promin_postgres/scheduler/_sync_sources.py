# Generated from _async_sources.py by tools/twins.py. Do not edit: edit that and generate again.
"""What the streams of a scheduler pull from."""

from __future__ import annotations

import logging
import threading

import psycopg

from promin_postgres._retry import RECONNECT, jittered
from promin_postgres._wait import Background, Signal, sleep
from promin_postgres.bell import Ear, open_ear
from promin_postgres.scheduler._sync_ticks import TickEnvelope, Ticks
from promin_postgres.scheduler._records import ScheduleTick

logger = logging.getLogger(__name__)


class TickEnvelopes:
    """Leased ticks one by one, each claimed when it is asked for: a slow consumer holds nothing back from others."""

    def __init__(self, ticks: Ticks, visibility_timeout: float) -> None:
        self.ticks = ticks
        self.visibility_timeout = visibility_timeout
        self._ear: Ear | None = None
        self._closed = False
        self._guard = threading.Lock()  # never held across a wait, so that it serves tasks as well

    def __iter__(self) -> TickEnvelopes:
        return self

    def __next__(self) -> TickEnvelope:
        failures = 0
        while not self._closed:
            ear = self._ear  # another thread may close it meanwhile; a wait on a closed one returns at once
            if ear is not None:
                ear.clear()
            try:
                envelope = self.ticks.claim(self.visibility_timeout)
            except psycopg.OperationalError as error:
                failures += 1
                logger.warning("claiming a tick failed, trying again: %s", error)
                sleep(RECONNECT.pause(failures, draw=1.0))
                continue
            failures = 0
            if envelope is not None:
                if not self._closed:
                    return envelope
                self.ticks.release(envelope)
            elif ear is None:
                self._listen()  # then look once more: what was fired before somebody listened has rung for nobody
            else:
                ear.wait(jittered(self.ticks.core.settings.poll_interval))
        self.close()
        raise StopIteration

    def _listen(self) -> None:
        ear = open_ear(self.ticks.core.db, self.ticks.core.channel)
        with self._guard:
            if not self._closed:
                self._ear = ear
                return
        ear.close()

    def close(self) -> None:
        """A wait under way ends. What was handed out stays its consumer's."""
        with self._guard:
            self._closed = True
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()

    def give_back(self, envelope: TickEnvelope) -> None:
        """An operator had pulled it, and nobody will see it: as if it had never been handed out."""
        self.ticks.release(envelope)


class TickValues:
    """Ticks one by one; each is settled when the next one is asked for, and held for as long as that takes."""

    def __init__(self, envelopes: TickEnvelopes) -> None:
        self._envelopes = envelopes
        self._current: TickEnvelope | None = None
        self._guard = threading.Lock()  # never held across a wait, so that it serves tasks as well
        self._stop = Signal()
        self._renewal: Background | None = None

    def __iter__(self) -> TickValues:
        return self

    def __next__(self) -> ScheduleTick:
        done = self._take()
        if done is not None and not self._envelopes.ticks.settle(done):
            logger.warning("%r was cancelled, or its lease ran out, before it was settled", done)
        self._current = envelope = self._envelopes.__next__()
        if self._renewal is None:
            self._renewal = Background(self._renew, "promin-ticks")
        return envelope.value

    def close(self) -> None:
        """The tick in hand is not settled: it is given back."""
        self._envelopes.close()
        self._stop.set()
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.join(self._envelopes.visibility_timeout)
        current = self._take()
        if current is not None:
            self._envelopes.ticks.release(current)

    def give_back(self, tick: ScheduleTick) -> None:
        """An operator had pulled it, and nobody will see it: the tick in hand, for it was pulled last."""
        current = self._take()
        if current is not None:
            self._envelopes.ticks.release(current)

    def _take(self) -> TickEnvelope | None:
        with self._guard:
            current, self._current = self._current, None
        return current

    def _renew(self) -> None:
        """Hold on to the tick in hand, whatever its consumer takes for it."""
        every = self._envelopes.visibility_timeout
        while not self._stop.wait(every / 3):
            current = self._current
            if current is None:
                continue
            try:
                self._envelopes.ticks.extend(current, every)
            except psycopg.OperationalError as error:
                logger.warning("%r could not be held on to, trying again: %s", current, error)
