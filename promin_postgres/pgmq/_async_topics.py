"""The topics of pgmq (1.11): messages that are routed to queues by a key.

A key is a few words joined by dots, `orders.eu.paid`. In the pattern of a route `*` stands for one word, `#` for any
number of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from promin_postgres._time import Seconds
from promin_postgres.codec import JSON, Codec
from promin_postgres.database import AsyncDatabaseSource
from promin_postgres.pgmq import _statements as sql
from promin_postgres.pgmq._async_calls import AsyncPgmq
from promin_postgres.pgmq._records import TopicBinding, TopicMatch, TopicMessage
from promin_postgres.pgmq._settings import (
    Headers,
    check_pattern,
    check_queue_name,
    check_routing_key,
    delay_of,
    encode_batch,
    whole_seconds,
)


async def async_bind_topic(db: AsyncDatabaseSource, pattern: str, queue: str, *, connection: Any = None) -> None:
    """Route messages whose key matches a pattern to a queue, unless that is so already."""
    params = {"pattern": check_pattern(pattern), "queue": check_queue_name("queue", queue)}
    async with AsyncPgmq.borrow(db) as pgmq:
        await pgmq.run(sql.BIND_TOPIC, params, connection=connection)


async def async_unbind_topic(db: AsyncDatabaseSource, pattern: str, queue: str, *, connection: Any = None) -> bool:
    """Take a route back; False when there was none."""
    params = {"pattern": check_pattern(pattern), "queue": check_queue_name("queue", queue)}
    async with AsyncPgmq.borrow(db) as pgmq:
        return bool((await pgmq.run(sql.UNBIND_TOPIC, params, connection=connection))[0]["unbound"])


async def async_send_topic(
    db: AsyncDatabaseSource,
    routing_key: str,
    message: Any,
    *,
    delay: Seconds = 0,
    headers: Headers = None,
    codec: Codec[Any] = JSON,
    connection: Any = None,
) -> int:
    """Append a message to every queue that its key is routed to; returns to how many.

    Args:
        delay: Seconds or a timedelta; pgmq counts in whole seconds here, rounded up.
        headers: A JSON object that travels with it.
    """
    batch = encode_batch([message], [headers], codec, f"topic {routing_key!r}")
    params = {
        "routing_key": check_routing_key(routing_key),
        "message": batch["messages"][0],
        "headers": batch["headers"] and batch["headers"][0],
        "seconds": whole_seconds("delay", delay),
    }
    async with AsyncPgmq.borrow(db) as pgmq:
        return int((await pgmq.run(sql.SEND_TOPIC, params, connection=connection))[0]["matched"])


async def async_send_batch_topic(
    db: AsyncDatabaseSource,
    routing_key: str,
    messages: Iterable[Any],
    *,
    delay: Seconds | datetime = 0,
    headers: Headers | Sequence[Headers] = None,
    codec: Codec[Any] = JSON,
    connection: Any = None,
) -> list[TopicMessage]:
    """Append messages to every queue that their key is routed to, in one statement; all or none.

    Args:
        delay: Seconds or a timedelta to wait before they are visible, or the aware moment to wait for.
        headers: A mapping for all of them, or a sequence with the headers of each.

    Returns:
        Queue and id of each, by queue, then in the order of `messages`.
    """
    batch = encode_batch(list(messages), headers, codec, f"topic {routing_key!r}")
    params = {"routing_key": check_routing_key(routing_key), **batch, **delay_of("delay", delay)}
    if not batch["messages"]:
        return []
    async with AsyncPgmq.borrow(db) as pgmq:
        rows = await pgmq.run(sql.SEND_BATCH_TOPIC, params, connection=connection)
    return [TopicMessage(**row) for row in rows]


async def async_list_topic_bindings(
    db: AsyncDatabaseSource, queue: str | None = None, *, connection: Any = None
) -> list[TopicBinding]:
    """The routes, all or those to one queue, by pattern."""
    params = {"queue": None if queue is None else check_queue_name("queue", queue)}
    async with AsyncPgmq.borrow(db) as pgmq:
        rows = await pgmq.run(sql.LIST_TOPIC_BINDINGS, params, connection=connection)
    return [TopicBinding(**row) for row in rows]


async def async_test_routing(db: AsyncDatabaseSource, routing_key: str, *, connection: Any = None) -> list[TopicMatch]:
    """The routes that a key would take, by pattern."""
    params = {"routing_key": check_routing_key(routing_key)}
    async with AsyncPgmq.borrow(db) as pgmq:
        rows = await pgmq.run(sql.TEST_ROUTING, params, connection=connection)
    return [TopicMatch(**row) for row in rows]
