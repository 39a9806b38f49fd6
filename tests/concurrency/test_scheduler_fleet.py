"""Eight schedulers with wrong clocks; two are stopped past their leadership and resumed, one is killed, the server is
restarted: each fire time makes one tick.

Run the long form by itself: python -m pytest -m soak -s tests/concurrency/test_scheduler_fleet.py
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from _waiting import until
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from promin_postgres.database import Database
from promin_postgres.migrator import migrate
from promin_postgres.scheduler import Schedule, create_durable_scheduler
from promin_postgres.testing import postgres_server

ROOT = Path(__file__).parents[2]
LEASE = 1.5

SCHEDULER = """
import datetime, sys, time

dsn, hours = sys.argv[1], float(sys.argv[2])
real, tell = datetime.datetime, time.time

class Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, real)

class Wrong(real, metaclass=Kind):
    @classmethod
    def now(cls, tz=None):
        return real.now(tz) + datetime.timedelta(hours=hours)

datetime.datetime, time.time = Wrong, lambda: tell() + 3600 * hours

from promin_postgres.scheduler import create_durable_scheduler

create_durable_scheduler(dsn, instance_id=sys.argv[3], poll_interval=0.3, lease=float(sys.argv[4]), grace=120).run()
"""


@pytest.mark.parametrize(
    ("schedules", "seconds"),
    [(30, 14), pytest.param(500, 60, marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
    ids=["short", "soak"],
)
def test_each_fire_time_once(schedules, seconds):
    with postgres_server(server="own", durable=schedules > 100) as server, ExitStack() as stack:
        dsn = server.create_database()
        migrate(dsn)
        fleet = [start(stack, dsn, number) for number in range(8)]
        until(lambda: leader(dsn) is not None, timeout=90)
        end = begin(dsn, schedules, seconds)
        at = [end - timedelta(seconds=seconds * share / 6) for share in (5, 4, 3, 2, 1)]

        wait_for(dsn, at[0])
        first = stop(fleet, dsn)
        wait_for(dsn, at[1])
        second = stop(fleet, dsn)
        os.kill(first.pid, signal.SIGCONT)
        wait_for(dsn, at[2])
        killed = fleet[leader(dsn)]
        killed.kill()
        killed.wait()
        wait_for(dsn, at[3])
        os.kill(second.pid, signal.SIGCONT)
        server.restart("immediate" if schedules > 100 else "fast")
        wait_for(dsn, end)

        with create_durable_scheduler(dsn) as scheduler:
            until(lambda: all(state.standing == "finished" for state in scheduler.list()), timeout=60)
            assert {state.missed for state in scheduler.list()} == {0}
        assert [process.poll() is None for process in fleet].count(False) == 1, "only the killed one has ended"
        with psycopg.connect(dsn) as connection:
            exact = connection.execute(
                "SELECT t.schedule FROM wf_schedule_ticks t JOIN wf_schedules s ON s.id = t.schedule"
                " GROUP BY t.schedule HAVING count(*) = %(n)s AND count(DISTINCT t.scheduled_at) = %(n)s"
                " AND max(t.number) = %(n)s - 1"
                " AND min(t.scheduled_at) = min(s.start_at) AND count(*) FILTER (WHERE t.kind <> 'scheduled') = 0",
                {"n": seconds},
            ).fetchall()
            late = connection.execute(
                "SELECT percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY fired_at - scheduled_at),"
                " max(fired_at - scheduled_at) FROM wf_schedule_ticks"
            ).fetchone()
        print(f"{schedules} schedules, {seconds} fire times each; late (median, 90 %), at most: {late}")
        assert len(exact) == schedules


def start(stack, dsn, number):
    """A scheduler whose clock is wrong by up to some hours."""
    program = [sys.executable, "-c", SCHEDULER, dsn, str(3 * number - 10), str(number), str(LEASE)]
    process = subprocess.Popen(program, cwd=ROOT, stderr=subprocess.DEVNULL)

    def end():
        process.kill()
        process.wait()

    stack.callback(end)
    return process


def begin(dsn, schedules, seconds):
    """Register schedules that fire each second for so long, soon; returns when they end."""
    with create_durable_scheduler(dsn) as scheduler:
        scheduler.register("now", interval=60)
        begins = scheduler.get("now").created_at.replace(microsecond=0) + timedelta(seconds=3 + schedules // 100)
        ends = begins + timedelta(seconds=seconds)
        many = [
            Schedule(id=f"s{number}", cron="* * * * * *", start_at=begins, end_at=ends) for number in range(schedules)
        ]
        scheduler.apply(many, remove_missing=True)
        return ends


def wait_for(dsn, moment):
    """Until it is that late, by the server's clock."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_sleep_until(%s)", [moment])


