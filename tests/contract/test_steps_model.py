"""A step queue and a model of it, driven side by side: hypothesis looks for a difference."""

from __future__ import annotations

import math
from collections import Counter

import psycopg
import pytest
from _tasks import from_start
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from promin_postgres.errors import LeaseLost
from promin_postgres.steps import AsyncPgStepQueue, Completed, NewTask, PgStepQueue, _fairness

SUITE_RUNS = "async"

MAX_DELIVERIES = 3
LONG = 3600
LIMIT = 2
TABLES = "wf_step_queue, wf_step_history, wf_step_batches, wf_workers, wf_step_limits, wf_paused_queues"
FAIRNESS = ["strict-priority", "round-robin", "weighted"]


class StepMachine(RuleBasedStateMachine):
    """The model: where each task stands, by id. `leases` are the tasks that were handed out, valid or not."""

    make = None
    connection = None

    def __init__(self):
        super().__init__()
        self.connection.execute(f"TRUNCATE {TABLES} RESTART IDENTITY")
        # Hypothesis wants the same answers when it plays a run again.
        _fairness._DICE.seed(0)
        self.claimers = [self.make(), self.make()]
        for queue in self.claimers:
            queue._core._unpark_at = math.inf  # a settlement unparks who may follow, or there is a difference
        self.states = {}  # id -> "ready" | "delayed" | "completed" | "failed" | "dead" | the task that holds it
        self.priority = {}
        self.places = {}
        self.keys = {}
        self.deliveries = {}
        self.seats = set()  # of tasks, also those whose holder is dead
        self.leases = []
        self.paused = False

    def held(self, lease):
        return self.states.get(lease[1].id) is lease

    @rule(
        steps=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 5, 10])), min_size=1, max_size=4),
        delayed=st.booleans(), keyed=st.booleans(),
    )  # fmt: skip
    def enqueue(self, steps, delayed, keyed):
        tasks = [
            NewTask(
                workflow_id=f"w{name % 2}", step_name=f"s{name}", priority=priority, delay=LONG if delayed else 0,
                concurrency_key="k" if keyed else None, concurrency_limit=LIMIT if keyed else None,
            )
            for name, priority in steps
        ]  # fmt: skip
        ids = self.claimers[0].enqueue_many(tasks)
        for task, task_id in zip(tasks, ids, strict=True):
            place = task.step_name
            known = self.places.get(place)
            if known is not None and self.states[known] not in ("completed", "failed", "dead"):
                assert task_id == known
                continue
            assert task_id not in self.states
            self.places[place] = task_id
            self.states[task_id] = "delayed" if delayed else "ready"
            self.priority[task_id] = task.priority
            self.keys[task_id] = task.concurrency_key
            self.deliveries[task_id] = 0

    @rule(who=st.integers(0, 1), limit=st.integers(1, 4), fairness=st.sampled_from(FAIRNESS), data=st.data())
    def claim(self, who, limit, fairness, data):
        queue = from_start(self.claimers[who])
        before = self.dead()
        settling = [lease for lease in self.leases if lease[0] == who and self.held(lease)][
            : data.draw(st.integers(0, 2))
        ]
        ready = [task_id for task_id, state in self.states.items() if state == "ready"]
        got = queue.settle_and_claim(
            [Completed(lease[1]) for lease in settling], queues=["default"], limit=limit, fairness=fairness
        )
        for lease in settling:
            self.settled(lease[1].id, "completed")
        for task_id in self.dead() - before:
            assert self.deliveries[task_id] >= MAX_DELIVERIES
            self.settled(task_id, "dead")
        assert len(got) <= limit
        assert not (self.paused and got)
        if fairness == "strict-priority":
            assert [task.id for task in got] == sorted((t.id for t in got), key=lambda i: (-self.priority[i], i))
        for task in got:
            assert self.states[task.id] == "ready"
            self.deliveries[task.id] += 1
            assert task.deliveries == self.deliveries[task.id] <= MAX_DELIVERIES
            lease = (who, task)
            self.states[task.id] = lease
            self.leases.append(lease)
            if self.keys[task.id]:
                self.seats.add(task.id)
        # What a wide look took over from the dead, and gave back beyond the limit, has left its seat.
        kept = {i for (i,) in self.connection.execute("SELECT id FROM wf_step_queue WHERE holds_seat").fetchall()}
        self.seats -= {task_id for task_id in self.seats - kept if self.states[task_id] == "ready"}
        assert len(self.seats) <= LIMIT
        if not got and not self.paused:
            left = [task_id for task_id in ready if self.states[task_id] == "ready"]
            assert all(self.keys[task_id] and len(self.seats) == LIMIT for task_id in left), "there was work"

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), how=st.sampled_from(["complete", "fail", "again", "later", "release"]), by_id=st.booleans())
    def settle(self, data, how, by_id):
        lease = data.draw(st.sampled_from(self.leases))
        who, task = lease
        queue = self.claimers[who]
        current = self.states.get(task.id)
        mine = self.held(lease) or (by_id and isinstance(current, tuple) and current[0] == who)
        given = task.id if by_id else task
        calls = {
            "complete": lambda: queue.complete(given),
            "fail": lambda: queue.fail(given, error="e"),
            "again": lambda: queue.fail(given, error="e", retry_in=0),
            "later": lambda: queue.fail(given, error="e", retry_in=LONG),
            "release": lambda: queue.release(given),
        }
        if not mine:
            with pytest.raises(LeaseLost):
                calls[how]()
            return
        calls[how]()
        worn = self.deliveries[task.id] >= MAX_DELIVERIES
        again = "dead" if worn else "delayed" if how == "later" else "ready"
        self.settled(task.id, {"complete": "completed", "fail": "failed", "release": "ready"}.get(how, again))
        self.deliveries[task.id] -= how == "release"

    def settled(self, task_id, state):
        self.states[task_id] = state
        self.seats.discard(task_id)

    @rule(who=st.integers(0, 1))
    def expire(self, who):
        """A claimer dies; another comes in his place. What he holds is anybody's, with its seats."""
        self.connection.execute(
            "UPDATE wf_workers SET expires_at = clock_timestamp() WHERE id = %s", [self.claimers[who].worker_id]
        )
        self.claimers[who]._core._renew_at = 0.0
        for task_id, state in self.states.items():
            if isinstance(state, tuple) and state[0] == who:
                self.states[task_id] = "ready"

    @rule()
    def requeue_stuck(self):
        rows = self.connection.execute(
            "SELECT q.id FROM wf_step_queue q LEFT JOIN wf_workers w ON w.id = q.claimed_by AND w.expires_at > now()"
            " WHERE q.claimed_by IS NOT NULL AND w.id IS NULL"
        ).fetchall()
        assert self.claimers[0].requeue_stuck() == len(rows)
        self.seats -= {task_id for (task_id,) in rows}

    @precondition(lambda self: "delayed" in self.states.values())
    @rule()
    def become_due(self):
        self.connection.execute("UPDATE wf_step_queue SET available_at = clock_timestamp() WHERE gate = 1")
        for task_id, state in self.states.items():
            if state == "delayed":
                self.states[task_id] = "ready"

    @rule()
    def pause_or_resume(self):
        self.paused = not self.paused
        (self.claimers[1].pause if self.paused else self.claimers[1].resume)("default")

    @rule()
    def redrive(self):
        unfinished = {
            place: i for place, i in self.places.items() if self.states[i] not in ("completed", "failed", "dead")
        }
        self.claimers[0].redrive()
        rows = self.connection.execute("SELECT id, step_name FROM wf_step_queue").fetchall()
        for task_id, place in rows:
            if self.states[task_id] == "dead":
                assert place not in unfinished
                self.places[place] = task_id
                self.states[task_id] = "ready"
                self.deliveries[task_id] = 0

    def dead(self):
        return {i for (i,) in self.connection.execute("SELECT id FROM wf_step_history WHERE status = 9").fetchall()}

    @invariant()
    def the_counts_agree(self):
        metrics = self.claimers[0].metrics().get("default")
        if metrics is None:
            assert not self.states
            return
        stands = Counter(state if isinstance(state, str) else "running" for state in self.states.values())
        assert (metrics.completed, metrics.failed, metrics.dead) == (
            stands["completed"], stands["failed"], stands["dead"],
        )  # fmt: skip
        assert metrics.pending + metrics.running == stands["ready"] + stands["delayed"] + stands["running"]
        taken = self.connection.execute("SELECT COALESCE(sum(taken), 0) FROM wf_step_limits").fetchone()
        assert taken == (len(self.seats),)


@pytest.mark.parametrize(
    "runs", [25, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])], ids=["short", "soak"]
)
def test_no_difference_from_the_model(twin, twin_db, promin_dsn, runs):
    kind = twin.pick(PgStepQueue, AsyncPgStepQueue)
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        made = {"make": lambda _: kind(twin_db, lease=LONG, max_deliveries=MAX_DELIVERIES), "connection": connection}
        run_state_machine_as_test(
            type("Machine", (StepMachine,), made),
            settings=settings(
                max_examples=runs,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )
