"""What rings is looked for as soon as it may be."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from _twins import Twin
from _waiting import until
from _workers import Kit

from promin_postgres.worker import _desk


@pytest.fixture
def kit(twin: Twin, promin_dsn: str) -> Iterator[Kit]:
    kit = Kit(twin, promin_dsn)
    with kit.queue:
        yield kit


def test_a_ring_after_a_long_look_is_put_off_no_longer_than_that(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that took long and found nothing is not repeated for a second, whatever rings; but then it is."""
    monkeypatch.setattr(_desk, "_LONG_LOOK", 0.0)
    monkeypatch.setattr(_desk, "_SHARE", 1e9)
    begun: list[float] = []
    with kit.working({"quick": lambda context: begun.append(time.monotonic())}, poll_interval=60, lease=600):
        for number in range(3):
            time.sleep(0.2)
            asked = time.monotonic()
            kit.queue.enqueue(f"w{number}", "quick")
            until(lambda: len(begun) > number, timeout=60)  # noqa: B023
            assert begun[-1] - asked < 20
