"""Migration files: what their names and comments say, and that ours stand up to any schema and prefix."""

from __future__ import annotations

import re

import pytest

from promin_postgres._statement import SqlNames
from promin_postgres.errors import MigrationError
from promin_postgres.migrator import migration_sql
from promin_postgres.migrator._files import parse_migration, read_migrations

INDEX = (
    "-- Why.\n-- promin: no-transaction\n-- promin: restartable\n\nDROP INDEX x;\n-- promin: next\nCREATE INDEX x;\n"
)


def test_a_file_is_one_script_in_a_transaction() -> None:
    migration = parse_migration("0012_some_name.sql", "-- What.\n\nCREATE TABLE a ();\n-- more\nCREATE TABLE b ();\n")
    assert (migration.version, migration.name) == (12, "some_name")
    assert migration.statements == ("CREATE TABLE a ();\n-- more\nCREATE TABLE b ();",)
    assert migration.transactional
    assert not migration.restartable


def test_directives_and_several_statements() -> None:
    migration = parse_migration("0001_x.sql", INDEX)
    assert not migration.transactional
    assert migration.restartable
    assert migration.statements == ("DROP INDEX x;", "CREATE INDEX x;")


def test_checksum_is_that_of_the_text_and_not_of_its_line_endings() -> None:
    unix = parse_migration("0001_x.sql", INDEX)
    assert parse_migration("0001_x.sql", INDEX.replace("\n", "\r\n")) == unix
    assert parse_migration("0001_x.sql", INDEX.replace("Why", "who")).checksum != unix.checksum


@pytest.mark.parametrize("name", ["1_x.sql", "0001-x.sql", "0001_X.sql", "0001_.sql", "00001_x.sql"])
def test_malformed_names_are_refused(name: str) -> None:
    with pytest.raises(MigrationError, match="NNNN_name"):
        parse_migration(name, "SELECT 1")


@pytest.mark.parametrize(
    "text",
    [
        "-- promin: no-transactions\nSELECT 1",
        "-- promin: restartable\nSELECT 1",
        "-- promin: next\nSELECT 1",
        "SELECT 1\n-- promin: next\nSELECT 2",
        "SELECT 1\n-- promin: no-transaction",
        "-- promin: no-transaction\nSELECT 1\n-- promin: nxt\nSELECT 2",
    ],
)
def test_directives_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(MigrationError, match="promin: ") as caught:
        parse_migration("0007_x.sql", text)
    assert caught.value.version == 7


@pytest.mark.parametrize("text", ["", "-- only a comment\n", "-- promin: no-transaction\nSELECT 1\n-- promin: next\n"])
def test_empty_statements_are_refused(text: str) -> None:
    with pytest.raises(MigrationError, match="empty statement"):
        parse_migration("0001_x.sql", text)


def test_our_versions_have_no_gaps() -> None:
    assert [migration.version for migration in read_migrations()] == list(range(1, len(read_migrations()) + 1))


def test_our_files_leave_no_token_and_no_name_that_postgresql_would_cut() -> None:
    names = SqlNames("s", "p" * 31)
    for migration in read_migrations():
        text = "\n".join(names.fill(statement) for statement in migration.statements)
        assert re.findall(r"\{[a-z_]+\}", text) == []
        assert [word for word in re.findall(r"p{31}\w*", text) if len(word) > 63] == []


def test_script_quotes_the_schema_and_the_version_table() -> None:
    script = migration_sql(schema='we"ird', table_prefix="x_", migrations_table='ver"sions', target=1)
    assert 'CREATE SCHEMA IF NOT EXISTS "we""ird";' in script
    assert 'INSERT INTO "we""ird"."ver""sions" (version' in script
    assert 'CREATE TABLE "we""ird".x_step_type (' in script
    assert "%(" not in script
