"""What rings is looked for as soon as it may be."""

from __future__ import annotations

import time
from typing import Any

import pytest
from _waiting import until
from _workers import Kit, kit

from promin_postgres.worker import _desk

__all__ = ["kit"]


def test_a_ring_after_a_long_look_is_put_off_no_longer_than_that(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that took long and found nothing is not repeated for a second, whatever rings; but then it is."""
    monkeypatch.setattr(_desk, "_LONG_LOOK", 0.0)
    monkeypatch.setattr(_desk, "_SHARE", 1e9)
    in_vain: list[float] = []
    claimed = _desk.Desk.claimed

    def watched(desk: _desk.Desk, tasks: Any, **told: Any) -> None:
        claimed(desk, tasks, **told)
        if not tasks:
            in_vain.append(time.monotonic())

    monkeypatch.setattr(_desk.Desk, "claimed", watched)
    begun: list[float] = []
    with kit.working({"quick": lambda context: begun.append(time.monotonic())}, poll_interval=60, lease=600):
        for number in range(3):
            until(lambda: in_vain)
            in_vain.clear()
            asked = time.monotonic()
            kit.queue.enqueue(f"w{number}", "quick")
            until(lambda many=number: len(begun) > many, timeout=60)
            assert begun[-1] - asked < 20
