"""Installing and removing the triggers of a change stream."""

from __future__ import annotations

import psycopg
import pytest
from _changes import ALL, add, ids, since, streams, table_of_orders

from promin_postgres.changes import Offset
from promin_postgres.errors import ConfigurationError

SUITE_RUNS = "async"


@pytest.fixture
def sql(promin_dsn):
    with table_of_orders(promin_dsn) as execute:
        yield execute


@pytest.fixture
def make(twin, promin_dsn, sql):
    with streams(twin, promin_dsn) as make_stream:
        yield make_stream


def test_twice_is_once_and_removed_is_gone(make, sql):
    before = objects(sql)
    stream = make()
    stream.install_trigger(operations=ALL)
    once = objects(sql)
    stream.install_trigger(operations=ALL)
    assert objects(sql) == once != before
    add(sql, 1)
    assert sql("SELECT count(*) FROM wf_changes").fetchone() == (1,)
    stream.install_trigger()
    assert len(objects(sql)) == len(before) + 2
    stream.remove_trigger()
    assert objects(sql) == before
    assert [
        sql(f"SELECT count(*) FROM wf_{table}").fetchone()[0]
        for table in ("changes", "change_streams", "change_consumers")
    ] == [0, 0, 0]
    stream.remove_trigger()
    add(sql, 2)


def objects(sql):
    return sorted(
        sql(
            "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal UNION ALL SELECT proname::text FROM pg_proc"
        ).fetchall()
    )


def test_a_stream_that_is_open_when_the_trigger_goes(make, sql):
    stream = make(poll_interval=0.05)
    stream.install_trigger()
    with stream.changes(Offset.cursor(stream.position())) as changes:
        add(sql, 1)
        next(changes)
        stream.remove_trigger()
        with pytest.raises(ConfigurationError, match="removed"):
            next(changes)


@pytest.mark.parametrize(
    ("table", "options", "problem"),
    [
        ("nothing", {}, "no table public.nothing"),
        ("other.orders", {}, "no table other.orders"),
        ("orders", {"payload_column": "body"}, "'body'"),
        ("orders", {"timestamp_column": "at"}, "'at'"),
        ("orders", {"sequence_column": "number"}, "'number'"),
    ],
)
def test_a_table_that_does_not_fit(make, table, options, problem):
    with pytest.raises(ConfigurationError, match=problem):
        make(table, **options).install_trigger()


def test_a_faulty_condition_changes_nothing(make, sql):
    before = objects(sql)
    for condition in ("nonsense > 1", "new.id >", "new.nothing = 1"):
        with pytest.raises(psycopg.errors.Error):
            make().install_trigger(when=condition)
    assert objects(sql) == before


def test_those_who_write_need_no_rights_on_the_log(make, sql):
    stream = make()
    stream.install_trigger()
    start = stream.position()
    role = psycopg.sql.Identifier(sql("SELECT 'writer ' || current_database()").fetchone()[0])
    sql(psycopg.sql.SQL("CREATE ROLE {}").format(role))
    try:
        sql(psycopg.sql.SQL("GRANT INSERT ON orders TO {}").format(role))
        sql(psycopg.sql.SQL("SET ROLE {}").format(role))
        add(sql, 1)
        sql("RESET ROLE")
        assert ids(since(stream, start, 1)) == [1]
    finally:
        sql(psycopg.sql.SQL("RESET ROLE; DROP OWNED BY {0}; DROP ROLE {0}").format(role))
