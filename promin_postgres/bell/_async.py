"""AsyncEar: hears channels, over the one LISTEN connection that a database has in this process."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from promin_postgres._retry import RECONNECT
from promin_postgres._statement import SqlNames, Statement
from promin_postgres._wait import AsyncBackground, AsyncSignal, AsyncWaker, async_home, async_sleep
from promin_postgres.bell._channel import Channel
from promin_postgres.bell._statements import ASK, LEAVE_DOOR, LISTEN, TAKE_DOOR
from promin_postgres.database import AsyncDatabase, AsyncExecutor

logger = logging.getLogger(__name__)

_ASK_EVERY = 30.0
_GREET_AGAIN = 5.0


async def async_open_ear(
    db: AsyncDatabase,
    *channels: str,
    has_door: bool = True,
    greeting: tuple[Statement, Mapping[str, Any]] | None = None,
    signal: AsyncSignal | None = None,
) -> AsyncEar:
    """An ear on some channels; close it when nobody waits any more.

    All ears of a database in this process share one connection, which opens with the first and closes with the last.

    Args:
        channels: Any of them ends a wait.
        has_door: False for channels whose producers ring whether anybody waits or not.
        greeting: A statement and its parameters, run on that connection whenever it has begun to hear a channel, at
            first and after a break. When it fails polling goes on, and it is tried again later.
        signal: What a ring sets, for who waits for other things besides.
    """
    here = async_home()
    with _LOCK:
        bell = _BELLS.get(db)
        if bell is None or bell.home != here or bell.closed:
            bell = _BELLS[db] = AsyncBell(db, here)
        return bell.open_ear(channels, has_door, greeting, signal or AsyncSignal())


class AsyncEar:
    """Waits for one of its channels to ring."""

    def __init__(self, bell: AsyncBell, channels: Sequence[Channel], signal: AsyncSignal) -> None:
        self._bell = bell
        self._channels = channels
        self._signal = signal
        self._open = True
        for channel in channels:
            channel.ears.add(self)

    def clear(self) -> None:
        """Forget what rang so far. Call it before a poll: what rings during the poll is then not missed."""
        self._signal.clear()

    async def wait(self, seconds: float) -> None:
        """Return when it is time to poll: on a ring, after `seconds`, or when a ring may have been missed."""
        for channel in self._channels:
            channel.enter()
        try:
            for channel in self._channels:
                if channel.wants_door:
                    self._bell.ask(channel)
            if not await self._signal.wait(seconds):
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

    async def close(self) -> None:
        """Stop listening; a wait under way ends."""
        if self._open:
            self._open = False
            self.ring()
            await self._bell.close_ear(self, self._channels)


class AsyncBell:
    """The LISTEN connection of a database, and the loop that reads from it."""

    def __init__(self, db: AsyncDatabase, home: object) -> None:
        # No strong reference: the registry of bells must not keep a database alive.
        self._db = weakref.ref(db)
        self.home = home
        self.closed = False
        self._channels: dict[str, Channel] = {}
        self._waker = AsyncWaker()
        self._background: AsyncBackground | None = None

    def open_ear(
        self,
        names: Sequence[str],
        has_door: bool,
        greeting: tuple[Statement, Mapping[str, Any]] | None,
        signal: AsyncSignal,
    ) -> AsyncEar:
        channels = [self._channels.setdefault(name, Channel(name, has_door)) for name in names]
        for channel in channels:
            channel.greeting = greeting
        ear = AsyncEar(self, channels, signal)
        if self._background is None:
            self._background = AsyncBackground(self._run, "promin-bell")
        self.wake()
        return ear

    async def close_ear(self, ear: AsyncEar, channels: Sequence[Channel]) -> None:
        with _LOCK:
            for channel in channels:
                channel.ears.discard(ear)
            if self.closed or any(other.ears for other in self._channels.values()):
                return
            self.closed = True
        self.wake()
        if self._background is not None:
            await self._background.join(5.0)
        self._waker.close()

    def ask(self, channel: Channel) -> None:
        """Have the door of a channel taken; everybody who waits for it is told."""
        if not channel.asked:
            channel.asked = True
            self.wake()

    def wake(self) -> None:
        self._waker.wake()

    async def _run(self) -> None:
        failures = 0
        while not self.closed:
            try:
                await self._listen()
                failures = 0
            except psycopg.Error as error:
                failures += 1
                logger.warning("the LISTEN connection failed; polling until it is back: %s", error)
                for channel in tuple(self._channels.values()):
                    channel.forget()
                await async_sleep(RECONNECT.pause(failures, draw=1.0))

    async def _listen(self) -> None:
        db = self._db()
        if db is None:
            self.closed = True
            return
        executor = db.executor()
        async with await db.dedicated() as connection:
            row = await executor.fetch_one(ASK, connection=connection)
            hears = row is not None and row["pid"] == connection.info.backend_pid
            if not hears:
                logger.warning(
                    "behind a transaction pooler nothing rings: polling only (give listen_dsn to change that)"
                )
            while not self.closed:
                if hears:
                    await self._attend(executor, connection)
                now = time.monotonic()
                look = min((channel.next_look(now) for channel in tuple(self._channels.values())), default=_ASK_EVERY)
                await self._waker.wait(connection.fileno(), min(look, _ASK_EVERY))
                if time.monotonic() - now >= _ASK_EVERY:
                    await executor.fetch_one(ASK, connection=connection)

    async def _attend(self, executor: AsyncExecutor, connection: AsyncConnection[Any]) -> None:
        """Do what the channels ask for, then hand out what rang."""
        for channel in tuple(self._channels.values()):
            now = time.monotonic()
            if not channel.heard:
                names = SqlNames(extra={"channel": sql.Identifier(channel.name)})
                await AsyncExecutor(executor.db, names).execute(LISTEN, connection=connection)
                channel.heard = True
                channel.greet_at = None if channel.greeting is None else now
                channel.wake()
            if channel.greet_at is not None and channel.greet_at <= now:
                channel.greet_at = None if await self._greet(executor, connection, channel) else now + _GREET_AGAIN
            if channel.due(now):
                channel.wake()
            if channel.asked:
                row = await executor.fetch_one(TAKE_DOOR, {"door": channel.door}, connection=connection)
                channel.answered("producer" if row is None else row["door"], time.monotonic())
            elif channel.give_up(now):
                await executor.fetch_one(
                    LEAVE_DOOR, {"door": channel.door, "channel": channel.name}, connection=connection
                )
        async for notify in connection.notifies(timeout=0):
            rung = self._channels.get(notify.channel)
            if rung is not None:
                rung.rung()

    async def _greet(self, executor: AsyncExecutor, connection: AsyncConnection[Any], channel: Channel) -> bool:
        if channel.greeting is None:
            return True
        try:
            await executor.fetch_all(*channel.greeting, connection=connection)
        except psycopg.Error as error:
            if connection.broken:
                raise
            logger.warning("channel %r may stay silent, polling goes on: %s", channel.name, error)
            return False
        return True


_LOCK = threading.Lock()  # never held across a wait, so that it serves tasks as well
_BELLS: weakref.WeakKeyDictionary[AsyncDatabase, AsyncBell] = weakref.WeakKeyDictionary()
