"""Enqueueing: one by one, in bulk, and what waking idle workers costs.

    python -m benchmarks.enqueue [--rounds 7] [--short]

Beside each figure stands the same statement through bare psycopg. "16 producers" enqueue one by one, each on its own
connection, while a worker waits for the queue, or nobody does.
"""

from __future__ import annotations

import argparse
import threading
from functools import partial
from typing import Any

import psycopg

from benchmarks._common import SETTINGS, interleave, medians, ratio, report
from benchmarks._steps import PAYLOAD, Steps, rate, tasks
from promin_postgres.bell import open_ear
from promin_postgres.database import Database
from promin_postgres.steps import PgStepQueue
from promin_postgres.steps import _statements as sql
from promin_postgres.steps._settings import columns, encode_task
from promin_postgres.testing import postgres_server

PRODUCERS = 16


def one_by_one(steps: Steps, count: int) -> float:
    steps.fill(0)

    def work() -> None:
        for number in range(count):
            steps.queue.enqueue(f"wf-{number}", "step", input=PAYLOAD)

    return rate(count, work)


def one_by_one_raw(steps: Steps, count: int) -> float:
    steps.fill(0)
    text = steps.queue._core.sql.names.render(sql.ENQUEUE)
    channel, door = steps.queue._core.bell("default")
    row = encode_task(tasks(1, workflows=1)[0], None) | {"ring": False, "channel": channel, "door": door}

    def work() -> None:
        for number in range(count):
            steps.raw.execute(text, row | {"workflow_id": f"wf-{number}"}).fetchall()

    return rate(count, work)


def bulk(steps: Steps, count: int) -> float:
    steps.fill(0)
    new = tasks(count, workflows=count // 10)
    return rate(count, lambda: steps.queue.enqueue_many(new))


def bulk_raw(steps: Steps, count: int) -> float:
    """Binary arrays, encoded before the clock starts."""
    steps.fill(0)
    arrays = columns([encode_task(task, None) for task in tasks(count, workflows=count // 10)])
    text = steps.queue._core.sql.names.render(sql.ENQUEUE_MANY)
    params = arrays | steps.queue._core.bells({"default"}) | {"ring": False}
    return rate(count, lambda: steps.raw.cursor(binary=True).execute(text, params).fetchall())


def producers(steps: Steps, count: int, *, somebody_waits: bool) -> float:
    steps.fill(0)
    channel, _ = steps.queue._core.bell("default")
    ended = threading.Event()
    with Database.connect(steps.dsn) as listening, Database.connect(steps.dsn, max_size=PRODUCERS) as db:
        queue = PgStepQueue(db)

        def produce(first: int) -> None:
            for number in range(first, count, PRODUCERS):
                queue.enqueue(f"wf-{number}", "step", input=PAYLOAD)

        def listen() -> None:
            ear = open_ear(listening, channel)
            while not ended.is_set():
                ear.clear()
                steps_left.execute("SELECT 1")  # stands for the claim of a worker that was woken
                ear.wait(1.0)
            ear.close()

        steps_left: psycopg.Connection[Any] = psycopg.connect(steps.dsn, autocommit=True)
        listener = threading.Thread(target=listen)
        threads = [threading.Thread(target=produce, args=(n,)) for n in range(PRODUCERS)]
        if somebody_waits:
            listener.start()

        def work() -> None:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        figure = rate(count, work)
        ended.set()
        if somebody_waits:
            listener.join()
        steps_left.close()
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--short", action="store_true", help="a tenth of the work, to see that it runs")
    options = parser.parse_args()
    count, many = (200, 1_000) if options.short else (2_000, 10_000)
    with postgres_server(durable=True, settings=SETTINGS) as server:
        version = str(server.version)
        steps = Steps(server.create_database())
        pairs = {
            "one by one": (0.85, partial(one_by_one, steps, count), partial(one_by_one_raw, steps, count)),
            "10,000 at once": (0.6, partial(bulk, steps, many), partial(bulk_raw, steps, many)),
            "16 producers, a worker waits": (
                0.9,
                partial(producers, steps, count, somebody_waits=True),
                partial(producers, steps, count, somebody_waits=False),
            ),
        }
        figures = {
            name: interleave({"ours": ours, "beside": beside}, options.rounds)
            for name, (_, ours, beside) in pairs.items()
        }
        steps.close()
    rows = []
    for name, (goal, *_) in pairs.items():
        found = medians(figures[name])
        shown = f"{ratio(figures[name]['ours'], figures[name]['beside']):.2f} ({goal})"
        beside = "nobody waits" if "waits" in name else "raw"
        rows.append((name, f"{found['ours']:,.0f}/s", f"{beside} {found['beside']:,.0f}/s", shown))
    report("enqueue", version, rows, figures)


if __name__ == "__main__":
    main()
