"""All rows and then the log, while others write: applied in order they give the table."""

from __future__ import annotations

import random
import threading

import psycopg
import pytest

from promin_postgres.changes import AsyncPgChangeStream, Offset, PgChangeStream

WRITERS, ROUNDS, ROWS = 4, 60, 2_000


@pytest.mark.parametrize("batch_size", [7, 500])
def test_no_gap_and_no_overlap(twin, promin_dsn, batch_size):
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int)")
        connection.execute("INSERT INTO item (n) SELECT n FROM generate_series(1, %s) AS n", [ROWS])
    source = twin.pick(PgChangeStream, AsyncPgChangeStream)(
        promin_dsn, table="item", timestamp_column=None, batch_size=batch_size
    )
    with source:
        source.install_trigger(operations=("insert", "update", "delete"))
        begun = threading.Semaphore(0)
        writers = [threading.Thread(target=write, args=(promin_dsn, seed, begun)) for seed in range(WRITERS)]
        for writer in writers:
            writer.start()
            begun.acquire()
        with source.changes(Offset.earliest()) as changes:
            copy = {}
            first = next(changes)  # the snapshot is taken while the writers are at work
            ender = threading.Thread(target=end, args=(writers, source))
            ender.start()
            ops = {first.op}
            change = first
            while change.op != "notify":
                ops.add(change.op)
                apply(change, copy)
                change = next(changes)
            ender.join()
    with psycopg.connect(promin_dsn) as connection:
        assert copy == dict(connection.execute("SELECT id, n FROM item").fetchall())
    assert ops == {"read", "insert", "update", "delete"}


def apply(change, copy):
    """Strictly: a row that was read or inserted must be new, one that changed must be as it was."""
    if change.op in ("read", "insert"):
        assert change.new["id"] not in copy
        copy[change.new["id"]] = change.new["n"]
    elif change.op == "update":
        assert copy[change.old["id"]] == change.old["n"]
        copy[change.new["id"]] = change.new["n"]
    else:
        assert copy.pop(change.old["id"]) == change.old["n"]


def write(dsn, seed, begun):
    """Transactions on rows that only this writer touches: what it does to one row is in its order."""
    dice = random.Random(seed)
    with psycopg.connect(dsn) as connection:
        for number in range(ROUNDS):
            connection.execute("INSERT INTO item (n) SELECT -n FROM generate_series(1, %s) AS n", [dice.randint(1, 5)])
            mine = f"id IN (SELECT id FROM item WHERE id %% {WRITERS} = {seed} ORDER BY random() LIMIT 3)"
            connection.execute(f"UPDATE item SET n = n + 1 WHERE {mine}", [])
            connection.execute(f"DELETE FROM item WHERE {mine}", [])
            connection.rollback() if dice.random() < 0.2 else connection.commit()
            if number == 0:
                begun.release()


def end(writers, source):
    for writer in writers:
        writer.join()
    source.notify("the end")
