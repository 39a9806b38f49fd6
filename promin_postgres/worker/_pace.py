"""How many tasks a worker holds. Pure.

As many as it can begin at once, so that idle workers elsewhere get the rest; and where its handlers are faster than a
claim, so many more that they do not wait for the next one.
"""

from __future__ import annotations

_HORIZON = 0.02
"""Seconds: what the handlers finish in that time, and in that of two claims, is held, if it is more than one task each.

Of two claims, because while the server is busy with one the handlers work on what the last one brought.
"""


class Pace:
    """How fast the handlers are, and how many tasks to hold for that."""

    def __init__(self, concurrency: int, batch: int, *, now: float) -> None:
        self._concurrency = concurrency
        self._batch = batch
        self._began = now
        self._finished = 0
        self._round_trip = 0.0
        self.target = concurrency
        """How many tasks to hold."""

    def finished(self, number: int, now: float) -> None:
        """So many were finished since the last call."""
        self._finished += number
        elapsed = now - self._began
        horizon = _HORIZON + 2 * self._round_trip
        if elapsed >= horizon:
            soon = round(self._finished * horizon / elapsed)
            self.target = max(self._concurrency, min(soon, self._concurrency + 2 * self._batch))
            self._began, self._finished = now, 0

    def went_round(self, seconds: float) -> None:
        """A claim took so long."""
        self._round_trip = min(seconds, 1.0)
