"""One way to a server: a pool, a connection or a conninfo string. The only room that touches a cursor."""

from promin_postgres.database._async import AsyncDatabase, AsyncDatabaseSource, AsyncExecutor
from promin_postgres.database._sync import Database, DatabaseSource, Executor

__all__ = ["AsyncDatabase", "AsyncDatabaseSource", "AsyncExecutor", "Database", "DatabaseSource", "Executor"]
