"""The message queue against pgmq: publishing, receiving and acknowledging, a backlog, and a held vacuum horizon.

    python -m benchmarks.queue [--rounds 7] [--short]

pgmq is the extension's SQL as the PyPI package `pgmq` carries it, through bare psycopg; "loop" goes through that
package's own client. A loop fetches 100 messages at a time, both do, and acknowledges each by a call of its own, which
has been carried out when it returns: `envelope.ack()` in a `subscribe_ack` stream, `PGMQueue.delete` over `read_batch`.

Commits are durable, but for PgQueue's claims and acks, whose loss only delivers again; "loop, durable" is the loop with
`durable_acks=True`, where each ack waits for the disk as pgmq's does. Every measure starts with a fresh table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from urllib.parse import urlsplit

import matplotlib as mpl
import psycopg
from pgmq import PGMQueue

from benchmarks._common import FOLDER, SETTINGS, interleave, medians, report
from promin_postgres.database import Database
from promin_postgres.queue import PgQueue
from promin_postgres.testing import postgres_server

BATCH = 100
PAYLOAD = {"n": 1, "customer": "c-17"}
TEXTS = [json.dumps(PAYLOAD)] * 10_000
Queue = PgQueue[dict[str, object]]


class Bench:
    def __init__(self, dsn: str, *, messages: int) -> None:
        self.dsn = dsn
        self.messages = messages
        self.raw = psycopg.connect(dsn, autocommit=True)
        self.raw.execute(files("pgmq").joinpath("sql/pgmq.sql").read_text())
        self.raw.execute("SELECT pgmq.create('bench')")
        url = urlsplit(dsn)
        self.client = PGMQueue(
            host=str(url.hostname), port=str(url.port), username=str(url.username), password=str(url.password),
            database=url.path.lstrip("/"), init_extension=False,
        )  # fmt: skip
        self.db = Database.connect(dsn)
        self.queue = self.make("bench")
        self.durable = self.make("bench", durable_acks=True)

    def make(self, name: str, *, durable_acks: bool = False) -> Queue:
        return PgQueue.create(self.db, name, visibility_timeout=600, durable_acks=durable_acks)

    def close(self) -> None:
        self.client.pool.close()
        self.db.close()
        self.raw.close()

    def publish_ours(self) -> float:
        self.fill_ours(0)
        values = [PAYLOAD] * len(TEXTS)
        return rate(len(values), lambda: self.queue.publish_many(values))

    def publish_pgmq(self) -> float:
        self.raw.execute("SELECT pgmq.purge_queue('bench')")
        send = "SELECT * FROM pgmq.send_batch('bench', %s::jsonb[])"
        return rate(len(TEXTS), lambda: self.raw.execute(send, [TEXTS]).fetchall())

    def fill_ours(self, count: int) -> None:
        self.raw.execute("TRUNCATE pgq_bench")  # as pgmq.purge_queue does
        publish(self.queue, count)

    def fill_pgmq(self, count: int) -> None:
        self.raw.execute("SELECT pgmq.purge_queue('bench')")
        self.raw.execute(
            "SELECT pgmq.send_batch('bench', array_agg(%s::jsonb)) FROM generate_series(1, %s)", [TEXTS[0], count]
        )

    def batches_ours(self) -> float:
        self.fill_ours(self.messages)
        return take(self.queue, self.messages)

    def batches_pgmq(self) -> float:
        self.fill_pgmq(self.messages)

        def work() -> None:
            for _ in range(0, self.messages, BATCH):
                rows = self.raw.execute("SELECT msg_id, message FROM pgmq.read('bench', 600, %s)", [BATCH]).fetchall()
                self.raw.execute("SELECT pgmq.delete('bench', %s::bigint[])", [[row[0] for row in rows]]).fetchall()

        return rate(self.messages, work)

    def loop_ours(self) -> float:
        return self.loop(self.queue)

    def loop_durable_ours(self) -> float:
        return self.loop(self.durable)

    def loop(self, queue: Queue) -> float:
        self.fill_ours(self.messages // 10)

        def work() -> None:
            with queue.subscribe_ack(batch_size=BATCH, until_empty=True) as stream:
                for envelope in stream:
                    envelope.ack()

        return rate(self.messages // 10, work)

    def loop_pgmq(self) -> float:
        self.fill_pgmq(self.messages // 10)

        def work() -> None:
            while batch := self.client.read_batch("bench", vt=600, batch_size=BATCH):
                for message in batch:
                    self.client.delete("bench", message.msg_id)

        return rate(self.messages // 10, work)

    def backlogs(self, waiting: Mapping[str, int], rounds: int) -> dict[str, list[float]]:
        """Rates of queues that keep so many messages waiting: as many are appended as were taken from the front."""
        queues = {name: self.make(name) for name in waiting}
        for name, queue in queues.items():
            publish(queue, waiting[name])
            self.raw.execute(f"VACUUM ANALYZE pgq_{name}")
        self.raw.execute("CHECKPOINT")  # what filling them has left to write

        def flow(queue: Queue) -> float:
            publish(queue, self.messages)
            return take(queue, self.messages)

        return interleave({name: partial(flow, queue) for name, queue in queues.items()}, rounds)

    def horizon(self, rounds: int) -> list[float]:
        """Rates of consecutive stretches of 10,000 messages while another transaction holds the vacuum horizon."""
        with held_horizon(self.dsn):
            self.fill_ours(10_000)
            rates = []
            for _ in range(rounds):
                publish(self.queue, 10_000)
                rates.append(take(self.queue, 10_000))
        return rates


def publish(queue: Queue, count: int) -> None:
    for start in range(0, count, len(TEXTS)):
        queue.publish_many([PAYLOAD] * min(count - start, len(TEXTS)))


def take(queue: Queue, count: int) -> float:
    def work() -> None:
        for _ in range(0, count, BATCH):
            received = queue.receive(BATCH)
            assert len(received) == BATCH
            assert not queue.ack_many(received)

    return rate(count, work)


@contextmanager
def held_horizon(dsn: str) -> Iterator[None]:
    with psycopg.connect(dsn) as holder:
        holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        holder.execute("SELECT pg_current_xact_id()")
        yield
        holder.rollback()


def rate(count: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def plot(figures: dict[str, float], horizon: list[float]) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot

    fig, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    pairs = {
        "publish 10,000": "publish",
        "receive + ack, 100": "batches",
        "ack one by one": "loop",
        "the same, durable": "loop_durable",
    }
    for offset, (who, color) in enumerate([("ours", "#2a6f97"), ("pgmq", "#bbbbbb")]):
        heights = [figures[f"{pair}_{who}"] for pair in pairs.values()]
        left.bar([n + 0.4 * offset for n in range(len(pairs))], heights, 0.38, label=who, color=color)
    left.set_xticks([n + 0.2 for n in range(len(pairs))], list(pairs), fontsize=8)
    left.set_yscale("log")
    left.set_ylabel("messages per second")
    left.legend()
    right.plot([10_000 * (n + 1) for n in range(len(horizon))], horizon, marker="o", color="#2a6f97")
    right.set_ylim(bottom=0)
    right.set_title("while another transaction holds the vacuum horizon")
    right.set_xlabel("messages so far")
    right.set_ylabel("messages per second")
    fig.tight_layout()
    fig.savefig(FOLDER / "queue.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--short", action="store_true", help="a tenth of the work, to see that it runs")
    options = parser.parse_args()
    scale = 10 if options.short else 1
    with postgres_server(durable=True, settings=SETTINGS) as server:
        bench = Bench(server.create_database(), messages=20_000 // scale)
        names = ["publish", "batches", "loop"]
        cases = {f"{name}_{who}": getattr(bench, f"{name}_{who}") for name in names for who in ("ours", "pgmq")}
        figures = interleave({**cases, "loop_durable_ours": bench.loop_durable_ours}, options.rounds)
        figures["loop_durable_pgmq"] = figures["loop_pgmq"]
        waiting = 1_000_000 // scale
        backlogs = bench.backlogs({"few": 1_000, "full": waiting}, options.rounds)
        horizon = bench.horizon(12)
        bench.close()
        middle = medians(figures) | medians(backlogs)
        goals = {"publish": "1.5", "batches": "1.5", "loop": "2.0", "loop_durable": "no goal"}
        rows = [
            (name, f"{middle[f'{name}_ours']:,.0f}/s", f"pgmq {middle[f'{name}_pgmq']:,.0f}/s",
             f"{middle[f'{name}_ours'] / middle[f'{name}_pgmq']:.2f} ({goals[name]})")
            for name in goals
        ]  # fmt: skip
        rows.append((f"backlog of {waiting:,}", f"{middle['full']:,.0f}/s", f"of 1,000: {middle['few']:,.0f}/s",
                     f"{middle['full'] / middle['few']:.2f} (0.85)"))  # fmt: skip
        start, end = sum(horizon[:3]) / 3, sum(horizon[-3:]) / 3
        rows.append(
            ("horizon held, after 110,000", f"{end:,.0f}/s", f"at first: {start:,.0f}/s", f"{end / start:.2f} (0.85)")
        )
        report("queue", str(server.version), rows, {**figures, **backlogs, "horizon": horizon})
        plot(middle, horizon)


if __name__ == "__main__":
    main()
