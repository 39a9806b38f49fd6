"""Many producers, whose transactions overlap and roll back, and many consumers: every committed message once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
from _twins import Twin
from _waiting import until

from promin_postgres.queue import AsyncPgQueue, PgQueue

PRODUCERS, CONSUMERS, TRANSACTIONS = 6, 8, 40


def test_each_message_goes_to_one_consumer(twin: Twin, promin_dsn: str) -> None:
    committed: list[str] = []
    received: list[str] = []
    failures: list[BaseException] = []

    def guarded(work: Callable[..., None], *args: Any) -> threading.Thread:
        def run() -> None:
            try:
                work(*args)
            except BaseException as error:  # noqa: BLE001 - told at the end
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def produce(number: int) -> None:
        dice = random.Random(number)
        with psycopg.connect(promin_dsn) as connection, PgQueue.create(promin_dsn, "orders") as queue:
            for transaction in range(TRANSACTIONS):
                values = [f"{number}/{transaction}/{position}" for position in range(dice.randint(1, 4))]
                for value in values:  # each takes its id now, and is seen when the transaction ends
                    queue.publish(value, connection=connection)
                    connection.execute("SELECT pg_sleep(%s)", [dice.uniform(0, 0.004)])
                if dice.random() < 0.2:
                    connection.rollback()
                else:
                    connection.commit()
                    committed.extend(values)

    def consume(stream: Any) -> None:
        for envelope in stream:
            received.append(envelope.value)
            envelope.ack()

    with twin.pick(PgQueue, AsyncPgQueue).create(promin_dsn, "orders", poll_interval=0.2) as queue:
        streams = [queue.subscribe_ack(batch_size=7) for _ in range(CONSUMERS)]
        consumers = [guarded(consume, stream) for stream in streams]
        for producer in [guarded(produce, number) for number in range(PRODUCERS)]:
            producer.join()
        until(lambda: queue.metrics().total == 0)
        for stream in streams:
            stream.close()
        for consumer in consumers:
            consumer.join()
    assert failures == []
    assert len(committed) > PRODUCERS * TRANSACTIONS
    assert Counter(received) == Counter(committed)
