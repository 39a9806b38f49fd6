"""PostgreSQL for development and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promin_postgres.testing._containers import PostgresTestContainer
    from promin_postgres.testing._launch import ServerChoice, postgres_server
    from promin_postgres.testing._servers import PostgresServer, ServerKind

__all__ = ["PostgresServer", "PostgresTestContainer", "ServerChoice", "ServerKind", "postgres_server"]

_HOMES = {
    "PostgresServer": "_servers",
    "PostgresTestContainer": "_containers",
    "ServerChoice": "_launch",
    "ServerKind": "_servers",
    "postgres_server": "_launch",
}


def __getattr__(name: str) -> Any:
    # pytest loads the plugin of this package in every run: nothing is imported before it is used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
