"""The loop: on time, led by one, cheap when idle, and not to be stopped by what goes wrong."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import psycopg
import pytest
from _waiting import until
from psycopg_pool import ConnectionPool

from promin_postgres.database import Database
from promin_postgres.errors import ConfigurationError
from promin_postgres.scheduler import create_durable_scheduler
from promin_postgres.scheduler._statements import LOCK_DUE

SUITE_RUNS = "async"


@pytest.fixture
def make(make_scheduler):
    return lambda dsn=None, **options: make_scheduler(*([dsn] if dsn else []), clock=None, **options)


def test_ticks_fire_on_time_whatever_the_poll_interval(make):
    scheduler = make(poll_interval=30)
    scheduler.start()
    scheduler.register("s", interval=0.2, max_fires=5)
    until(lambda: scheduler.get("s").standing == "finished")
    lateness = sorted(tick.lateness for tick in scheduler.history("s"))
    assert lateness[0] >= timedelta(0)
    assert lateness[2] < timedelta(seconds=1)


def test_run_ends_by_stop(make):
    scheduler = make()
    scheduler.register("s", interval=0.05)
    running = threading.Thread(target=scheduler.run)
    running.start()
    until(lambda: scheduler.history("s"))
    with pytest.raises(ConfigurationError, match="runs already"):
        scheduler.start()
    scheduler.stop()
    running.join(60)
    assert not running.is_alive()
    assert not scheduler.health().running
    scheduler.start()
    until(lambda: scheduler.health().is_leader)


def test_one_leads_and_hands_over_at_once_when_it_stops(make):
    first, second = make(instance_id="first", lease=60), make(instance_id="second", lease=60, poll_interval=0.1)
    first.start()
    until(lambda: first.health().is_leader)
    second.start()
    until(lambda: second.health().leader == "first")
    assert not second.health().is_leader
    first.stop()
    assert not first.health().is_leader
    began = time.monotonic()
    until(lambda: second.health().is_leader)
    assert time.monotonic() - began < 5


def test_a_leader_that_died_is_followed_within_its_lease(make, promin_dsn):
    with psycopg.connect(promin_dsn) as connection:
        connection.execute(
            "INSERT INTO wf_scheduler_leases VALUES ('', gen_random_uuid(), 'dead', now() + interval '3 seconds')"
        )
    scheduler = make(poll_interval=60)
    scheduler.register("s", interval=0.2)
    began = time.monotonic()
    scheduler.start()
    until(lambda: scheduler.health().leader == "dead")
    until(lambda: scheduler.health().is_leader)
    assert 1 < time.monotonic() - began < 10
    until(lambda: scheduler.history("s"))


def test_an_idle_scheduler_sends_one_statement_per_poll_interval(promin_dsn):
    sent = []

    class Counting(psycopg.Connection):
        def wait(self, gen, *args, **kwargs):
            if gen.__name__ == "_execute_gen":
                sent.append(time.monotonic())
            return super().wait(gen, *args, **kwargs)

    options = {"connection_class": Counting, "kwargs": {"autocommit": True}, "open": True}
    with ConnectionPool(promin_dsn, min_size=1, max_size=2, **options) as pool:
        leader, follower = (create_durable_scheduler(Database(pool), poll_interval=0.25) for _ in range(2))
        leader.register("far", cron="0 0 1 1 *")
        for scheduler in (leader, follower):
            scheduler.start()
            until(lambda idle=scheduler: idle.health().polled_at)
            begun, began = len(sent), time.monotonic()
            until(lambda since=begun: len(sent) >= since + 10)
            polls = (time.monotonic() - began) / 0.25
            assert len(sent) - begun <= (polls + 1) * (1 if scheduler is leader else 2)
        for scheduler in (leader, follower):
            scheduler.stop()


def test_it_goes_on_when_its_connections_die(make, promin_dsn):
    scheduler = make(poll_interval=0.1)
    scheduler.register("s", interval=0.1)
    scheduler.start()
    with psycopg.connect(promin_dsn, autocommit=True) as admin:
        for _ in range(3):
            count = len(scheduler.history("s", 1000))
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            until(lambda seen=count: len(scheduler.history("s", 1000)) > seen + 3)
    fired = [tick.scheduled_at for tick in scheduler.history("s", 1000)]
    assert len(fired) == len(set(fired)) == (fired[0] - fired[-1]) / timedelta(seconds=0.1) + 1, "none is missing"


def test_it_goes_on_when_a_clock_fails(make_scheduler, clock, caplog):
    faults = [RuntimeError("no time"), None]
    clock_at = clock.now

    def faulty():
        if faults and (fault := faults.pop(0)) is not None:
            raise fault
        return clock_at

    scheduler = make_scheduler(clock=faulty, poll_interval=0.05)
    scheduler.start()
    until(lambda: scheduler.health().is_leader)
    assert "no time" in caplog.text


def test_it_waits_for_the_migration(twin, promin_server, caplog):
    name = promin_server.new_name()
    with create_durable_scheduler(promin_server.create_database(name), poll_interval=0.05) as scheduler:
        scheduler.start()
        health = until(lambda: (seen := scheduler.health()).failures > 1 and seen)
        assert health.running
        assert "wf_scheduler_leases" in health.error
    promin_server.drop_database(name)


def test_a_process_that_stops_in_the_middle_loses_its_locks(make, promin_dsn):
    """The server ends a session that sits on locked schedules for longer than a lease."""
    scheduler = make(lease=0.5, poll_interval=0.1)
    scheduler.register("s", interval=0.1)
    core = scheduler._core
    with psycopg.connect(promin_dsn) as stuck:
        patience = {"ids": None, "limit": 10, "patience": "500ms", "clock": None, "namespace": ""}
        query = core.sql.names.render(LOCK_DUE)
        until(lambda: stuck.execute(query, patience).fetchall() or stuck.rollback())
        scheduler.start()
        until(lambda: len(scheduler.history("s")) > 3)
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            stuck.execute("SELECT 1")


def test_health_of_one_that_never_ran(make):
    health = make(instance_id="idle").health()
    assert (health.instance_id, health.running, health.is_leader, health.leader) == ("idle", False, False, None)
    assert (health.polled_at, health.fired, health.failures, health.error) == (None, 0, 0, None)
