"""Eight writers, a transaction that stays open, readers killed with -9, a server that crashes: each change once.

Readers that poll by id or by time lose rows of the same writers.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
from _waiting import until

from promin_postgres.changes import PgChangeStream
from promin_postgres.migrator import migrate
from promin_postgres.testing import postgres_server

ROOT = Path(__file__).parents[2]
WRITERS = 8

READER = """
import sys, psycopg
from promin_postgres.changes import Offset, PgChangeStream

dsn = sys.argv[1]
with PgChangeStream(dsn, table="item", poll_interval=0.5) as source:
    save = psycopg.connect(dsn, autocommit=True)
    (saved,) = save.execute("SELECT position FROM saved").fetchone()
    with source.changes(Offset.cursor(saved)).batched(200, max_wait=0.01) as stream:
        for batch in stream:
            if save.closed or save.broken:
                save = psycopg.connect(dsn, autocommit=True)
            with save.transaction():
                save.cursor().executemany("INSERT INTO delivered VALUES (%s)", [[c.new["id"]] for c in batch])
                save.execute("UPDATE saved SET position = %s", [batch[-1].position])
"""


@pytest.mark.parametrize(
    ("total", "kills"),
    [(4_000, 6), pytest.param(200_000, 50, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])],
    ids=["short", "soak"],
)
def test_every_committed_change_once(total, kills):
    with (
        postgres_server(server="own", durable=True, settings={"synchronous_commit": "on"}) as server,
        ExitStack() as stack,
    ):
        dsn = server.create_database()
        migrate(dsn)
        execute(dsn, "CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int,"
                " created_at timestamptz NOT NULL DEFAULT clock_timestamp())")  # fmt: skip
        execute(dsn, "CREATE TABLE delivered (id bigint)")
        execute(dsn, "CREATE TABLE saved (position text)")
        with PgChangeStream(dsn, table="item") as source:
            source.install_trigger()
            execute(dsn, "INSERT INTO saved VALUES (%s)", [source.position()])

        open_one = begin_one(dsn)
        work = Writers(dsn, total)
        pollers = [Poller(dsn, "id", "0"), Poller(dsn, "created_at", "2000-01-01")]
        reader = start(dsn)
        stack.callback(lambda: (reader.kill(), reader.wait()))
        for number in range(1, kills + 1):
            until(lambda share=number: work.written >= total * share // (kills + 2), timeout=1800)
            reader.kill()
            reader.wait()
            reader = start(dsn)
            if number == kills // 2:
                with suppress(psycopg.Error):
                    open_one.close()
                server.restart("immediate")
                open_one = begin_one(dsn)
        work.join()

        # The transaction that began first, or right after the restart, is open still; all else is there.
        committed = count(dsn, "item")
        assert committed >= total
        until(lambda: count(dsn, "delivered") >= committed, timeout=120)
        open_one.commit()
        open_one.close()
        until(lambda: count(dsn, "delivered") >= committed + 1)
        assert rows(dsn, "SELECT id FROM delivered GROUP BY id HAVING count(*) > 1") == []
        assert rows(dsn, "SELECT id FROM item EXCEPT SELECT id FROM delivered") == []
        assert rows(dsn, "SELECT id FROM delivered EXCEPT SELECT id FROM item") == []

        for poller in pollers:
            poller.join()
            lost = {row[0] for row in rows(dsn, "SELECT id FROM item")} - poller.seen
            print(f"polling by {poller.column} lost {len(lost)} of {committed + 1}")
            assert lost, f"polling by {poller.column} is expected to lose rows"


def begin_one(dsn):
    """A transaction that has written and stays open."""
    connection = psycopg.connect(dsn)
    connection.execute("INSERT INTO item (n) VALUES (-1)")
    return connection


class Writers:
    """Insert rows until there are enough of them, in all the ways in which a commit may be late or not come."""

    def __init__(self, dsn, total):
        self.dsn = dsn
        self.total = total
        self.written = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(seed,)) for seed in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()

    def run(self, seed):
        dice = random.Random(seed)
        while self.written < self.total:
            with suppress(psycopg.OperationalError, psycopg.Rollback), psycopg.connect(self.dsn) as connection:
                while self.written < self.total:
                    count = self.write(connection, dice)
                    with self.lock:
                        self.written += count

    def write(self, connection, dice):
        connection.execute("SELECT pg_current_xact_id()")  # what follows are savepoints
        count = 0
        for _ in range(dice.randint(1, 3)):
            size = dice.choice([1, 1, 1, 2, 5, 300 if dice.random() < 0.05 else 10])
            insert = "INSERT INTO item (n) SELECT n FROM generate_series(1, %s) AS n"
            if dice.random() < 0.2:
                with connection.transaction() as savepoint:
                    connection.execute(insert, [size])
                    raise psycopg.Rollback(savepoint)
            else:
                with connection.transaction():
                    connection.execute(insert, [size])
                count += size
            time.sleep(dice.random() * 0.003)
        if dice.random() < 0.2:
            connection.rollback()
            return 0
        connection.commit()
        return count


class Poller(threading.Thread):
    """What people write who have no cursor of snapshots: rows above the greatest that was seen."""

    def __init__(self, dsn, column, start):
        super().__init__()
        self.dsn, self.column, self.last = dsn, column, start
        self.seen = set()
        self.ending = threading.Event()
        self.start()

    def run(self):
        while not self.ending.wait(0.01):
            with suppress(psycopg.OperationalError), psycopg.connect(self.dsn, autocommit=True) as connection:
                while not self.ending.wait(0.01):
                    self.poll(connection)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            self.poll(connection)

    def poll(self, connection):
        query = f"SELECT id, {self.column}::text AS mark FROM item WHERE {self.column} > %s ORDER BY {self.column}"
        for identity, mark in connection.execute(query, [self.last]).fetchall():
            self.seen.add(identity)
            self.last = mark

    def join(self, timeout=None):
        self.ending.set()
        super().join(timeout)


def start(dsn):
    return subprocess.Popen([sys.executable, "-c", READER, dsn], cwd=ROOT)


def execute(dsn, query, params=None):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(query, params)


def rows(dsn, query):
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def count(dsn, table):
    return rows(dsn, f"SELECT count(*) FROM {table}")[0][0]
