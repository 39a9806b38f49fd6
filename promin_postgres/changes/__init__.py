"""Change streams: what happened to a table, once and in order, from any saved position on."""

from promin_postgres.changes._async import AsyncPgChangeStream
from promin_postgres.changes._async_change import AsyncChange
from promin_postgres.changes._cursor import Offset
from promin_postgres.changes._records import ConsumerState, Lag, Op
from promin_postgres.changes._sync import PgChangeStream
from promin_postgres.changes._sync_change import Change

__all__ = [
    "AsyncChange",
    "AsyncPgChangeStream",
    "Change",
    "ConsumerState",
    "Lag",
    "Offset",
    "Op",
    "PgChangeStream",
]
