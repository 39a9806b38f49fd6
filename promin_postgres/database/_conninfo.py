"""Connection strings: checked when given, and read off what callers hold."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from promin_postgres.errors import ConfigurationError, InvalidArgument


def check_conninfo(argument: str, value: str) -> str:
    """Refuse what libpq would not take, before a pool retries it in the background for ever."""
    if not isinstance(value, str):
        raise InvalidArgument(argument, type(value), "must be a libpq connection string or URL")
    if not value.strip():
        raise InvalidArgument(argument, value, "must not be empty")
    try:
        conninfo_to_dict(value)
    except psycopg.Error as error:
        # The value may hold a password, and what libpq quotes of it may be just that.
        problem = re.sub('".*"', '"..."', str(error).strip(), flags=re.DOTALL)
        raise ConfigurationError(f"{argument} is no connection string: {problem}") from None
    return value


def conninfo_of(source: Any) -> str:
    """The conninfo of a pool or a connection, password included."""
    if isinstance(source, psycopg.Connection | psycopg.AsyncConnection):
        info = source.info
        return make_conninfo(info.dsn, **({"password": info.password} if info.password else {}))
    if not isinstance(source.conninfo, str):
        raise ConfigurationError("the pool makes its conninfo by a function: give listen_dsn for LISTEN and locks")
    kwargs = {key: value for key, value in (source.kwargs or {}).items() if key in _LIBPQ}
    return make_conninfo(source.conninfo, **kwargs)


_LIBPQ = frozenset(option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults())
