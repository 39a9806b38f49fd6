"""What type checkers see of pgmq queues. Never run: mypy and pyright read it.

An ignored error is one that must be there: mypy (strict) complains of an ignore that ignores nothing.
"""

from __future__ import annotations

from typing import Any, assert_type

from promin_postgres import AsyncDatabase, Codec, Database
from promin_postgres.pgmq import (
    AsyncEnvelope,
    AsyncPgmqQueue,
    Envelope,
    FifoMessage,
    PgmqMessage,
    PgmqMetrics,
    PgmqQueue,
    ReadMode,
    async_read,
    async_send_batch,
    fifo_message,
    read,
    send,
)
from promin_postgres.streams import (
    Acknowledgeable,
    AsyncAcknowledgeable,
    AsyncSinkable,
    AsyncStream,
    AsyncStreamable,
    Sinkable,
    Stream,
    Streamable,
)


def sync(db: Database, codec: Codec[int]) -> None:
    queue = PgmqQueue.create(db, "q", codec=codec, vt=30, qty=10, ack_mode="archive")
    assert_type(queue, PgmqQueue[int])
    assert_type(PgmqQueue.wrap(db, "q", codec=codec), PgmqQueue[int])
    untyped: PgmqQueue[Any] = PgmqQueue.create(db, "q")
    assert_type(untyped.subscribe(), Stream[Any])
    assert_type(queue.publish(fifo_message(1, group="g")), int)
    assert_type(queue.publish_batch([1, 2], headers=[None, {"a": 1}]), list[int])
    assert_type(queue.subscribe(), Stream[int])
    assert_type(queue.subscribe_ack(read_mode=ReadMode.grouped_head(qty=1)), Stream[Envelope[int]])
    assert_type(queue.metrics(), PgmqMetrics)
    assert_type(fifo_message(1, group="g"), FifoMessage[int])
    assert_type(send(db, "q", {"any": "JSON"}, delay=5), int)
    assert_type(read(db, "q"), list[PgmqMessage])
    queue.publish("text")  # type: ignore[arg-type]
    PgmqQueue.create(db, "q", ack_mode="forget")  # type: ignore[arg-type]
    _: tuple[Streamable[int], Sinkable[int], Acknowledgeable[int]] = (queue, queue, queue)


async def asynchronous(db: AsyncDatabase, codec: Codec[int]) -> None:
    queue = await AsyncPgmqQueue.create(db, "q", codec=codec)
    assert_type(queue, AsyncPgmqQueue[int])
    assert_type(await AsyncPgmqQueue.wrap(db, "q", codec=codec), AsyncPgmqQueue[int])
    assert_type(await queue.publish(1), int)
    assert_type(queue.subscribe(), AsyncStream[int])
    assert_type(queue.subscribe_ack(), AsyncStream[AsyncEnvelope[int]])
    assert_type(await async_send_batch(db, "q", [1]), list[int])
    messages = await async_read(db, "q")
    assert_type(messages[0].message, Any)
    _: tuple[AsyncStreamable[int], AsyncSinkable[int], AsyncAcknowledgeable[int]] = (queue, queue, queue)
    await async_read("dbname=x", "q", 5)  # type: ignore[call-arg]
