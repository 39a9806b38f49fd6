"""The tables of lookups, as tokens of statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from psycopg import sql

from promin_postgres._statement import SqlNames, check_identifier, read_sql
from promin_postgres.lookups import _statements as statements
from promin_postgres.lookups._records import Lookup


def table_of(names: SqlNames, lookup: Lookup) -> str:
    """The name of its table, without the schema."""
    return check_identifier("name", names.table_prefix + lookup.name)


def names_of(names: SqlNames, lookup: Lookup) -> SqlNames:
    """Names for a statement about one lookup: {table} and {lookup}."""
    table = sql.Identifier(names.schema, table_of(names, lookup))
    return SqlNames(names.schema, names.table_prefix, {"table": table, "lookup": sql.Literal(lookup.name)})


def names_of_all(names: SqlNames, lookups: Sequence[Lookup]) -> SqlNames:
    """Names for a statement about several lookups: {rows}, the rows of all of them."""
    text = read_sql(statements.ROWS.name)[1]
    rows = [sql.SQL(cast(Any, names_of(names, lookup).fill(text))) for lookup in lookups]
    return SqlNames(names.schema, names.table_prefix, {"rows": sql.SQL(" UNION ALL ").join(rows)})
