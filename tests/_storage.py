"""What the tests of the workflow storage share."""

from __future__ import annotations

from typing import Any

import psycopg
from _twins import Twin
from psycopg import sql

from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, PostgresWorkflowStorage

LIVE = ("workflows", "workflow_runs", "workflow_steps", "workflow_step_tasks", "step_attempts", "workflow_signals")


def open_storage(twin: Twin, db: Any, **options: Any) -> Any:
    """A storage of the twin under test, on a database or a conninfo; use it with `with`."""
    return twin.pick(PostgresWorkflowStorage, AsyncPostgresWorkflowStorage).create(db, **options)


def query(dsn: str, text: str, *params: Any) -> list[Any]:
    """The rows of a query on a connection of its own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(text.encode(), params or None)
        return cursor.fetchall() if cursor.statusmessage.startswith("SELECT") else []


def contents(dsn: str, schema: str = "public", table_prefix: str = "wf_") -> dict[str, list[Any]]:
    """Every row of the tables of runs, to see that nothing was written."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = {}
        for table in LIVE:
            whole = sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(
                sql.Identifier(schema, f"{table_prefix}{table}")
            )
            found[table] = connection.execute(whole).fetchall()
        return found
