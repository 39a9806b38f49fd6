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


TRAPS = {
    "array_agg": ["json"],
    "json_build_object": ["text, name, text, name"],
    "pg_column_size": ["json"],
    "pg_notify": ["text, text"],
    "pg_try_advisory_xact_lock_shared": ["bigint"],
    "row_number": [""],
    "sum": ["bigint", "integer"],
    "to_json": ["anyelement"],
}
OPERATORS = ["=", "<>", ">", "+", "-", "/"]
OPERANDS = [("text", "text"), ("bigint", "bigint"), ("bigint", "integer"), ("integer", "integer")]


def test_nothing_of_those_who_write_runs_with_the_rights_of_the_log(make, sql):
    """The trigger function has no search_path of its own, for that costs: it names everything with its schema."""
    stream = make()
    stream.install_trigger(operations=ALL)
    assert sql("SELECT proconfig FROM pg_proc WHERE starts_with(proname, 'wf_log_')").fetchone() == (None,)
    start = stream.position()
    sql("CREATE SCHEMA traps")
    body = "LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$"
    for name, signatures in TRAPS.items():
        for arguments in signatures:
            sql(f"CREATE FUNCTION traps.{name}({arguments}) RETURNS boolean {body}")
    for left, right in OPERANDS:
        sql(f"CREATE FUNCTION traps.trap({left}, {right}) RETURNS boolean {body}")
        for operator in OPERATORS:
            sql(f"CREATE OPERATOR traps.{operator} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = traps.trap)")
    sql("SET search_path TO traps, pg_catalog, public")
    for trap in ("to_json(1)", "1::bigint / 2", "pg_notify('a', 'b')"):
        with pytest.raises(psycopg.errors.RaiseException, match="trapped"):
            sql(f"SELECT {trap}")
    for rows in ("(1)", "(2), (3)"):  # one row goes another way than several
        sql(f"INSERT INTO public.orders (id) VALUES {rows}")
        sql("UPDATE public.orders SET payload = '{}'")
        sql("DELETE FROM public.orders")
    sql("TRUNCATE public.orders")
    sql("RESET search_path")
    ops = ["insert", "update", "delete"]
    assert [change.op for change in since(stream, start, 10)] == [*ops, *(op for op in ops for _ in "ab"), "truncate"]


def test_code_of_others_runs_with_a_fixed_search_path(make, sql):
    def path():
        return sql("SELECT proconfig FROM pg_proc WHERE starts_with(proname, 'wf_log_')").fetchone()[0]

    fixed = ["search_path=pg_catalog, pg_temp"]
    stream = make()
    stream.install_trigger(when="new.id > 0")
    assert path() == fixed
    stream.install_trigger()
    assert path() is None
    sql("CREATE TYPE colour AS ENUM ('red')")
    sql("ALTER TABLE orders ADD COLUMN colour colour")
    stream.install_trigger()
    assert path() == fixed, "a type may have a cast to json that somebody wrote"
