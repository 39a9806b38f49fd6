"""Statements are found by name and rendered once; identifiers are quoted, and odd ones refused."""

from pathlib import Path

import pytest
from psycopg import sql

from promin_postgres import _statement
from promin_postgres._statement import SqlNames, Statement, check_identifier, read_sql
from promin_postgres.errors import ConfigurationError, InvalidArgument


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of SQL files that stands in for ours."""
    monkeypatch.setattr(_statement, "sql_root", lambda: tmp_path)
    read_sql.cache_clear()
    yield tmp_path
    read_sql.cache_clear()


def write(folder: Path, text: str) -> Statement:
    (folder / "queue").mkdir()
    (folder / "queue" / "claim.sql").write_text(text)
    return Statement("queue/claim")


def test_the_opening_comment_gives_way_to_the_name(folder: Path) -> None:
    statement = write(folder, "-- Claims.\n--\n-- Why.\n\nSELECT a\n  -- inner\n  FROM {prefix}queue\n")
    assert read_sql("queue/claim")[0] == "Claims.\n\nWhy."
    assert SqlNames().render(statement) == b'/* queue/claim */\nSELECT a\n-- inner\nFROM "public".wf_queue'


def test_a_part_stands_where_it_is_named(folder: Path) -> None:
    statement = write(folder, "-- C.\nSELECT a FROM b\nWHERE (\n    {{queue/parts/ours}}\n)")
    (folder / "queue" / "parts").mkdir()
    (folder / "queue" / "parts" / "ours.sql").write_text("-- Ours.\nc = %(c)s::text\nAND d\n")
    assert read_sql("queue/claim")[1] == "SELECT a FROM b\nWHERE (\n    c = %(c)s::text\n    AND d\n)"
    assert statement.parameters == {"c"}


def test_a_statement_that_ages_has_another_text_each_second(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "-- C.\nSELECT 1")
    statement, names, now = Statement("queue/claim", ages=True), SqlNames(), [7.2]
    monkeypatch.setattr(_statement.time, "monotonic", lambda: now[0])
    first = names.render(statement)
    now[0] = 7.9
    assert names.render(statement) == first
    now[0] = 8.1
    assert names.render(statement) != first
    calm = names.render(statement.calm())
    now[0] = 29.9
    assert names.render(statement.calm()) == calm
    now[0] = 30.1
    assert names.render(statement.calm()) != calm


def test_parameters_are_read_off_the_file(folder: Path) -> None:
    statement = write(folder, "-- C.\nSELECT %(a)s::text, %(b_2)s::int, %(a)s::text, 5 %% 2, '{}'::jsonb")
    assert statement.parameters == {"a", "b_2"}


def test_tokens_are_replaced_and_other_braces_left(folder: Path) -> None:
    statement = write(folder, "-- C.\nSELECT '{}', '{\"a\": 1}', {bare}x, {schema}, {queue}, {unknown}")
    names = SqlNames('we"ird', "p_", {"queue": sql.Identifier("q", 'a"b')})
    assert names.render(statement).decode().splitlines()[1] == (
        'SELECT \'{}\', \'{"a": 1}\', p_x, "we""ird", "q"."a""b", {unknown}'
    )


def test_a_percent_sign_in_a_name_is_no_parameter(folder: Path) -> None:
    statement = write(folder, "-- C.\nSELECT %(a)s::text FROM {prefix}t")
    assert b'"100%%".wf_t' in SqlNames("100%").render(statement)


def test_without_parameters_percent_signs_travel_as_they_are(folder: Path) -> None:
    statement = write(folder, "-- C.\nSELECT a FROM {prefix}t")
    assert b'"100%".wf_t' in SqlNames("100%").render(statement)


def test_a_token_inside_a_name_is_not_replaced_again(folder: Path) -> None:
    statement = write(folder, "-- C.\nSELECT a FROM {prefix}t")
    assert b'"{bare}".wf_t' in SqlNames("{bare}").render(statement)


def test_rendered_bytes_stay_the_same_object(folder: Path) -> None:
    statement = write(folder, "-- C.\nSELECT a FROM {prefix}t")
    names = SqlNames()
    assert names.render(statement) is names.render(statement)


@pytest.mark.parametrize("schema", ["", "a\x00b", "\ud800", "x" * 64, "é" * 32, None, 5])
def test_a_schema_that_postgresql_would_not_take_is_refused(schema) -> None:
    with pytest.raises(InvalidArgument) as caught:
        SqlNames(schema)
    assert caught.value.argument == "schema"


@pytest.mark.parametrize("schema", ["public", 'we"ird schema %s', "x" * 63, "é" * 31, "'; --"])
def test_a_schema_that_postgresql_takes_is_taken(schema: str) -> None:
    assert check_identifier("schema", schema) == schema


@pytest.mark.parametrize("prefix", ["", "Wf_", "1a", "a-b", "a b", "é_", "x" * 32, "a\n", None, 'a"'])
def test_a_prefix_that_is_not_plain_is_refused(prefix) -> None:
    with pytest.raises(ConfigurationError, match="table_prefix="):
        SqlNames(table_prefix=prefix)


@pytest.mark.parametrize("prefix", ["wf_", "_", "x" * 31, "a1_"])
def test_a_plain_prefix_is_taken(prefix: str) -> None:
    assert SqlNames(table_prefix=prefix).table_prefix == prefix


def test_what_it_is_shows_in_a_debugger() -> None:
    assert repr(Statement("queue/claim")) == "Statement('queue/claim')"
    assert repr(SqlNames("s", "p_")) == "SqlNames(schema='s', table_prefix='p_')"
