"""What type checkers know of the message queue."""

from dataclasses import dataclass
from typing import assert_type

from promin_postgres import AsyncPgQueue, PgQueue, Stream, codec_for
from promin_postgres.queue import Envelope
from promin_postgres.streams import (
    Acknowledgeable,
    AsyncAcknowledgeable,
    AsyncSinkable,
    AsyncStreamable,
    Sinkable,
    Streamable,
)


@dataclass
class Order:
    number: int


def sync(dsn: str) -> None:
    queue = PgQueue.create(dsn, "orders", codec=codec_for(Order))
    assert_type(queue.publish(Order(1)), int)
    assert_type(queue.publish_many([Order(1)]), list[int])
    assert_type(queue.subscribe(), Stream[Order])
    assert_type(queue.subscribe_ack(), Stream[Envelope[Order]])
    assert_type(queue.receive()[0].value, Order)
    assert_type(queue.pop(), list[Order])
    streamable: Streamable[Order] = queue
    sinkable: Sinkable[Order] = queue
    acknowledgeable: Acknowledgeable[Order] = queue
    PgQueue.create(dsn, "others", codec=codec_for(Order), dead_letter=sinkable)
    del streamable, acknowledgeable


async def asynchronous(dsn: str) -> None:
    queue = await AsyncPgQueue.create(dsn, "orders", codec=codec_for(Order))
    assert_type(await queue.publish(Order(1)), int)
    assert_type((await queue.receive())[0].value, Order)
    async for envelope in queue.subscribe_ack():
        assert_type(envelope.value, Order)
        await envelope.ack()
    streamable: AsyncStreamable[Order] = queue
    sinkable: AsyncSinkable[Order] = queue
    acknowledgeable: AsyncAcknowledgeable[Order] = queue
    del streamable, sinkable, acknowledgeable
