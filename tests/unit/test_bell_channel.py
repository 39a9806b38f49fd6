"""What a listener concludes about one channel."""

from __future__ import annotations

import sys
import threading

import pytest

from promin_postgres.bell import channel_name, door_key
from promin_postgres.bell._channel import LATEST, LINGER, SOONEST, Channel


class Ear:
    rung = 0

    def ring(self) -> None:
        self.rung += 1


def channel_with_ear() -> tuple[Channel, Ear]:
    channel, ear = Channel("c"), Ear()
    channel.ears.add(ear)
    return channel, ear


def test_names_fit_and_differ() -> None:
    names = {channel_name("public", "a"), channel_name("public", "b"), channel_name("Ünï" * 20, "a")}
    assert len(names) == 3
    assert all(len(name.encode()) <= 63 for name in names)
    assert len({door_key(name) for name in names}) == 3


def test_taking_the_door_has_everybody_poll_once_more() -> None:
    for door in ("held", "listener"):
        channel, ear = channel_with_ear()
        channel.answered(door, 0.0)
        assert (channel.quiet, channel.held, ear.rung) == (True, door == "held", 1)


def test_behind_a_producer_polls_come_soon_and_then_less_often() -> None:
    channel, ear = channel_with_ear()
    pauses = []
    for _ in range(8):
        channel.answered("producer", 0.0)
        assert (channel.quiet, ear.rung) == (False, 0)
        assert channel.retry_at is not None
        pauses.append(channel.retry_at)
        assert not channel.due(channel.retry_at - 0.001)
        assert channel.due(channel.retry_at)
    assert pauses[0] == SOONEST
    assert pauses == sorted(pauses)
    assert pauses[-1] == LATEST


def test_a_ring_leaves_the_holder_quiet_and_makes_the_others_ask_again() -> None:
    for held in (True, False):
        channel, ear = channel_with_ear()
        channel.answered("held" if held else "listener", 0.0)
        channel.rung()
        assert (channel.quiet, ear.rung) == (held, 2)


def test_the_door_is_left_a_moment_after_the_last_wait() -> None:
    channel, _ = channel_with_ear()
    channel.answered("held", 0.0)
    channel.enter()
    channel.enter()
    assert not channel.leave(1.0)
    assert not channel.give_up(10.0)
    assert channel.leave(2.0)
    assert not channel.give_up(2.0 + LINGER / 2)
    assert channel.next_look(2.0) == pytest.approx(LINGER)
    assert channel.give_up(2.001 + LINGER)


def test_a_door_is_not_left_behind_somebody_who_begins_to_wait() -> None:
    """Whoever waits holds the door, or has seen that it is not held."""
    channel, _ = channel_with_ear()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    over = threading.Event()

    def listen() -> None:
        while not over.is_set():
            channel.give_up(float("inf"))

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        for _ in range(20_000):
            channel.answered("held", 0.0)
            channel.enter()
            assert channel.wants_door or channel.held
            if channel.wants_door:
                channel.answered("held", 0.0)
            assert channel.held
            channel.leave(0.0)
    finally:
        over.set()
        listener.join()
        sys.setswitchinterval(interval)


def test_a_broken_connection_is_forgotten() -> None:
    channel, ear = channel_with_ear()
    channel.answered("held", 0.0)
    channel.forget()
    assert (channel.held, channel.quiet, channel.heard, ear.rung) == (False, False, False, 2)
