"""The migrations as one script, for those who apply it themselves."""

from __future__ import annotations

import re
from typing import Any

from psycopg import sql

from promin_postgres._statement import Statement, read_sql
from promin_postgres.migrator import _statements as statements
from promin_postgres.migrator._files import read_migrations
from promin_postgres.migrator._names import VersionTable
from promin_postgres.migrator._plan import check_target
from promin_postgres.migrator._records import Migration

_PARAMETER = re.compile(r"%\((\w+)\)s")


def migration_sql(
    *,
    schema: str = "public",
    table_prefix: str = "wf_",
    migrations_table: str | None = None,
    target: int | None = None,
) -> str:
    """The SQL that `migrate` would run on an empty database, for psql. Needs no database.

    It records what it applies, so that `migrate` takes over from there.

    Args:
        schema: Where the tables go.
        table_prefix: How the names of the tables begin.
        migrations_table: The name of the version table; `{table_prefix}migrations` by default.
        target: The version to stop at; the newest by default.

    Raises:
        InvalidArgument: `target` is no version of a migration.
    """
    known = read_migrations()
    check_target(known, target)
    table = VersionTable(schema, table_prefix, migrations_table)
    script = ["-- For psql -v ON_ERROR_STOP=1, on a database without these tables."]
    if schema != "public":
        script.append(_inline(statements.CREATE_SCHEMA, {}, table))
    script.append(_inline(statements.CREATE_TABLE, {}, table))
    script += [_script(migration, table) for migration in known if target is None or migration.version <= target]
    return "\n\n".join(script) + "\n"


def _script(migration: Migration, table: VersionTable) -> str:
    identity = {"version": migration.version, "name": migration.name, "checksum": migration.checksum}
    body = [_ended(table.names.fill(text)) for text in migration.statements]
    record = _inline(statements.RECORD, {**identity, "duration": None}, table)
    header = f"-- {migration.label}"
    if migration.transactional:
        return "\n\n".join([header, "BEGIN;", *body, record, "COMMIT;"])
    return "\n\n".join([header, _inline(statements.START, identity, table), *body, record])


def _inline(statement: Statement, values: dict[str, Any], table: VersionTable) -> str:
    """A statement with its parameters written out."""
    text = _PARAMETER.sub(lambda match: sql.Literal(values[match[1]]).as_string(None), read_sql(statement.name)[1])
    return _ended(table.names.fill(text))


def _ended(text: str) -> str:
    """A statement that ends with a semicolon, which a comment in its last line must not swallow."""
    if "--" in text.rpartition("\n")[2]:
        return f"{text}\n;"
    return text if text.endswith(";") else f"{text};"
