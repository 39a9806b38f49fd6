"""Waiting for a condition, not for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], *, timeout: float = 60.0, every: float = 0.01) -> T:
    """Ask until the answer is true, and return it; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true within {timeout} seconds"
        time.sleep(every)
    return answer
