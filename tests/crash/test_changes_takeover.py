"""Two processes with one consumer name: one reads and the other waits, and takes over when the first is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
from _waiting import until

from promin_postgres.changes import Offset, PgChangeStream

ROOT = Path(__file__).parents[2]

READER = """
import sys, psycopg
from promin_postgres.changes import PgChangeStream

dsn, name = sys.argv[1:]
log = psycopg.connect(dsn, autocommit=True)
with PgChangeStream(dsn, table="item", poll_interval=0.2, lease=2).changes(consumer="billing") as changes:
    for change in changes:
        with log.transaction():
            log.execute("INSERT INTO delivered VALUES (%s, %s)", [change.new["id"], name])
            change.ack(connection=log)
"""


def test_one_reads_and_the_other_takes_over(promin_dsn):
    with psycopg.connect(promin_dsn, autocommit=True) as sql, PgChangeStream(promin_dsn, table="item") as source:
        sql.execute("CREATE TABLE item (id bigint PRIMARY KEY, created_at timestamptz DEFAULT now())")
        sql.execute("CREATE TABLE delivered (id bigint, by text)")
        source.install_trigger()
        position = source.position()
        source.notify("begin")
        with source.changes(Offset.cursor(position), consumer="billing") as changes:
            next(changes).ack()

        def delivered():
            return sql.execute("SELECT id, by FROM delivered ORDER BY id").fetchall()

        readers = {name: start(promin_dsn, name) for name in ("first", "second")}
        try:
            until(lambda: source.consumers()[0].holder)
            sql.execute("INSERT INTO item SELECT generate_series(1, 50)")
            until(lambda: len(delivered()) == 50)
            (holder,) = {name for _, name in delivered()}
            readers[holder].kill()
            readers[holder].wait()
            sql.execute("INSERT INTO item SELECT generate_series(51, 100)")
            until(lambda: len(delivered()) == 100)
        finally:
            for reader in readers.values():
                reader.kill()
                reader.wait()
        (other,) = readers.keys() - {holder}
        assert delivered() == [(n, holder) for n in range(1, 51)] + [(n, other) for n in range(51, 101)]


def start(dsn, name):
    return subprocess.Popen([sys.executable, "-c", READER, dsn, name], cwd=ROOT)
