"""Where a claim begins to look. Pure.

Dead index entries in front of the first live row are what slows queues down: the server walks over them until vacuum
has removed them, which it cannot while anybody's transaction is older. A claimer that begins after the last row it was
given walks over none. But rows may become claimable behind it: a transaction that commits late with a lower id, a lease
that ran out, a row given back. So it looks from the start whenever it found nothing, and in between often enough that
nothing waits for more than a second, but not so often that the longer walk takes more than a fiftieth of the time.
When a look from the start finds as much as it may take there is more of it, and the next ones go on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_SHARE = 50
_AT_MOST = 1.0


class Start:
    """When one claimer looks from the start."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._next_start = 0.0

    @property
    def is_due(self) -> bool:
        return self.clock() >= self._next_start

    @property
    def is_overdue(self) -> bool:
        """Whether it has been put off for long enough."""
        return self.clock() >= self._next_start + _AT_MOST

    @property
    def due_in(self) -> float:
        """Seconds until it is."""
        return max(self._next_start - self.clock(), 0.0)

    def looked_from_start(self, *, began: float) -> None:
        """It did; that look `began` at this time of the clock."""
        now = self.clock()
        self._next_start = now + min(_AT_MOST, _SHARE * (now - began))

    def reset(self) -> None:
        """Look from the start next: a row was given back."""
        self._next_start = 0.0


class Watermark(Start):
    """The id after which one claimer looks."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock=clock)
        self._last = 0
        self._behind: int | None = None

    def after(self) -> int:
        """Look for ids greater than this; 0 is a look from the start."""
        if self.is_due:
            return 0
        return self._last if self._behind is None else self._behind

    def looked(self, *, after: int, last: int | None, is_full: bool, began: float) -> None:
        """What a look gave: `last` is the highest id found, if any; it `began` at that time of the clock.

        When it `is_full` there may be more.
        """
        self._behind = last if last is not None and last < self._last and is_full else None
        if last is not None:
            self._last = max(self._last, last)
        if after == 0:
            self.looked_from_start(began=began)
