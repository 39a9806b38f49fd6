"""A queue and a model of it, driven side by side: hypothesis looks for a difference."""

from __future__ import annotations

from itertools import count

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from promin_postgres._watermark import Watermark
from promin_postgres.errors import LeaseLost
from promin_postgres.queue import AsyncPgQueue, PgQueue

MAX_ATTEMPTS = 2
LONG = 3600


class QueueMachine(RuleBasedStateMachine):
    """The model: what each message waits for, by id. `leases` are the envelopes we hold, valid or not."""

    queue = None
    connection = None
    abandoned = []  # noqa: RUF012 - shared by all runs, on purpose

    def __init__(self):
        super().__init__()
        self.queue.purge()
        # A clock that goes on at each look: hypothesis wants the same answers when it plays a run again.
        ticks = count()
        self.queue._core._watermark = Watermark(clock=lambda: next(ticks) / 1000)
        self.states = {}  # id -> "ready" | "delayed" | "dead" | the envelope that holds it
        self.deliveries = {}
        self.values = {}
        self.leases = []
        self.archived = 0

    def sql(self, statement, *ids):
        self.connection.execute(statement, list(ids))

    def held(self, envelope):
        return self.states.get(envelope.message_id) is envelope

    def pick(self, data):
        return data.draw(st.sampled_from(self.leases))

    @rule(number=st.integers(1, 4), delayed=st.booleans())
    def publish(self, number, delayed):
        values = [f"v{len(self.values) + n}" for n in range(number)]
        for message_id, value in zip(
            self.queue.publish_many(values, delay=LONG if delayed else 0), values, strict=True
        ):
            self.states[message_id] = "delayed" if delayed else "ready"
            self.deliveries[message_id] = 0
            self.values[message_id] = value

    @rule(limit=st.integers(1, 4), from_start=st.booleans())
    def receive(self, limit, from_start):
        if from_start:
            self.queue._core._watermark.reset()
        before_dead = self.dead()
        got = self.queue.receive(limit, visibility_timeout=LONG)
        buried = self.dead_in_queue() - before_dead
        visible = sorted(i for i, state in self.states.items() if state == "ready")
        exhausted = {i for i in visible if self.deliveries[i] >= MAX_ATTEMPTS}
        assert buried <= exhausted
        assert [e.message_id for e in got] == sorted(e.message_id for e in got)
        if from_start:
            expected = []
            while not expected and (candidates := visible[:limit]):
                expected = [i for i in candidates if i not in exhausted]
                visible = visible[limit:]
            assert [e.message_id for e in got] == expected
        elif not got:
            assert set(visible) <= buried
        for message_id in buried:
            self.states[message_id] = "dead"
        for envelope in got:
            assert self.states[envelope.message_id] == "ready"
            assert envelope.value == self.values[envelope.message_id]
            self.deliveries[envelope.message_id] += 1
            assert envelope.deliveries == self.deliveries[envelope.message_id]
            self.states[envelope.message_id] = envelope
            self.leases.append(envelope)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def ack(self, data):
        envelope = self.pick(data)
        if self.held(envelope):
            envelope.ack()
            del self.states[envelope.message_id]
            self.archived += self.queue._core.settings.ack_mode == "archive"
        else:
            with pytest.raises(LeaseLost):
                envelope.ack()

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), delayed=st.booleans())
    def nack(self, data, delayed):
        envelope = self.pick(data)
        if self.held(envelope):
            envelope.nack(delay=LONG if delayed else 0, error="no")
            last = self.deliveries[envelope.message_id] >= MAX_ATTEMPTS
            self.states[envelope.message_id] = "dead" if last else "delayed" if delayed else "ready"
        else:
            with pytest.raises(LeaseLost):
                envelope.nack()

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def extend(self, data):
        envelope = self.pick(data)
        if self.held(envelope):
            envelope.extend(LONG)
        else:
            with pytest.raises(LeaseLost):
                envelope.extend(LONG)

    @precondition(lambda self: any(self.held(envelope) for envelope in self.leases))
    @rule(data=st.data())
    def expire(self, data):
        envelope = data.draw(st.sampled_from([envelope for envelope in self.leases if self.held(envelope)]))
        self.sql("UPDATE pgq_model SET leased_until = '-infinity' WHERE id = %s", envelope.message_id)
        self.states[envelope.message_id] = "ready"

    @precondition(lambda self: "delayed" in self.states.values())
    @rule(data=st.data())
    def become_due(self, data):
        message_id = data.draw(st.sampled_from(sorted(i for i, state in self.states.items() if state == "delayed")))
        self.sql("UPDATE pgq_model SET due_at = '-infinity' WHERE id = %s", message_id)
        self.states[message_id] = "ready"
        self.queue._core._watermark.reset()

    @rule(handed_out=st.integers(0, 2), killed=st.booleans())
    def stream(self, handed_out, killed):
        """A consumer that takes some values, acknowledged as they come, and is killed or closes."""
        self.queue._core._watermark.reset()
        visible = sorted(i for i, state in self.states.items() if state == "ready")
        if any(self.deliveries[i] >= MAX_ATTEMPTS for i in visible):
            return  # burying is the business of `receive`
        stream = self.queue.subscribe(batch_size=3, until_empty=True)
        got = [next(stream) for _ in range(min(handed_out, len(visible)))]
        assert got == [self.values[i] for i in visible[: len(got)]]
        for message_id in visible[: len(got)]:
            del self.states[message_id]
            self.archived += self.queue._core.settings.ack_mode == "archive"
        if killed:
            self.abandoned.append(stream)  # nobody closes it, not even the garbage collector
            for message_id in visible[len(got) : 3] if got else []:
                self.deliveries[message_id] += 1
                self.sql("UPDATE pgq_model SET leased_until = '-infinity' WHERE id = %s", message_id)
        else:
            stream.close()

    @rule()
    def requeue_dead(self):
        expected = [i for i, state in self.states.items() if state == "dead"]
        for message_id in expected:
            self.states[message_id] = "ready"
            self.deliveries[message_id] = 0
        self.queue.requeue_dead()
        self.connection.execute("UPDATE pgq_model SET leased_until = NULL WHERE leased_until <= now()")
        for message_id in self.states:
            row = self.connection.execute("SELECT deliveries FROM pgq_model WHERE id = %s", [message_id]).fetchone()
            self.deliveries[message_id] = row[0]
        self.queue._core._watermark.reset()

    @rule()
    def purge(self):
        assert self.queue.purge() == len(self.states) + self.archived
        self.states.clear()
        self.archived = 0

    def dead(self):
        return {i for i, state in self.states.items() if state == "dead"}

    def dead_in_queue(self):
        return {message.message_id for message in self.queue.dead_messages()}

    @invariant()
    def the_counts_agree(self):
        metrics = self.queue.metrics()
        states = list(self.states.values())
        waiting = sum(state in ("ready", "delayed") for state in states)
        dead = states.count("dead")
        assert (metrics.pending, metrics.dead, metrics.completed) == (waiting, dead, self.archived)
        assert metrics.processing == len(states) - waiting - dead


@pytest.mark.parametrize(
    "runs", [40, pytest.param(2000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])], ids=["short", "soak"]
)
@pytest.mark.parametrize("ack_mode", ["delete", "archive"])
def test_no_difference_from_the_model(twin, promin_dsn, ack_mode, runs):
    with (
        psycopg.connect(promin_dsn, autocommit=True) as connection,
        twin.pick(PgQueue, AsyncPgQueue).create(
            promin_dsn, "model", max_attempts=MAX_ATTEMPTS, ack_mode=ack_mode, notify=False
        ) as queue,
    ):
        machine = type("Machine", (QueueMachine,), {"queue": queue, "connection": connection})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=runs,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )
