"""What a broken connection looks like, and what may be sent again after one. Pure, but for the look at a socket."""

from __future__ import annotations

import select
from typing import Any

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from promin_postgres._retry import RECONNECT

LOOK_EVERY = 0.1
"""Seconds for which a connection that was looked at is taken to live. A look lets other threads run, and to get the
interpreter back from busy ones takes milliseconds."""

RETRY_FOR = 30.0
"""Seconds for which an idempotent statement is sent again before its error reaches the caller."""

_SHUTDOWN = frozenset({"57P01", "57P02", "57P03", "57P05"})
_ROLLED_BACK = frozenset({"40001", "40P01"})


def is_connection_loss(error: psycopg.Error) -> bool:
    """Whether `error` says that the connection broke or could not be made, and not that the statement was wrong."""
    if isinstance(error, psycopg.InterfaceError):
        return True  # "the connection is closed"
    if not isinstance(error, psycopg.OperationalError) or isinstance(error, PoolClosed | TooManyRequests):
        return False
    state: str | None = error.sqlstate
    return state is None or state.startswith("08") or state in _SHUTDOWN


def retry_pause(error: psycopg.Error, *, idempotent: bool, attempt: int, elapsed: float) -> float | None:
    """Seconds after which a single statement of ours may be sent again; None when its error must be raised.

    A deadlock or a serialization failure rolled the statement back, so that it may always go again. After a lost
    connection nobody knows whether it ran: only an idempotent one may.
    """
    if elapsed >= RETRY_FOR or isinstance(error, PoolTimeout):  # the pool has waited for as long as it was told to
        return None
    rolled_back = error.sqlstate in _ROLLED_BACK
    if rolled_back or (idempotent and is_connection_loss(error)):
        return min(RECONNECT.pause(attempt), RETRY_FOR - elapsed)
    return None


def may_be_dead(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Whether the server has sent something to an idle connection: its farewell, or the end of the stream.

    A look at the socket takes microseconds; asking the server takes a round trip at every checkout.
    """
    try:
        poll = select.poll()
        poll.register(connection.pgconn.socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(poll.poll(0))
    except AttributeError:  # no poll() on Windows
        return bool(select.select([connection.pgconn.socket], [], [], 0)[0])
    except (OSError, ValueError, psycopg.Error):
        return True
