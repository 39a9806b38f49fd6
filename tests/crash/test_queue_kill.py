"""Consumers are killed with -9 while they work: nothing is lost, and nobody gets what another one holds."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from promin_postgres.queue import PgQueue

SUITE_RUNS = "async"

ROOT = Path(__file__).parents[2]

CONSUMER = """
import sys, psycopg
from promin_postgres.queue import PgQueue

dsn = sys.argv[1]
log = psycopg.connect(dsn, autocommit=True)
with PgQueue.wrap(dsn, "jobs", visibility_timeout=2, max_attempts=100) as queue:
    with queue.subscribe_ack(batch_size=5) as stream:
        for envelope in stream:
            log.execute(
                "INSERT INTO handled (value, receipt) VALUES (%s, %s)", [envelope.value, envelope.receipt]
            )
            envelope.ack()
"""


@pytest.mark.parametrize(
    ("messages", "kills"),
    [(400, 4), pytest.param(20_000, 100, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
    ids=["short", "soak"],
)
def test_consumers_killed_at_random(promin_dsn, messages, kills):
    with (
        psycopg.connect(promin_dsn, autocommit=True) as watch,
        PgQueue.create(promin_dsn, "jobs", visibility_timeout=2, max_attempts=100) as queue,
    ):
        watch.execute("CREATE TABLE handled (value integer, receipt bigint, at timestamptz DEFAULT clock_timestamp())")
        consumers = [start(promin_dsn) for _ in range(3)]
        try:
            queue.publish_many(range(messages))
            for number in range(1, kills + 1):
                # Wherever the work stands by then: a share of the messages is handled.
                wait_until(lambda share=number: count(watch) >= messages * share // (kills + 1))
                victim = consumers.pop(random.randrange(len(consumers)))
                victim.kill()
                victim.wait()
                consumers.append(start(promin_dsn))
            wait_until(lambda: queue.metrics().total == 0)
        finally:
            for consumer in consumers:
                consumer.kill()
                consumer.wait()
        (distinct,) = watch.execute("SELECT count(DISTINCT value) FROM handled").fetchone()
        assert distinct == messages
        # A message is handed out once under each receipt, and a kill interrupts at most the one message in hand.
        assert watch.execute("SELECT 1 FROM handled GROUP BY value, receipt HAVING count(*) > 1").fetchall() == []
        assert count(watch) - messages <= kills


def start(dsn):
    return subprocess.Popen([sys.executable, "-c", CONSUMER, dsn], cwd=ROOT)


def count(watch):
    return watch.execute("SELECT count(*) FROM handled").fetchone()[0]


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
