"""Every statement is understood by the server: its syntax, its columns, the types of its parameters.

Under a schema whose name breaks whatever is not quoted, and whatever reads a percent sign as a parameter.
"""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from _pgmq import SQL as PGMQ
from _sources import statements
from psycopg import pq, sql

from promin_postgres._statement import SqlNames, Statement, read_sql
from promin_postgres.cli._statements import CREATE_SCHEMA
from promin_postgres.migrator import migrate
from promin_postgres.pgmq._features import LATER_COLUMNS
from promin_postgres.queue import PgQueue
from promin_postgres.queue._settings import queue_names

SCHEMA, PREFIX = 'we"ird schema %s', "odd1_"
LOOKUP = sql.Identifier(SCHEMA, f"{PREFIX}step_type")
QUEUE = queue_names("orders", SCHEMA)
_MARK = re.compile(r"%(?:%|\((\w+)\)[sbt])")
_UNKNOWN, _VOID = 705, 2278


@pytest.fixture(scope="module")
def connection(promin_server: Any) -> Iterator[psycopg.Connection[Any]]:
    """A database that holds the tables of every statement."""
    name = promin_server.new_name()
    with psycopg.connect(promin_server.create_database(name), autocommit=True) as connection:
        connection.execute(SqlNames(SCHEMA, PREFIX).render(CREATE_SCHEMA))
        migrate(connection, schema=SCHEMA, table_prefix=PREFIX)
        PgQueue.create(connection, "orders", schema=SCHEMA)
        connection.execute(PGMQ)
        yield connection
    promin_server.drop_database(name)


@pytest.fixture(scope="module")
def names() -> SqlNames:
    """Every token that a statement may hold."""
    one = SqlNames(SCHEMA, PREFIX, {"table": LOOKUP, "lookup": sql.Literal("step_type")})
    return SqlNames(
        SCHEMA,
        PREFIX,
        {
            **one.extra,
            **QUEUE.extra,
            "channel": sql.Identifier("a channel"),
            "migrations": sql.Identifier(SCHEMA, f"{PREFIX}migrations"),
            "rows": sql.SQL(_rows(one)),
            "database": sql.Identifier('a "database"'),
            "template": sql.Identifier("template0"),
            "new_name": sql.Identifier("another"),
            "verifier": sql.Literal("verifier"),
            **{name: sql.Identifier("m", name) for name in LATER_COLUMNS},
            "image": sql.SQL("to_json(promin_row.*)"),
            "row": sql.SQL("promin_row.*"),
            "condition": sql.SQL("new.id > 1"),
            "no_old": sql.SQL(""),
            "no_new": sql.SQL(""),
            "timestamp": sql.SQL("id::text::timestamptz"),
            "sequence": sql.Identifier("id"),
            "stream": sql.Literal(1),
            "door": sql.Literal(1),
            "namespace": sql.SQL("t.namespace"),
            "count": sql.Literal(1),
            "channel_text": sql.Literal("c"),
            "trigger": sql.Identifier('a "trigger"'),
            "relation": LOOKUP,
            "function": sql.Identifier(SCHEMA, "a_function"),
        },
    )


def _rows(names: SqlNames) -> Any:
    return names.fill(read_sql("lookups/rows")[1])


def numbered(text: str) -> tuple[str, list[str]]:
    """A statement as the server reads it, $1 and so on for its parameters; and their names, in order."""
    found: list[str] = []

    def mark(match: re.Match[str]) -> str:
        if match[1] is None:
            return "%"
        if match[1] not in found:
            found.append(match[1])
        return f"${found.index(match[1]) + 1}"

    return _MARK.sub(mark, text), found


def describe(connection: psycopg.Connection[Any], query: str) -> pq.abc.PGresult:
    """The answer of the server to PREPARE; fails as the server fails."""
    for result in (connection.pgconn.prepare(b"", query.encode()), connection.pgconn.describe_prepared(b"")):
        assert result.status == pq.ExecStatus.COMMAND_OK, result.error_message.decode()
    return result


@pytest.mark.parametrize("statement", statements(), ids=lambda statement: statement.name)
def test_the_server_understands_it(connection: psycopg.Connection[Any], names: SqlNames, statement: Statement) -> None:
    text = names.render(statement).decode()
    query, parameters = numbered(text) if statement.parameters else (text, [])
    assert not re.search(r"\{[a-z_]+\}", re.sub(r"'[^']*'|\"(?:[^\"]|\"\")*\"", "", query)), "a token was not replaced"
    assert set(parameters) == statement.parameters

    described = describe(connection, query)
    assert described.nparams == len(parameters)
    assert _UNKNOWN not in [described.param_type(n) for n in range(described.nparams)]

    types = {n: described.ftype(n) for n in range(described.nfields) if described.ftype(n) != _VOID}
    columns = [(described.fname(n) or b"").decode() for n in types]
    read = [column for column in columns if column != "set_config"]
    assert len(set(read)) == len(read), "rows are dicts: of two columns of one name one is lost"
    assert "?column?" not in columns
    loaders = [psycopg.adapters.get_loader(oid, pq.Format.BINARY) for oid in types.values()]
    assert None not in loaders, "rows come in binary form, and psycopg does not read these types in it: cast them"


def test_there_are_statements() -> None:
    assert len(statements()) > 20


@pytest.mark.parametrize("query", ["SELEC 1", "SELECT nothing FROM pg_class", "SELECT $1::no_such_type"])
def test_what_the_server_does_not_understand_fails(connection: psycopg.Connection[Any], query: str) -> None:
    with pytest.raises(AssertionError, match="ERROR"):
        describe(connection, query)
