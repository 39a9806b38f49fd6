# Generated from _async_queues.py by tools/twins.py. Do not edit: edit that and generate again.
"""The functions of pgmq that make queues, count what is in them and let them ring."""

from __future__ import annotations

from typing import Any

from promin_postgres._advisory import advisory_key
from promin_postgres._statement import Statement
from promin_postgres._time import Seconds
from promin_postgres.database import DatabaseSource
from promin_postgres.pgmq import _statements as sql
from promin_postgres.pgmq._sync_calls import Pgmq
from promin_postgres.pgmq._records import PgmqMetrics, QueueInfo
from promin_postgres.pgmq._settings import Partitions, check_queue_name, milliseconds, queue_table


def create_queue(db: DatabaseSource, queue: str, *, connection: Any = None) -> None:
    """Create a queue and its archive, unless they are there.

    Args:
        queue: Its name: 1 to 47 of a-z, 0-9, _ and -.
    """
    _create(db, sql.CREATE_QUEUE, {"queue": check_queue_name("queue", queue)}, connection)


def create_unlogged_queue(db: DatabaseSource, queue: str, *, connection: Any = None) -> None:
    """Create a queue that a crash of the server empties, and that is faster for it, unless it is there."""
    _create(db, sql.CREATE_UNLOGGED_QUEUE, {"queue": check_queue_name("queue", queue)}, connection)


def create_partitioned_queue(
    db: DatabaseSource, queue: str, partitions: Partitions | None = None, *, connection: Any = None
) -> None:
    """Create a queue in partitions, unless it is there. Needs pg_partman. Such a queue never rings: it is polled.

    Raises:
        ConfigurationError: There is no pg_partman.
    """
    partitions = partitions or Partitions()
    params = {
        "queue": check_queue_name("queue", queue),
        "partition_interval": str(partitions.interval),
        "retention_interval": str(partitions.retention),
    }
    with Pgmq.borrow(db) as pgmq:
        pgmq.require_partman(connection)
    _create(db, sql.CREATE_PARTITIONED_QUEUE, params, connection)


def drop_queue(db: DatabaseSource, queue: str, *, connection: Any = None) -> bool:
    """Drop a queue and its archive; False when there is none."""
    params = {"queue": check_queue_name("queue", queue)}
    with Pgmq.borrow(db) as pgmq:
        statement = pgmq.pick(sql.DROP_QUEUE_PLAIN, sql.DROP_QUEUE, connection=connection)
        rows = pgmq.run(statement, params, connection=connection)
    return any(row["dropped"] for row in rows)


def list_queues(db: DatabaseSource, *, connection: Any = None) -> list[QueueInfo]:
    """The queues of this database, by name."""
    with Pgmq.borrow(db) as pgmq:
        return [QueueInfo(**row) for row in pgmq.run(sql.LIST_QUEUES, {"queue": None}, connection=connection)]


def purge_queue(db: DatabaseSource, queue: str, *, connection: Any = None) -> int:
    """Delete every message of a queue, but not its archive; returns how many. Waits for whoever uses the queue."""
    return int((_on_queue(db, sql.PURGE_QUEUE, queue, connection))[0]["purged"])


def metrics(db: DatabaseSource, queue: str, *, connection: Any = None) -> PgmqMetrics:
    """How many messages a queue holds. Reads all of it."""
    return PgmqMetrics(**(_on_queue(db, sql.METRICS, queue, connection))[0])


def metrics_all(db: DatabaseSource, *, connection: Any = None) -> list[PgmqMetrics]:
    """How many messages every queue holds, by name. Reads all of them."""
    with Pgmq.borrow(db) as pgmq:
        return [PgmqMetrics(**row) for row in pgmq.run(sql.METRICS_ALL, connection=connection)]


def enable_notify(
    db: DatabaseSource, queue: str, *, throttle: Seconds = 0.25, connection: Any = None
) -> None:
    """Let a queue ring at each insert, on the channel `pgmq.q_<queue>.INSERT`. Waits for writers (pgmq 1.7).

    pgmq rings when a message is inserted, also when it is delayed. Producers wait for each other's commit at the row of
    the throttle.

    Args:
        throttle: Not more often than that, in seconds or as a timedelta; 0 for no bound (before pgmq 1.8 it must be).
    """
    milli = milliseconds("throttle", throttle)
    params: dict[str, Any] = {"queue": check_queue_name("queue", queue)}
    with Pgmq.borrow(db) as pgmq:
        statement = pgmq.pick(sql.ENABLE_NOTIFY, sql.ENABLE_NOTIFY_PLAIN, connection=connection)
        if statement is sql.ENABLE_NOTIFY:
            params["throttle_ms"] = milli
        else:
            params["table"] = queue_table(queue)
            if milli:
                pgmq.require(sql.ENABLE_NOTIFY, given="a throttle", connection=connection)
        pgmq.run(statement, params, connection=connection)


def disable_notify(db: DatabaseSource, queue: str, *, connection: Any = None) -> None:
    """Let a queue ring no more. Waits for writers (pgmq 1.7)."""
    _on_queue(db, sql.DISABLE_NOTIFY, queue, connection)


def create_fifo_index(db: DatabaseSource, queue: str, *, connection: Any = None) -> None:
    """Create the index on the headers that reading by groups can use, unless it is there (pgmq 1.9)."""
    _on_queue(db, sql.CREATE_FIFO_INDEX, queue, connection)


def detach_archive(db: DatabaseSource, queue: str, *, connection: Any = None) -> None:
    """Let the archive outlive the extension. Since pgmq 1.8 it does by itself, and the server only warns."""
    _on_queue(db, sql.DETACH_ARCHIVE, queue, connection)


def _on_queue(db: DatabaseSource, statement: Statement, queue: str, connection: Any) -> list[dict[str, Any]]:
    params = {"queue": check_queue_name("queue", queue)}
    with Pgmq.borrow(db) as pgmq:
        return pgmq.run(statement, params, connection=connection)


def _create(db: DatabaseSource, statement: Statement, params: dict[str, Any], connection: Any) -> None:
    with Pgmq.borrow(db) as pgmq:
        pgmq.pick(statement, connection=connection)
        if connection is not None:
            _create_once(pgmq, statement, params, connection)
        else:
            with pgmq.db.transaction() as own:
                _create_once(pgmq, statement, params, own)


def _create_once(pgmq: Pgmq, statement: Statement, params: dict[str, Any], connection: Any) -> None:
    """pgmq itself fails on a partitioned queue that is there, and in older versions when two make one at once."""
    key = {"key": advisory_key("create pgmq queue", params["queue"])}
    pgmq.db.executor().execute(sql.LOCK_CREATION, key, connection=connection)
    if not pgmq.run(sql.LIST_QUEUES, {"queue": params["queue"]}, connection=connection):
        pgmq.run(statement, params, connection=connection)