def leader(dsn):
    """The number of the scheduler that leads now."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT instance_id FROM wf_scheduler_leases WHERE expires_at > clock_timestamp()"
        ).fetchone()
    return None if row is None else int(row[0])


def stop(fleet, dsn):
    """Stop the leader, until another one leads."""
    led = until(lambda: (number := leader(dsn)) is not None and (number,))[0]
    os.kill(fleet[led].pid, signal.SIGSTOP)
    began = time.monotonic()
    until(lambda: leader(dsn) not in (None, led))
    assert time.monotonic() - began < LEASE + 5
    return fleet[led]


def test_concurrent_triggers_and_registrations(make_scheduler):
    """Twenty at once: one schedule, distinct tick numbers, one backfill."""
    schedulers = [make_scheduler(clock=None) for _ in range(4)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: schedulers[n % 4].register("s", cron="0 0 * * *"), range(20)))
        begins = schedulers[0].get("s").created_at - timedelta(days=10)
        list(pool.map(lambda n: schedulers[n % 4].trigger_now("s"), range(20)))
        backfills = list(
            pool.map(lambda n: schedulers[n % 4].backfill("s", start=begins, end=begins + timedelta(days=5)), range(20))
        )
    ticks = schedulers[0].history("s")
    assert [tick.tick_number for tick in ticks] == list(range(24, -1, -1))
    assert all(backfill == backfills[0] for backfill in backfills)
    assert len(backfills[0]) == 5


def test_consumers_of_many_share_the_ticks(make_scheduler):
    scheduler = make_scheduler(clock=None, poll_interval=0.2)
    scheduler.register("s", interval=0.01, max_fires=100, max_catch_up=100)
    scheduler.start()
    streams = [scheduler.stream() for _ in range(4)]
    seen = []

    def consume(stream):
        seen.extend(tick.tick_number for tick in stream)

    with ThreadPoolExecutor(4) as pool:
        for stream in streams:
            pool.submit(consume, stream)
        until(lambda: len(seen) == 100)
        for stream in streams:
            stream.close()
    assert sorted(seen) == list(range(100))


def test_nothing_depends_on_a_session(promin_dsn):
    """As behind a transaction pooler: after each use a connection forgets all that a session may hold."""

    def forget(connection):
        connection.execute("DISCARD ALL")

    kwargs = {"autocommit": True, "prepare_threshold": None}
    with ConnectionPool(promin_dsn, min_size=2, max_size=4, kwargs=kwargs, reset=forget, open=True) as pool:
        works_without_sessions(Database(pool))


@pytest.mark.soak
def test_behind_pgbouncer(promin_dsn, tmp_path):
    """The same behind a pooler by transaction, which is given no listen_dsn."""
    info = psycopg.conninfo.conninfo_to_dict(promin_dsn)
    port = 30000 + os.getpid() % 30000
    server = " ".join(f"{name}={info[name]}" for name in ("host", "port", "user", "password"))
    (tmp_path / "bouncer.ini").write_text(
        f"[databases]\n* = {server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
        "pool_mode = transaction\nunix_socket_dir =\nignore_startup_parameters = extra_float_digits\n"
    )
    ordinary = ["-u", "nobody"] if os.getuid() == 0 else []
    bouncer = subprocess.Popen(["pgbouncer", "-q", *ordinary, str(tmp_path / "bouncer.ini")])
    try:
        dsn = make_conninfo(promin_dsn, host="127.0.0.1", port=port)
        until(lambda: connects(dsn))
        with Database.connect(dsn, prepare_threshold=None) as db:
            works_without_sessions(db)
    finally:
        bouncer.terminate()
        bouncer.wait()


def connects(dsn):
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


def works_without_sessions(db):
    first = create_durable_scheduler(db, instance_id="first", poll_interval=0.1, lease=1)
    second = create_durable_scheduler(db, instance_id="second", poll_interval=0.1, lease=1)
    first.register("s", interval=0.1, overlap_policy="queue")
    first.start()
    until(lambda: first.health().is_leader)
    second.start()
    with second.stream() as stream:
        assert [next(stream).tick_number for _ in range(5)] == [0, 1, 2, 3, 4]
        first.stop()
        until(lambda: second.health().is_leader)
        assert [next(stream).tick_number for _ in range(5)] == [5, 6, 7, 8, 9]
    second.stop()
