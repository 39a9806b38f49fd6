"""Ticks as a queue: handed out until they are settled, and what the overlap policies make of the wait."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest
from _schedules import at, moments, turn
from _waiting import until

from promin_postgres.errors import LeaseLost
from promin_postgres.scheduler import AsyncTickEnvelope, TickEnvelope
from promin_postgres.streams import AsyncEnvelope, AsyncStreamable, Envelope, Streamable

SUITE_RUNS = "async"


def numbers(scheduler, status):
    return [tick.tick_number for tick in scheduler.history("s")[::-1] if tick.status == status]


def fire(scheduler, clock, count=1):
    for _ in range(count):
        clock.now += timedelta(minutes=1)
        turn(scheduler)


def take(scheduler, count=1, **options):
    """So many envelopes, or fewer when no more are ready."""
    with scheduler.stream_ack(**options) as stream:
        found = []
        while len(found) < count and (envelope := claim(stream, scheduler)) is not None:
            found.append(envelope)
        return found


def claim(stream, scheduler):
    ready = numbers(scheduler, "ready")
    return next(stream) if ready else None


def expire(dsn):
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE wf_schedule_ticks SET leased_until = now() WHERE leased_until IS NOT NULL")


@pytest.fixture
def scheduler(make_scheduler):
    scheduler = make_scheduler(poll_interval=0.05)
    scheduler.register("s", cron="* * * * *")
    return scheduler


def test_both_are_what_the_protocols_ask_for(twin, scheduler, clock):
    fire(scheduler, clock)
    (envelope,) = take(scheduler)
    bare = envelope._target if twin.is_async else envelope
    assert isinstance(bare, AsyncTickEnvelope if twin.is_async else TickEnvelope)
    assert isinstance(bare, AsyncEnvelope if twin.is_async else Envelope)
    assert isinstance(
        scheduler._target if twin.is_async else scheduler, AsyncStreamable if twin.is_async else Streamable
    )
    assert (bare.value.tick_number, bare.deliveries, bare.created_at, bare.headers) == (0, 1, at(12, 1), None)


def test_a_tick_is_settled_when_the_next_one_is_asked_for(scheduler, clock):
    fire(scheduler, clock, 3)
    with scheduler.subscribe() as stream:
        assert next(stream).tick_number == 0
        assert numbers(scheduler, "settled") == []
        assert next(stream).tick_number == 1
        assert numbers(scheduler, "settled") == [0]
    assert numbers(scheduler, "ready") == [1, 2]
    with scheduler.stream("s") as stream:
        assert next(stream).tick_number == 1, "it comes again, for it was not settled"


def test_a_consumer_that_dies_loses_its_tick_to_the_next(scheduler, clock, promin_dsn):
    fire(scheduler, clock)
    (first,) = take(scheduler)
    expire(promin_dsn)
    (second,) = take(scheduler)
    assert (second.value.tick_number, second.deliveries) == (0, 2)
    for late in (first.ack, first.nack, lambda: first.extend(5)):
        with pytest.raises(LeaseLost, match="tick 0 of schedule 's'"):
            late()
    second.extend(60)
    second.ack()
    with pytest.raises(LeaseLost):
        second.ack()
    assert numbers(scheduler, "settled") == [0]


def test_the_tick_in_hand_is_held_on_to(scheduler, clock):
    """For longer than its visibility timeout, while another consumer looks for ticks."""
    fire(scheduler, clock)
    got = []
    with scheduler.stream(visibility_timeout=1.5) as slow, scheduler.stream() as other:
        assert next(slow).tick_number == 0
        waiting = threading.Thread(target=lambda: got.append(next(other)))
        waiting.start()
        waiting.join(3)
        assert got == []
        fire(scheduler, clock)
        waiting.join(60)
        assert [tick.tick_number for tick in got] == [1]
        with pytest.raises(StopIteration):
            scheduler_closes(slow)
    assert numbers(scheduler, "settled") == []


def scheduler_closes(stream):
    stream.close()
    next(stream)


def test_a_nacked_tick_comes_again(scheduler, clock):
    fire(scheduler, clock)
    (envelope,) = take(scheduler)
    envelope.nack(error=ValueError("no\x00use"))
    (again,) = take(scheduler)
    assert (again.deliveries, again.value.reason) == (2, "ValueError: no\\x00use")
    again.nack(delay=3600)
    with scheduler.stream() as stream:
        fire(scheduler, clock)
        assert next(stream).tick_number == 1
    assert scheduler.get("s").standing == "active"


def test_a_failure_pauses_if_it_is_to(scheduler, clock):
    scheduler.register("s", cron="* * * * *", pause_on_failure=True)
    fire(scheduler, clock)
    (envelope,) = take(scheduler)
    envelope.nack(error="broken")
    state = scheduler.get("s")
    assert (state.standing, state.pause_reason) == ("paused", "broken")
    fire(scheduler, clock)
    assert moments(scheduler, "s") == [at(12, 1)]
    take(scheduler)[0].ack()


def test_settling_joins_the_callers_transaction(scheduler, clock, twin, promin_dsn):
    scheduler.register("s", cron="* * * * *", overlap_policy="queue")
    fire(scheduler, clock, 2)
    (envelope,) = take(scheduler)
    connection = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect(promin_dsn)
    envelope.ack(connection=connection)
    assert (numbers(scheduler, "ready"), numbers(scheduler, "queued")) == ([0], [1])
    connection.rollback()
    envelope.ack(connection=connection)
    connection.commit()
    connection.close()
    assert (numbers(scheduler, "settled"), numbers(scheduler, "ready")) == ([0], [1])


def test_a_stream_of_one_schedule(scheduler, clock):
    scheduler.register("other", cron="* * * * *")
    fire(scheduler, clock, 2)
    with scheduler.stream("s") as stream:
        assert [next(stream).schedule_id for _ in range(2)] == ["s", "s"]
    with scheduler.stream() as stream:
        assert sorted(next(stream).schedule_id for _ in range(3)) == ["other", "other", "s"]


def test_what_operators_hold_goes_back(scheduler, clock):
    fire(scheduler, clock, 4)
    with scheduler.stream_ack() as envelopes, envelopes.batched(3) as batches:
        assert len(next(batches)) == 3
    with scheduler.stream().take_while(lambda tick: tick.tick_number < 3) as ticks:
        assert list(ticks) == []
    assert take(scheduler)[0].deliveries == 1


def test_what_was_pulled_in_the_background_goes_back(scheduler, clock):
    fire(scheduler, clock, 2)
    with scheduler.stream().merge(scheduler.stream("none")) as ticks:
        assert next(ticks).tick_number == 0
        fire(scheduler, clock)
        assert next(ticks).tick_number == 1
    assert numbers(scheduler, "settled") == [0]
    assert [envelope.deliveries for envelope in take(scheduler, 2)] == [1, 1]


POLICIES = {
    "allow": ([0, 1, 2, 3], [], [], []),
    "skip": ([0], [], [1, 2, 3], []),
    "queue": ([0], [1, 2], [3], []),
    "buffer_one": ([0], [1], [2, 3], []),
    "cancel_previous": ([3], [], [], [0, 1, 2]),
}


@pytest.mark.parametrize("restart", [False, True], ids=["", "restarted"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_consumer_slower_than_its_schedule(make_scheduler, clock, promin_dsn, policy, restart):
    scheduler = make_scheduler(poll_interval=0.05)
    scheduler.register("s", cron="* * * * *", overlap_policy=policy, buffer_limit=2)
    fire(scheduler, clock)
    (held,) = take(scheduler)
    fire(scheduler, clock)
    if restart:  # the scheduler and its consumer
        scheduler.close()
        scheduler = make_scheduler(poll_interval=0.05)
        expire(promin_dsn)
        if policy != "cancel_previous":
            (held,) = take(scheduler)
            assert (held.value.tick_number, held.deliveries) == (0, 2)
    fire(scheduler, clock, 2)
    ready, queued, skipped, cancelled = POLICIES[policy]
    assert numbers(scheduler, "ready") == ready
    assert numbers(scheduler, "queued") == queued
    assert numbers(scheduler, "skipped") == skipped
    assert numbers(scheduler, "cancelled") == cancelled
    reasons = {tick.reason for tick in scheduler.history("s") if tick.status == "skipped"}
    full = "the buffer is full"
    assert reasons == {"skip": {"the previous tick is not settled"}, "queue": {full}, "buffer_one": {full}}.get(
        policy, set()
    )
    if policy == "cancel_previous":
        if not restart:
            for late in (held.ack, lambda: held.extend(5)):
                with pytest.raises(LeaseLost):
                    late()
        (held,) = take(scheduler)
    held.ack()
    rest = [number for number in [*ready, *queued] if number != held.value.tick_number]
    for number in rest:
        (envelope,) = take(scheduler)
        assert envelope.value.tick_number == number
        if queued:
            assert numbers(scheduler, "ready") == [number], "one at a time"
        envelope.ack()
    fire(scheduler, clock)
    assert numbers(scheduler, "ready") == [4]


def test_a_tick_queued_as_the_one_before_it_is_settled_is_not_forgotten(make_scheduler, clock, promin_dsn):
    """What a settling consumer could not see yet is found by the next look of any consumer."""
    scheduler = make_scheduler(poll_interval=0.05)
    scheduler.register("s", cron="* * * * *", overlap_policy="queue")
    fire(scheduler, clock, 2)
    with psycopg.connect(promin_dsn) as connection:
        connection.execute("UPDATE wf_schedule_ticks SET status = 'settled' WHERE number = 0")
    with scheduler.stream() as stream:
        assert next(stream).tick_number == 1


@pytest.mark.parametrize("policy", ["queue", "skip", "buffer_one"])
def test_one_at_a_time_whoever_consumes(make_scheduler, policy, promin_dsn):
    """Three consumers, slower than the schedule, by the real clock."""
    scheduler = make_scheduler(clock=None, poll_interval=0.1)
    scheduler.register("s", interval=0.05, overlap_policy=policy, max_fires=12)
    scheduler.start()
    streams = [scheduler.stream() for _ in range(3)]
    busy, most, seen = [], [], []

    def consume(stream):
        for tick in stream:
            busy.append(tick.tick_number)
            most.append(len(busy))
            threading.Event().wait(0.08)
            busy.remove(tick.tick_number)
            seen.append(tick.tick_number)

    threads = [threading.Thread(target=consume, args=[stream]) for stream in streams]
    for thread in threads:
        thread.start()
    until(lambda: len(seen) == 12, timeout=60)
    for stream in streams:
        stream.close()
    for thread in threads:
        thread.join(60)
    assert max(most) == 1
    assert seen == sorted(seen)
    assert len(set(seen)) == 12
