# Generated from _async.py by tools/twins.py. Do not edit: edit that and generate again.
"""Ear: hears channels, over the one LISTEN connection that a database has in this process."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import Connection, sql

from promin_postgres._retry import RECONNECT
from promin_postgres._statement import SqlNames, Statement
from promin_postgres._wait import Background, Signal, Waker, home, sleep
from promin_postgres.bell._channel import Channel
from promin_postgres.bell._statements import ASK, LEAVE_DOOR, LISTEN, TAKE_DOOR
from promin_postgres.database import Database, Executor

logger = logging.getLogger(__name__)

_ASK_EVERY = 30.0
_GREET_AGAIN = 5.0


def open_ear(
    db: Database,
    *channels: str,
    has_door: bool = True,
    greeting: tuple[Statement, Mapping[str, Any]] | None = None,
    signal: Signal | None = None,
) -> Ear:
    """An ear on some channels; close it when nobody waits any more.

    All ears of a database in this process share one connection, which opens with the first and closes with the last.

    Args:
        channels: Any of them ends a wait.
        has_door: False for channels whose producers ring whether anybody waits or not.
        greeting: A statement and its parameters, run on that connection whenever it has begun to hear a channel, at
            first and after a break. When it fails polling goes on, and it is tried again later.
        signal: What a ring sets, for who waits for other things besides.
    """
    here = home()
    with _LOCK:
        bell = _BELLS.get(db)
        if bell is None or bell.home != here or bell.closed:
            bell = _BELLS[db] = Bell(db, here)
        return bell.open_ear(channels, has_door, greeting, signal or Signal())


class Ear:
    """Waits for one of its channels to ring."""

    def __init__(self, bell: Bell, channels: Sequence[Channel], signal: Signal) -> None:
        self._bell = bell
        self._channels = channels
        self._signal = signal
        self._open = True
        for channel in channels:
            channel.ears.add(self)

    def clear(self) -> None:
        """Forget what rang so far. Call it before a poll: what rings during the poll is then not missed."""
        self._signal.clear()

    def wait(self, seconds: float) -> None:
        """Return when it is time to poll: on a ring, after `seconds`, or when a ring may have been missed."""
        for channel in self._channels:
            channel.enter()
        try:
            for channel in self._channels:
                if channel.wants_door:
                    self._bell.ask(channel)
            if not self._signal.wait(seconds):
                for channel in self._channels:
                    channel.missed()
        finally:
            now = time.monotonic()
            for channel in self._channels:
                if channel.leave(now):
                    self._bell.wake()

    def ring(self) -> None:
        """End the wait, or the next one, from any thread."""
        self._signal.set()

    def close(self) -> None:
        """Stop listening; a wait under way ends."""
        if self._open:
            self._open = False
            self.ring()
            self._bell.close_ear(self, self._channels)


class Bell:
    """The LISTEN connection of a database, and the loop that reads from it."""

    def __init__(self, db: Database, home: object) -> None:
        # No strong reference: the registry of bells must not keep a database alive.
        self._db = weakref.ref(db)
        self.home = home
        self.closed = False
        self._channels: dict[str, Channel] = {}
        self._waker = Waker()
        self._background: Background | None = None

    def open_ear(
        self,
        names: Sequence[str],
        has_door: bool,
        greeting: tuple[Statement, Mapping[str, Any]] | None,
        signal: Signal,
    ) -> Ear:
        channels = [self._channels.setdefault(name, Channel(name, has_door)) for name in names]
        for channel in channels:
            channel.greeting = greeting
        ear = Ear(self, channels, signal)
        if self._background is None:
            self._background = Background(self._run, "promin-bell")
        self.wake()
        return ear

    def close_ear(self, ear: Ear, channels: Sequence[Channel]) -> None:
        with _LOCK:
            for channel in channels:
                channel.ears.discard(ear)
            if self.closed or any(other.ears for other in self._channels.values()):
                return
            self.closed = True
        self.wake()
        if self._background is not None:
            self._background.join(5.0)
        self._waker.close()

    def ask(self, channel: Channel) -> None:
        """Have the door of a channel taken; everybody who waits for it is told."""
        if not channel.asked:
            channel.asked = True
            self.wake()

    def wake(self) -> None:
        self._waker.wake()

    def _run(self) -> None:
        failures = 0
        while not self.closed:
            try:
                self._listen()
                failures = 0
            except psycopg.Error as error:
                failures += 1
                logger.warning("the LISTEN connection failed; polling until it is back: %s", error)
                for channel in tuple(self._channels.values()):
                    channel.forget()
                sleep(RECONNECT.pause(failures, draw=1.0))

    def _listen(self) -> None:
        db = self._db()
        if db is None:
            self.closed = True
            return
        executor = db.executor()
        with db.dedicated() as connection:
            row = executor.fetch_one(ASK, connection=connection)
            hears = row is not None and row["pid"] == connection.info.backend_pid
            if not hears:
                logger.warning(
                    "behind a transaction pooler nothing rings: polling only (give listen_dsn to change that)"
                )
            while not self.closed:
                if hears:
                    self._attend(executor, connection)
                now = time.monotonic()
                look = min((channel.next_look(now) for channel in tuple(self._channels.values())), default=_ASK_EVERY)
                self._waker.wait(connection.fileno(), min(look, _ASK_EVERY))
                if time.monotonic() - now >= _ASK_EVERY:
                    executor.fetch_one(ASK, connection=connection)

    def _attend(self, executor: Executor, connection: Connection[Any]) -> None:
        """Do what the channels ask for, then hand out what rang."""
        for channel in tuple(self._channels.values()):
            now = time.monotonic()
            if not channel.heard:
                names = SqlNames(extra={"channel": sql.Identifier(channel.name)})
                Executor(executor.db, names).execute(LISTEN, connection=connection)
                channel.heard = True
                channel.greet_at = None if channel.greeting is None else now
                channel.wake()
            if channel.greet_at is not None and channel.greet_at <= now:
                channel.greet_at = None if self._greet(executor, connection, channel) else now + _GREET_AGAIN
            if channel.due(now):
                channel.wake()
            if channel.asked:
                row = executor.fetch_one(TAKE_DOOR, {"door": channel.door}, connection=connection)
                channel.answered("producer" if row is None else row["door"], time.monotonic())
            elif channel.give_up(now):
                executor.fetch_one(
                    LEAVE_DOOR, {"door": channel.door, "channel": channel.name}, connection=connection
                )
        for notify in connection.notifies(timeout=0):
            rung = self._channels.get(notify.channel)
            if rung is not None:
                rung.rung()

    def _greet(self, executor: Executor, connection: Connection[Any], channel: Channel) -> bool:
        if channel.greeting is None:
            return True
        try:
            executor.fetch_all(*channel.greeting, connection=connection)
        except psycopg.Error as error:
            if connection.broken:
                raise
            logger.warning("channel %r may stay silent, polling goes on: %s", channel.name, error)
            return False
        return True


_LOCK = threading.Lock()  # never held across a wait, so that it serves tasks as well
_BELLS: weakref.WeakKeyDictionary[Database, Bell] = weakref.WeakKeyDictionary()
