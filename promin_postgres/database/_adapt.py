"""Find the psycopg connection inside what callers hold: their own, SQLAlchemy's or Django's.

By shape and not by type, so that neither library is imported here.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import psycopg

from promin_postgres.errors import InvalidArgument

PsycopgConnection: TypeAlias = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]


def driver_connection(connection: Any) -> PsycopgConnection:
    """The psycopg connection that a caller's `connection=` stands for.

    Raises:
        InvalidArgument: It is none, or its driver is not psycopg 3.
    """
    found = _unwrap(connection)
    if not isinstance(found, psycopg.Connection | psycopg.AsyncConnection):
        raise InvalidArgument(
            "connection", connection, "must be a psycopg 3 connection, or one of SQLAlchemy or Django on psycopg 3"
        )
    return found


def _unwrap(connection: Any) -> Any:
    if isinstance(connection, psycopg.Connection | psycopg.AsyncConnection):
        return connection
    if hasattr(connection, "ensure_connection"):  # django.db.backends.*.DatabaseWrapper
        connection.ensure_connection()
        return connection.connection
    if hasattr(connection, "sync_connection"):  # sqlalchemy.ext.asyncio.AsyncConnection
        connection = connection.sync_connection
    elif hasattr(connection, "get_bind") and callable(getattr(connection, "connection", None)):
        connection = connection.connection()  # sqlalchemy.orm.Session
    pooled = getattr(connection, "connection", None)  # sqlalchemy.engine.Connection
    return getattr(pooled, "driver_connection", None)
