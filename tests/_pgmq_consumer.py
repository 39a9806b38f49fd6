"""A consumer in a process of its own, to be killed.

    python _pgmq_consumer.py sync|async subscribe|subscribe_ack dsn stop_at

prints every value that it is handed; with `stop_at` in hand it stands still, its message not acknowledged by itself.
"""

from __future__ import annotations

import asyncio
import sys
import threading

from promin_postgres.pgmq import AsyncPgmqQueue, PgmqQueue

OPTIONS = {"vt": 3, "qty": 10, "poll_interval": 0.1}


def tell(value: object) -> None:
    print(value, flush=True)


def consume(how: str, dsn: str, stop_at: int) -> None:
    with PgmqQueue.wrap(dsn, "jobs", **OPTIONS) as queue, getattr(queue, how)(until_empty=True) as stream:
        for item in stream:
            value = item if how == "subscribe" else item.value
            tell(value)
            if value == stop_at:
                threading.Event().wait()
            if how == "subscribe_ack":
                item.ack()


async def async_consume(how: str, dsn: str, stop_at: int) -> None:
    queue = await AsyncPgmqQueue.wrap(dsn, "jobs", **OPTIONS)
    async with queue, getattr(queue, how)(until_empty=True) as stream:
        async for item in stream:
            value = item if how == "subscribe" else item.value
            tell(value)
            if value == stop_at:
                await asyncio.Event().wait()
            if how == "subscribe_ack":
                await item.ack()


if __name__ == "__main__":
    twin, how, dsn, stop_at = sys.argv[1:]
    if twin == "sync":
        consume(how, dsn, int(stop_at))
    else:
        asyncio.run(async_consume(how, dsn, int(stop_at)))
