"""Two processes with one consumer name: one reads, the other waits, and takes over when the first dies or freezes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from _waiting import until

from promin_postgres.changes import Offset, PgChangeStream

ROOT = Path(__file__).parents[2]

READER = """
import sys, psycopg
from promin_postgres.changes import PgChangeStream

dsn, name = sys.argv[1:]
log = psycopg.connect(dsn, autocommit=True)
stream = PgChangeStream(dsn, table="item", poll_interval=0.2, lease=2)
with stream, stream.changes(consumer="billing") as changes:
    for change in changes:
        with log.transaction():
            log.execute("INSERT INTO delivered VALUES (%s, %s)", [change.new["id"], name])
            change.ack(connection=log)
"""


class Readers:
    """Two processes that read for "billing" and write down what they got, in the transaction of the acknowledgement."""

    def __init__(self, dsn, sql):
        self.sql = sql
        self.processes = {
            name: subprocess.Popen(
                [sys.executable, "-c", READER, dsn, name], cwd=ROOT, stderr=subprocess.PIPE, text=True
            )
            for name in ("first", "second")
        }

    def delivered(self):
        return self.sql.execute("SELECT id, by FROM delivered ORDER BY id").fetchall()

    def add(self, first, last):
        """Changes, and who got them."""
        self.sql.execute("INSERT INTO item SELECT generate_series(%s::int, %s::int)", [first, last])
        until(lambda: len(self.delivered()) == last)
        (name,) = {name for number, name in self.delivered() if number >= first}
        return name

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.communicate()


@pytest.fixture
def readers(promin_dsn):
    with psycopg.connect(promin_dsn, autocommit=True) as sql, PgChangeStream(promin_dsn, table="item") as source:
        sql.execute("CREATE TABLE item (id bigint PRIMARY KEY, created_at timestamptz DEFAULT now())")
        sql.execute("CREATE TABLE delivered (id bigint, by text)")
        source.install_trigger()
        position = source.position()
        source.notify("begin")
        with source.changes(Offset.cursor(position), consumer="billing") as changes:
            next(changes).ack()
        readers = Readers(promin_dsn, sql)
        try:
            until(lambda: source.consumers()[0].holder)
            yield readers
        finally:
            readers.close()


def test_the_other_takes_over_when_one_is_killed(readers):
    holder = readers.add(1, 50)
    readers.processes[holder].kill()
    other = readers.add(51, 100)
    assert other != holder
    assert readers.delivered() == [(n, holder if n <= 50 else other) for n in range(1, 101)]


def test_who_was_frozen_and_replaced_changes_nothing(readers):
    holder = readers.add(1, 50)
    frozen = readers.processes[holder]
    frozen.send_signal(signal.SIGSTOP)
    other = readers.add(51, 100)
    assert other != holder
    frozen.send_signal(signal.SIGCONT)
    _, complaint = frozen.communicate(timeout=60)
    assert "LeaseLost" in complaint
    assert readers.add(101, 150) == other
    assert [number for number, _ in readers.delivered()] == [*range(1, 151)]
