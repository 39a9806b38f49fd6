"""When to try again. Pure: nothing here sleeps or looks at a clock."""

from __future__ import annotations

import random
from typing import Literal

import attrs

from promin_postgres._time import Seconds, check_seconds
from promin_postgres.errors import InvalidArgument

_STEEPEST = 1000


def _base(value: Seconds) -> float:
    return check_seconds("base", value)


def _cap(value: Seconds) -> float:
    return check_seconds("cap", value)


@attrs.frozen(kw_only=True)
class Retry:
    """How often, and after which pauses, something is tried again.

    Args:
        max_attempts: Executions in all, the first one included; at least 1.
        base: Pause after the first failure, in seconds or as a timedelta.
        factor: What the pause is multiplied with after each further failure; 1 to 1000.
        cap: The longest pause, in seconds or as a timedelta.
        jitter: "full" draws the pause between zero and its computed length, so that those that failed together do not
            come back together; "none" takes it as computed.
    """

    max_attempts: int = 3
    base: float = attrs.field(default=1.0, converter=_base)
    factor: float = 2.0
    cap: float = attrs.field(default=300.0, converter=_cap)
    jitter: Literal["full", "none"] = "full"

    def __attrs_post_init__(self) -> None:
        if isinstance(self.max_attempts, bool) or not isinstance(self.max_attempts, int) or self.max_attempts < 1:
            raise InvalidArgument("max_attempts", self.max_attempts, "must be a whole number of at least 1")
        if not isinstance(self.factor, int | float) or not 1 <= self.factor <= _STEEPEST:
            raise InvalidArgument("factor", self.factor, f"must be a number from 1 to {_STEEPEST}")
        if self.jitter not in ("full", "none"):
            raise InvalidArgument("jitter", self.jitter, "must be 'full' or 'none'")

    def pause(self, attempt: int, *, draw: float | None = None) -> float:
        """Seconds to wait after failed attempt number `attempt` (1 is the first); `draw` in [0, 1) fixes the dice."""
        try:
            length = min(self.cap, self.base * self.factor ** (attempt - 1))
        except OverflowError:
            length = self.cap
        if self.jitter == "none":
            return length
        return length * (_DICE.random() if draw is None else draw)

    def allows_another(self, attempt: int) -> bool:
        """Whether attempt number `attempt`, having failed, may be followed by another."""
        return attempt < self.max_attempts


NO_RETRY = Retry(max_attempts=1)

RECONNECT = Retry(max_attempts=1_000_000, base=0.05, factor=2.0, cap=2.0)
"""For a connection that broke: soon, then less often."""

_DICE = random.Random()  # noqa: S311 - spreads load, guards nothing; the program's own random numbers stay as they are


def jittered(seconds: float) -> float:
    """A little less than `seconds`, so that those that started together do not poll together."""
    return seconds * _DICE.uniform(0.8, 1.0)
