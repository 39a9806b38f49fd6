"""seed_lookups and validate_lookups, both twins."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from _twins import Twin
from _waiting import until

from promin_postgres.errors import InvalidArgument, LookupMismatch
from promin_postgres.lookups import (
    BUILTIN_LOOKUPS,
    StepType,
    async_seed_lookups,
    async_validate_lookups,
    define_lookup,
    seed_lookups,
    validate_lookups,
)
from promin_postgres.lookups._statements import LOCK
from promin_postgres.migrator import migrate

COLOR = define_lookup("color", {"red": 1, "green": 2})
WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
SIZE = define_lookup("size", {"small": -1, "large": 32767})


@pytest.fixture
def seed(twin: Twin) -> Any:
    return twin.pick(seed_lookups, async_seed_lookups)


@pytest.fixture
def validate(twin: Twin) -> Any:
    return twin.pick(validate_lookups, async_validate_lookups)


@pytest.fixture
def connection(promin_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        # The rows of the built-in lookups may or may not be in the template that this database was made from.
        connection.execute("TRUNCATE wf_workflow_status, wf_step_status, wf_step_type, wf_attempt_type")
        yield connection


def test_the_built_in_lookups_are_the_default(seed: Any, validate: Any, twin_db: Any, connection: Any) -> None:
    with pytest.raises(LookupMismatch) as caught:
        validate(twin_db)
    assert len(caught.value.differences) == sum(len(lookup.entries) for lookup in BUILTIN_LOOKUPS)
    seed(twin_db)
    seed(twin_db)
    validate(twin_db)
    rows = connection.execute("SELECT id, name FROM wf_step_type ORDER BY id").fetchall()
    assert rows == [(member.value, member.name) for member in StepType]


def test_a_lookup_of_ones_own_gets_a_table(seed: Any, validate: Any, twin_db: Any, connection: Any) -> None:
    with pytest.raises(LookupMismatch, match="color: the table is missing"):
        validate(twin_db, COLOR)
    seed(twin_db, COLOR, SIZE)
    validate(twin_db, COLOR, SIZE)
    assert connection.execute("SELECT id, name FROM wf_size ORDER BY id").fetchall() == [
        (-1, "small"),
        (32767, "large"),
    ]


def test_rows_that_are_missing_are_added(seed: Any, validate: Any, twin_db: Any, connection: Any) -> None:
    seed(twin_db, COLOR)
    connection.execute("DELETE FROM wf_color WHERE id = 1")
    with pytest.raises(LookupMismatch, match=r"'red' \(1\) is missing"):
        validate(twin_db, COLOR)
    seed(twin_db, COLOR)
    validate(twin_db, COLOR)


def test_rows_that_differ_are_all_reported_and_nothing_is_written(seed: Any, twin_db: Any, connection: Any) -> None:
    seed(twin_db, COLOR, SIZE)
    connection.execute("UPDATE wf_color SET name = 'crimson' WHERE id = 1")
    connection.execute("UPDATE wf_size SET id = 7 WHERE name = 'large'")
    third = define_lookup("third", {"a": 1})
    with pytest.raises(LookupMismatch) as caught:
        seed(twin_db, COLOR, SIZE, third)
    assert caught.value.differences == (
        "color: 1 is 'crimson' in the database and 'red' in the code",
        "size: 'large' is 7 in the database and 32767 in the code",
    )
    assert connection.execute("SELECT id, name FROM wf_color ORDER BY id").fetchall() == [(1, "crimson"), (2, "green")]
    assert connection.execute("SELECT to_regclass('wf_third')").fetchone() == (None,)


def test_rows_of_newer_code_are_left_alone(seed: Any, validate: Any, twin_db: Any) -> None:
    seed(twin_db, define_lookup("color", {"red": 1, "green": 2, "blue": 3}))
    seed(twin_db, COLOR)
    with pytest.raises(LookupMismatch, match=r"color: 'blue' \(3\) is not known to the code"):
        validate(twin_db, COLOR)


def test_without_migrations_the_mend_is_named(seed: Any, twin_db: Any) -> None:
    with pytest.raises(LookupMismatch, match="migrate creates it") as caught:
        seed(twin_db, schema="nowhere")
    assert len(caught.value.differences) == len(BUILTIN_LOOKUPS)


def test_under_hostile_names(seed: Any, validate: Any, twin: Twin, promin_dsn: str) -> None:
    schema = 'we"ird %s {rows} schema'
    migrate(promin_dsn, schema=schema, table_prefix="x_")
    names = {"schema": schema, "table_prefix": "x_"}
    odd = define_lookup("odd", {"it's": 1, '"{table}" %(ids)s': 2, "ü\n": 3})
    seed(promin_dsn, *BUILTIN_LOOKUPS, odd, **names)
    validate(promin_dsn, *BUILTIN_LOOKUPS, odd, **names)


def test_in_the_callers_transaction(seed: Any, twin: Twin, promin_dsn: str, connection: Any) -> None:
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with connect(promin_dsn) as own:
        own.execute("SELECT 1")
        seed(own, COLOR)
        own.rollback()
    assert connection.execute("SELECT to_regclass('wf_color')").fetchone() == (None,)


def test_arguments_are_checked(seed: Any, twin_db: Any) -> None:
    with pytest.raises(InvalidArgument, match="given twice"):
        seed(twin_db, COLOR, COLOR)
    with pytest.raises(InvalidArgument, match="define_lookup"):
        seed(twin_db, {"red": 1})
    with pytest.raises(InvalidArgument, match="PostgreSQL cuts names"):
        seed(twin_db, define_lookup("x" * 63, {"a": 1}))


def test_waits_for_another_who_creates_the_same_table(
    seed: Any, validate: Any, twin_db: Any, promin_db: Any, connection: Any
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with promin_db.transaction() as other:
            promin_db.executor().execute(LOCK, {"schema": "public"}, connection=other)
            other.execute("CREATE TABLE wf_color (id smallint PRIMARY KEY, name text NOT NULL UNIQUE)")
            waiting = pool.submit(seed, twin_db, COLOR)
            until(lambda: connection.execute(WAITING).fetchone())
        waiting.result()
    validate(twin_db, COLOR)
