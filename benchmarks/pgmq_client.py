"""Our client of pgmq against the official one and against raw SQL: published, and read and deleted, by 100 and by one.

    python -m benchmarks.pgmq_client [--rounds 40] [--short]

All three on one queue each of the same pgmq (the SQL that the PyPI package `pgmq` carries), in one run of many short
rounds, because the speed of a disk changes within seconds. All commits are durable, but for our reads: they do not wait
for the disk, as a read that a crash of the server takes back only makes its messages visible again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.resources import files
from urllib.parse import urlsplit

import psycopg
from pgmq import PGMQueue
from psycopg.types.json import Jsonb

from benchmarks._common import SETTINGS, interleave, medians, report
from promin_postgres.database import Database
from promin_postgres.pgmq import PgmqQueue, delete_batch, delete_message, read
from promin_postgres.testing import postgres_server

BATCH = 100
PAYLOAD = {"n": 1, "customer": "c-17"}
GOALS = {"official": 1.3, "raw": 0.9}
WORK = {
    "publish": "publish_batch of 100",
    "take": "read 100 and delete them",
    "publish_one": "publish one",
    "take_one": "read one and delete it",
}


class Bench:
    def __init__(self, dsn: str, *, messages: int) -> None:
        self.messages = messages
        self.raw = psycopg.connect(dsn, autocommit=True)
        self.raw.execute(files("pgmq").joinpath("sql/pgmq.sql").read_text())
        url = urlsplit(dsn)
        self.official = PGMQueue(
            host=str(url.hostname), port=str(url.port), username=str(url.username), password=str(url.password),
            database=url.path.lstrip("/"), init_extension=False,
        )  # fmt: skip
        self.db = Database.connect(dsn)
        self.queue: PgmqQueue[dict[str, object]] = PgmqQueue.create(self.db, "ours")
        for queue in ("official", "raw"):
            self.official.create_queue(queue)

    def close(self) -> None:
        self.official.close()
        self.db.close()
        self.raw.close()

    def rate(self, queue: str, work: Callable[[], object], *, size: int = BATCH, filled: bool = False) -> float:
        """Messages a second, `size` at a time, in a queue that is empty, or holds what the work takes out."""
        count = self.messages if size == BATCH else self.messages // 20
        self.official.purge(queue)
        if filled:
            fill = "SELECT pgmq.send_batch(%s, array_agg(%s)) FROM generate_series(1, %s)"
            self.raw.execute(fill, [queue, Jsonb(PAYLOAD), count])
        started = time.perf_counter()
        for _ in range(count // size):
            work()
        return count / (time.perf_counter() - started)

    def publish_ours(self) -> float:
        return self.rate("ours", lambda: self.queue.publish_batch([PAYLOAD] * BATCH))

    def publish_official(self) -> float:
        return self.rate("official", lambda: self.official.send_batch("official", [PAYLOAD] * BATCH))

    def publish_raw(self) -> float:
        send = "SELECT * FROM pgmq.send_batch('raw', %s::jsonb[])"
        return self.rate("raw", lambda: self.raw.execute(send, [[Jsonb(PAYLOAD) for _ in range(BATCH)]]).fetchall())

    def take_ours(self) -> float:
        def work() -> None:
            messages = read(self.db, "ours", vt=600, qty=BATCH)
            assert len(delete_batch(self.db, "ours", [message.msg_id for message in messages])) == BATCH

        return self.rate("ours", work, filled=True)

    def take_official(self) -> float:
        def work() -> None:
            messages = self.official.read_batch("official", vt=600, batch_size=BATCH)
            assert len(self.official.delete_batch("official", [message.msg_id for message in messages])) == BATCH

        return self.rate("official", work, filled=True)

    def take_raw(self) -> float:
        def work() -> None:
            rows = self.raw.execute("SELECT * FROM pgmq.read('raw', 600, %s)", [BATCH]).fetchall()
            ids = [row[0] for row in rows]
            assert len(self.raw.execute("SELECT pgmq.delete('raw', %s::bigint[])", [ids]).fetchall()) == BATCH

        return self.rate("raw", work, filled=True)

    def publish_one_ours(self) -> float:
        return self.rate("ours", lambda: self.queue.publish(PAYLOAD), size=1)

    def publish_one_official(self) -> float:
        return self.rate("official", lambda: self.official.send("official", PAYLOAD), size=1)

    def publish_one_raw(self) -> float:
        send = "SELECT * FROM pgmq.send('raw', %s)"
        return self.rate("raw", lambda: self.raw.execute(send, [Jsonb(PAYLOAD)]).fetchall(), size=1)

    def take_one_ours(self) -> float:
        def work() -> None:
            assert delete_message(self.db, "ours", read(self.db, "ours", vt=600)[0].msg_id)

        return self.rate("ours", work, size=1, filled=True)

    def take_one_official(self) -> float:
        def work() -> None:
            message = self.official.read("official", vt=600)
            assert self.official.delete("official", message.msg_id)

        return self.rate("official", work, size=1, filled=True)

    def take_one_raw(self) -> float:
        def work() -> None:
            ((key, *_),) = self.raw.execute("SELECT * FROM pgmq.read('raw', 600, 1)").fetchall()
            assert self.raw.execute("SELECT pgmq.delete('raw', %s::bigint)", [key]).fetchall() == [(True,)]

        return self.rate("raw", work, size=1, filled=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--short", action="store_true", help="a tenth of the work, to see that it runs")
    options = parser.parse_args()
    with postgres_server(durable=True, settings=SETTINGS) as server:
        bench = Bench(server.create_database(), messages=400 if options.short else 2_000)
        cases = {f"{what}_{who}": getattr(bench, f"{what}_{who}") for what in WORK for who in ("ours", *GOALS)}
        figures = interleave(cases, options.rounds)
        bench.close()
        middle = medians(figures)
        rows = [
            (
                text,
                f"{middle[f'{what}_ours']:,.0f}/s",
                f"{who} {middle[f'{what}_{who}']:,.0f}/s",
                f"{middle[f'{what}_ours'] / middle[f'{what}_{who}']:.2f} ({goal})",
            )
            for what, text in WORK.items()
            for who, goal in GOALS.items()
        ]
        report("pgmq_client", str(server.version), rows, figures)


if __name__ == "__main__":
    main()
