"""The migrations make the schema that is checked in, wherever they put it."""

from __future__ import annotations

import psycopg
import pytest
from _schema import DUMP, describe

from promin_postgres.migrator import migrate, migration_sql


def test_from_empty_to_the_schema_that_is_checked_in(promin_dsn: str) -> None:
    """When a difference is meant: python tests/_schema.py."""
    with psycopg.connect(promin_dsn) as connection:
        assert describe(connection) == DUMP.read_text()


@pytest.mark.parametrize(
    "schema", ['we"ird schema', "per%cent %s", "{prefix}", "Ünïcode; DROP SCHEMA public --", "select"]
)
def test_under_hostile_names(promin_dsn: str, schema: str) -> None:
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        migrate(connection, schema=schema, table_prefix="zz9_")
        assert describe(connection, schema, "zz9_") == DUMP.read_text()


def test_as_a_script(promin_dsn: str) -> None:
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute(migration_sql(schema='we"ird schema').encode())
        assert describe(connection, 'we"ird schema') == DUMP.read_text()


def test_the_dump_sees_a_difference(promin_dsn: str) -> None:
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE wf_step_type ALTER COLUMN name DROP NOT NULL")
        assert describe(connection) != DUMP.read_text()
