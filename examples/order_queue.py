"""Messages that are published together with the row that they are about, or not at all.

    python examples/order_queue.py

Uses the server in PROMIN_POSTGRES_DSN, or starts one.
"""

from dataclasses import dataclass

import psycopg

from promin_postgres import PgQueue, codec_for
from promin_postgres.testing import postgres_server


@dataclass
class OrderPlaced:
    number: int
    article: str


def place(connection: psycopg.Connection, queue: PgQueue[OrderPlaced], order: OrderPlaced) -> None:
    with connection.transaction():
        queue.publish(order, connection=connection)
        connection.execute("INSERT INTO orders VALUES (%s, %s)", [order.number, order.article])


def main() -> None:
    with postgres_server() as server:
        dsn = server.create_database()
        with (
            psycopg.connect(dsn, autocommit=True) as connection,
            PgQueue.create(dsn, "placed", codec=codec_for(OrderPlaced), max_attempts=2) as queue,
        ):
            connection.execute("CREATE TABLE orders (number integer PRIMARY KEY, article text)")
            for order in (OrderPlaced(1, "a teapot"), OrderPlaced(2, "a cup"), OrderPlaced(2, "a cup, once more")):
                try:
                    place(connection, queue, order)
                except psycopg.errors.UniqueViolation:
                    print(f"refused: {order.article}")
            with queue.subscribe_ack(until_empty=True) as stream:
                for envelope in stream:
                    if envelope.value.article == "a cup":
                        print(f"attempt {envelope.deliveries}: the cup is broken")
                        envelope.nack(error="broken")
                    else:
                        print(f"packed: {envelope.value.article}")
                        envelope.ack()
            for message in queue.dead_messages():
                print(f"dead: {message.text} ({message.error})")


if __name__ == "__main__":
    main()
