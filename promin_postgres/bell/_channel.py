"""Names of channels, and what a listener knows of one. Pure."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import attrs

from promin_postgres._statement import Statement

LINGER = 0.05
"""Seconds for which the door is kept after the last wait, so that short work does not open and close it each time."""

SOONEST, LATEST = 0.002, 0.05
"""Seconds between two polls while a producer is under way that found nobody waiting: at first, and at most."""


def channel_name(schema: str, table: str) -> str:
    """The channel that rings for a table: within PostgreSQL's 63 bytes whatever the names are.

    Some statements learn as they run what they ring for: sql/bell/parts/rings.sql computes the same, and the same door.
    """
    return f"promin_{sha256(f'{schema}.{table}'.encode()).hexdigest()[:24]}"


def door_key(channel: str) -> int:
    """The advisory lock that is the channel's door."""
    return int.from_bytes(sha256(channel.encode()).digest()[:8], "big", signed=True)


def queue_channel(schema: str, table_prefix: str, queue: str) -> str:
    """The channel that rings for a queue of steps."""
    return channel_name(schema, f"{table_prefix}step_queue.{queue}")


def workflows_channel(schema: str, table_prefix: str) -> str:
    """The channel that rings when a run ends, or one that is driven inline goes on."""
    return channel_name(schema, f"{table_prefix}workflows")


@attrs.define(eq=False)
class Channel:
    """What a listener knows of one channel.

    `quiet` says that it is safe to wait: the door was taken, here or by another listener, before the last poll. A
    channel that `has_door` False rings for everybody, whether anybody waits or not. `greeting` is a statement with its
    parameters, to be run on the listening connection each time it has begun to hear the channel.
    """

    name: str
    has_door: bool = True
    greeting: tuple[Statement, Mapping[str, Any]] | None = None
    ears: set[Any] = attrs.field(factory=set)
    heard: bool = False
    held: bool = False
    quiet: bool = False
    asked: bool = False
    waiting: int = 0
    left_at: float = 0.0
    retry_at: float | None = None
    greet_at: float | None = None
    pause: float = SOONEST
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    @property
    def door(self) -> int:
        return door_key(self.name)

    @property
    def wants_door(self) -> bool:
        return self.has_door and not self.quiet

    def enter(self) -> None:
        """One more waits."""
        with self._lock:
            self.waiting += 1

    def leave(self, now: float) -> bool:
        """One less waits; whether the door is held for nobody from now on."""
        with self._lock:
            self.waiting -= 1
            self.left_at = now
            return self.held and self.waiting == 0

    def wake(self) -> None:
        """Let everybody who waits for this channel poll."""
        for ear in tuple(self.ears):
            ear.ring()

    def answered(self, door: str, now: float) -> None:
        """The server's answer to an attempt at the door (sql/bell/take_door.sql)."""
        self.asked = False
        self.held = door == "held"
        self.quiet = door != "producer"
        if self.quiet:
            self.pause = SOONEST
            self.wake()  # what was committed before the door closed has rung for nobody
        else:
            self.retry_at = now + self.pause
            self.pause = min(2 * self.pause, LATEST)

    def rung(self) -> None:
        """Somebody rang: a producer, or a listener that leaves the door to others."""
        if not self.held:
            self.quiet = False
        self.wake()

    def missed(self) -> None:
        """A wait ended without a ring: the listener that held the door may have died with it."""
        if not self.held:
            self.quiet = False

    def forget(self) -> None:
        """The connection broke: nothing is known any more."""
        self.heard = self.held = self.quiet = self.asked = False
        self.retry_at = self.greet_at = None
        self.wake()

    def due(self, now: float) -> bool:
        """Whether it is time to poll again behind a producer."""
        if self.retry_at is None or now < self.retry_at:
            return False
        self.retry_at = None
        return True

    def give_up(self, now: float) -> bool:
        """Give the door up if it is held for nobody; whether it is to be left.

        Who begins to wait at that moment is either counted, and keeps it, or sees that the door is to be taken again.
        """
        with self._lock:
            if not self.held or self.waiting or now - self.left_at < LINGER:
                return False
            self.held = self.quiet = False
            return True

    def next_look(self, now: float) -> float:
        """Seconds until something here may be due."""
        moments = [moment for moment in (self.retry_at, self.greet_at) if moment is not None]
        if self.retry_at is None and self.held and self.waiting == 0:
            moments.append(self.left_at + LINGER)
        return max(0.0, min(moments) - now) if moments else float("inf")
