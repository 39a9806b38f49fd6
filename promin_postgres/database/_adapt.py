"""Find the psycopg connection inside what callers hold: their own, SQLAlchemy's or Django's.

By shape and not by type, so that neither library is imported here.
"""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg

from promin_postgres.errors import InvalidArgument

C = TypeVar("C", psycopg.Connection[Any], psycopg.AsyncConnection[Any])


def driver_connection(connection: Any) -> psycopg.Connection[Any]:
    """The psycopg connection that a caller's `connection=` stands for.

    Raises:
        InvalidArgument: It is none, or its driver is not psycopg 3.
    """
    if hasattr(connection, "ensure_connection"):  # django.db.backends.*.DatabaseWrapper
        connection.ensure_connection()
        return _checked(connection.connection, psycopg.Connection, connection)
    if not isinstance(connection, psycopg.Connection) and _is_session(connection):
        connection = connection.connection()
    return _checked(_below(connection), psycopg.Connection, connection)


async def async_driver_connection(connection: Any) -> psycopg.AsyncConnection[Any]:
    """The psycopg connection that a caller's `connection=` stands for.

    Raises:
        InvalidArgument: It is none, or its driver is not psycopg 3.
    """
    if not isinstance(connection, psycopg.AsyncConnection):
        if _is_session(connection):
            connection = await connection.connection()
        connection = getattr(connection, "sync_connection", connection)
    return _checked(_below(connection), psycopg.AsyncConnection, connection)


def _is_session(connection: Any) -> bool:
    """Whether it is a session of SQLAlchemy: synchronous, asynchronous or scoped."""
    return hasattr(connection, "get_bind")


def _below(connection: Any) -> Any:
    """The driver's connection below one of SQLAlchemy; anything else is given back as it is."""
    pooled: Any = getattr(connection, "connection", None)
    if not hasattr(pooled, "driver_connection"):
        return connection
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy does not see our statement, and would not commit what it has not begun
    return pooled.driver_connection


def _checked(found: Any, kind: type[C], given: Any) -> C:
    if not isinstance(found, kind):
        raise InvalidArgument(
            "connection", given, f"must be a psycopg.{kind.__name__}, or a connection of SQLAlchemy or Django on one"
        )
    return found
