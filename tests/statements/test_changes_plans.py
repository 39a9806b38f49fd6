"""What a poll costs depends on what is new, and on nothing else that is in the log or open in the cluster."""

from __future__ import annotations

import psycopg
import pytest

from promin_postgres._statement import SqlNames
from promin_postgres.changes import PgChangeStream
from promin_postgres.changes import _statements as sql
from promin_postgres.migrator import migrate

RECORDS = 200_000
PARAMS = {"stream": 1, "high": None, "seq": 0, "limit": 500, "max_bytes": 1 << 24}


@pytest.fixture(scope="module", params=["analyzed", "new"])
def loaded(promin_server, request):
    """A log of 200,000 records of two tables, made while a transaction is open that has added one of its own."""
    name = promin_server.new_name()
    dsn = promin_server.create_database(name)
    with psycopg.connect(dsn, autocommit=True) as connection, psycopg.connect(dsn) as late:
        migrate(connection)
        (before,) = connection.execute("SELECT pg_current_snapshot()::text").fetchone()
        insert = (
            "INSERT INTO wf_changes (stream, op, rows, bytes, new)"
            " SELECT n %% 2 + 1, 'insert', 1, 60, '{1}' FROM generate_series(1, %s) AS n"
        )
        late.execute(insert, [2])
        for _ in range(10):
            connection.execute(insert, [RECORDS // 10])
        if request.param == "analyzed":
            connection.execute("ANALYZE wf_changes")
        (after,) = connection.execute("SELECT pg_current_snapshot()::text").fetchone()
        yield connection, late, before, after
    promin_server.drop_database(name)


def cost(connection, **params):
    """How many records a poll walks over, delivered or not; and how many it reads for the lowest number of a range."""
    query = b"EXPLAIN (ANALYZE, FORMAT JSON) " + SqlNames().render(sql.FETCH)
    ((plan,),) = connection.execute(query, PARAMS | params, prepare=False).fetchall()
    nodes = [node for node in walk(plan[0]["Plan"]) if node.get("Relation Name") == "wf_changes"]
    read = {"walk": 0, "lookup": 0}
    for node in nodes:
        assert node["Node Type"] != "Seq Scan"
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        read["walk" if node["Node Type"] == "Index Scan" else "lookup"] += rows * node["Actual Loops"]
    return tuple(read.values())


def walk(node):
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)


def test_nothing_new_reads_nothing(loaded):
    connection, _, _, after = loaded
    assert after.split(":")[2], "a transaction is open"
    assert cost(connection, low=after) == (0, 0)


def test_a_batch_reads_a_batch(loaded):
    connection, _, before, after = loaded
    walked, looked_up = cost(connection, low=before)
    assert walked <= 600
    assert looked_up <= RECORDS, "once, at the beginning of the range"
    (seq,) = connection.execute(
        "SELECT seq FROM wf_changes WHERE stream = 1 ORDER BY seq OFFSET %s LIMIT 1", [RECORDS // 3]
    ).fetchone()
    walked, looked_up = cost(connection, low=before, high=after, seq=seq)
    assert walked <= 600
    assert looked_up == 0


def test_a_late_commit_is_found_by_its_number(loaded):
    connection, late, _, after = loaded
    late.commit()
    found = connection.execute(SqlNames().render(sql.FETCH), PARAMS | {"low": after}, prepare=False).fetchall()
    assert len(found) == 1 + 1, "the row that says the second snapshot, and the record"
    assert sum(cost(connection, low=after)) <= 1, "PostgreSQL rounds the rows of a loop: half a row is none"


def test_a_batch_ends_where_rows_are_large_however_small_they_are_on_disk(promin_dsn):
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE item (id bigint PRIMARY KEY, payload text)")
        with PgChangeStream(promin_dsn, table="item", timestamp_column=None) as source:
            source.install_trigger()
        connection.execute("INSERT INTO item SELECT n, repeat('x', 1000000) FROM generate_series(1, 60) AS n")
        assert connection.execute("SELECT pg_total_relation_size('wf_changes') < 2000000").fetchone() == (True,)
        query = SqlNames().render(sql.FETCH)
        rows = connection.execute(query, PARAMS | {"low": "1:1:", "max_bytes": 16 << 20}, prepare=False).fetchall()
        assert 15 <= len(rows) - 1 <= 18
