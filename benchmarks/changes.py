"""Change streams: what the triggers cost, how fast the log is read, and how soon a change arrives.

    python -m benchmarks.changes [--rounds 5] [--short] [--only triggers bells latency reading]

The table has a primary key and two more indexes, as tables have. All commits are durable.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import psycopg

from benchmarks._common import SETTINGS, interleave, medians, report
from promin_postgres.changes import Offset, PgChangeStream
from promin_postgres.migrator import migrate
from promin_postgres.testing import postgres_server

TABLES = """
CREATE TABLE {name} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text NOT NULL, total numeric NOT NULL, payload jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON {name} (customer);
CREATE INDEX ON {name} (created_at);
"""
BULK = """
INSERT INTO {name} (customer, total, payload)
SELECT 'customer-' || n %% 5000, n * 0.01, jsonb_build_object('n', n, 'items', '[1, 2, 3]'::jsonb)
FROM generate_series(1, %s) AS n
"""
SINGLE = (
    "INSERT INTO {name} (customer, total, payload) VALUES ('customer-17', 9.99, '{{\"n\": 1, \"items\": [1, 2, 3]}}')"
)
TRY = re.compile(r"pg_catalog\.pg_try_advisory_xact_lock_shared\([^)]*\)")
PRODUCERS = 16
NAMES = ("plain", "logged")
PARTS = ["triggers", "bells", "latency", "reading"]
Rows = list[tuple[str, str, str, str]]
Figures = dict[str, list[float]]

READER = """
import resource, sys, time
from promin_postgres.changes import Offset, PgChangeStream

dsn, count, decoded = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "decoded"
with PgChangeStream(dsn, table="logged", batch_size=5000) as source:
    with source.changes(Offset.cursor(sys.argv[4])) as changes:
        next(changes)
        started = time.perf_counter()
        seen = 0
        for change in changes:
            if decoded:
                change.value
            seen += 1
            if seen == count - 1:
                break
        print(seen / (time.perf_counter() - started), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


class Bench:
    def __init__(self, dsn: str, *, scale: int) -> None:
        self.dsn = dsn
        self.scale = scale
        self.memory: dict[str, float] = {}
        self.bulk = 100_000 // scale
        self.singles = 100
        self.read = 1_000_000 // scale
        self.raw = psycopg.connect(dsn, autocommit=True)
        migrate(self.raw)
        for name in NAMES:
            for statement in TABLES.format(name=name).split(";")[:-1]:
                self.raw.execute(statement)
        self.source: PgChangeStream[object] = PgChangeStream(dsn, table="logged", poll_interval=5.0)
        self.source.install_trigger()
        self.start = self.source.position()

        self.bells = {
            "producers silent": partial(self.producers, listening=True, rings=False),
            "producers ringing": partial(self.producers, listening=True, rings=True),
            "producers nobody waits": partial(self.producers, listening=False, rings=True),
        }

    def close(self) -> None:
        self.source.close()
        self.raw.close()

    def measure_triggers(self, rounds: int) -> tuple[Rows, Figures]:
        figures = interleave({f"bulk {name}": partial(self.bulk_into, name) for name in NAMES}, rounds)
        # Short ones, in turn: what the disk does meanwhile decides more than the trigger.
        singles = {f"singles {name}": partial(self.singles_into, name) for name in NAMES}
        figures |= interleave(singles, 20 * rounds // self.scale)
        middle = medians(figures)
        goals = ((f"{self.bulk:,} rows in one statement", "bulk", 1.6), ("single-row inserts", "singles", 1.5))
        return [
            (what, f"{middle[f'{kind} logged']:,.0f}/s", f"without: {middle[f'{kind} plain']:,.0f}/s",
             f"{middle[f'{kind} plain'] / middle[f'{kind} logged']:.2f} ({goal})")
            for what, kind, goal in goals
        ], figures  # fmt: skip

    def measure_bells(self, rounds: int) -> tuple[Rows, Figures]:
        figures = interleave(self.bells, rounds)
        middle = medians(figures)
        silent = middle["producers silent"]
        return [
            (f"{PRODUCERS} producers, {name}", f"{middle[f'producers {name}']:,.0f}/s",
             f"without bell: {silent:,.0f}/s", f"{middle[f'producers {name}'] / silent:.2f} (0.90)")
            for name in ("ringing", "nobody waits")
        ], figures  # fmt: skip

    def measure_latency(self, rounds: int) -> tuple[Rows, Figures]:
        figures = {"bell ms": sorted(self.latency(1_000 // self.scale, interval=5.0))}
        self.ring(False)
        figures["no bell ms"] = sorted(self.latency(100 // self.scale, interval=0.25))
        self.ring(True)
        return [
            (f"commit to delivery, {what}", f"p50 {statistics.median(times):.2f} ms, p99 {percentile(times):.2f} ms",
             f"at most {times[-1]:.2f} ms", goal)
            for what, times, goal in (("bell", figures["bell ms"], "(5 / 20)"),
                                      ("looking every 250 ms, no bell", figures["no bell ms"], "(250)"))
        ], figures  # fmt: skip

    def measure_reading(self, rounds: int) -> tuple[Rows, Figures]:
        start = self.fill()
        figures = interleave(
            {kind: partial(self.reading, start, kind) for kind in ("decoded", "undecoded")}, min(rounds, 3)
        )
        return [
            (f"reading {self.read:,}, {kind}", f"{statistics.median(figures[kind]):,.0f}/s",
             f"{self.memory[kind]:,.0f} MB at most", f"({goal:,})")
            for kind, goal in (("decoded", 60_000), ("undecoded", 100_000))
        ], figures  # fmt: skip

    def bulk_into(self, name: str) -> float:
        self.empty()
        return rate(self.bulk, lambda: self.raw.execute(BULK.format(name=name), [self.bulk]))

    def empty(self) -> None:
        self.raw.execute("TRUNCATE plain, logged, wf_changes")
        self.raw.execute("CHECKPOINT")

    def singles_into(self, name: str) -> float:
        return rate(self.singles, lambda: [self.raw.execute(SINGLE.format(name=name)) for _ in range(self.singles)])

    def producers(self, *, listening: bool, rings: bool) -> float:
        """Rows a second of 16 producers, with the bell in the trigger or without it."""
        self.ring(rings)
        self.empty()
        interval = 5.0 if rings else 0.02  # the pace that a reader under steady traffic has with the bell, too
        script = self.script()
        with self.listener(interval) if listening else nothing():
            done = subprocess.run(
                ["pgbench", "-n", "-M", "prepared", "-c", str(PRODUCERS), "-j", "2", "-T", "4", "-f", script, self.dsn],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
        self.ring(True)
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("tps"))
        return float(line.split()[2])

    def script(self) -> str:
        path = "/tmp/promin_changes_single.sql"
        with open(path, "w") as file:
            file.write(SINGLE.format(name="logged") + ";\n")
        return path

    def ring(self, rings: bool) -> None:
        """Cut the bell out of the trigger function, or put it back."""
        self.source.install_trigger()
        if not rings:
            ((body,),) = self.raw.execute(
                "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE 'wf\\_log\\_%'"
            ).fetchall()
            self.raw.execute(TRY.sub("true", body))

    @contextmanager
    def listener(self, interval: float) -> Iterator[None]:
        source: PgChangeStream[object] = PgChangeStream(self.dsn, table="logged", poll_interval=interval)
        with source, source.changes(Offset.cursor(source.position())) as stream:
            reader = threading.Thread(target=stream.drain)
            reader.start()
            try:
                yield
            finally:
                stream.close()
                reader.join()

    def fill(self) -> str:
        self.raw.execute("TRUNCATE plain, logged, wf_changes")
        start = self.source.position()
        for _ in range(10):
            self.raw.execute(BULK.format(name="logged"), [self.read // 10])
        self.raw.execute("VACUUM ANALYZE wf_changes")
        return start

    def reading(self, start: str, kind: str) -> float:
        command = [sys.executable, "-c", READER, self.dsn, str(self.read), kind, start]
        figure, memory = map(float, subprocess.run(command, capture_output=True, check=True).stdout.split())
        self.memory[kind] = max(memory, self.memory.get(kind, 0.0))
        return figure

    def latency(self, count: int, interval: float) -> list[float]:
        """Milliseconds from the end of a commit to the delivery of its change, on a stream that waits."""
        source: PgChangeStream[object] = PgChangeStream(self.dsn, table="logged", poll_interval=interval)
        got: list[float] = []
        arrived = threading.Semaphore(0)

        def read() -> None:
            for _ in stream:
                got.append(time.perf_counter())
                arrived.release()

        sent = []
        with source, source.changes(Offset.cursor(source.position())) as stream:
            reader = threading.Thread(target=read)
            reader.start()
            for _ in range(count):
                time.sleep(0.1)  # until the stream waits again
                self.raw.execute(SINGLE.format(name="logged"))
                sent.append(time.perf_counter())
                assert arrived.acquire(timeout=10)
            stream.close()
            reader.join()
        return [1000 * max(0.0, there - gone) for gone, there in zip(sent, got, strict=True)]


def percentile(times: list[float]) -> float:
    return times[int(len(times) * 0.99)]


@contextmanager
def nothing() -> Iterator[None]:
    yield


def rate(count: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="a tenth of the work, to see that it runs")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    scale = 10 if options.short else 1
    rows: list[tuple[str, str, str, str]] = []
    figures: dict[str, list[float]] = {}
    with postgres_server(durable=True, settings=SETTINGS) as server:
        bench = Bench(server.create_database(), scale=scale)
        for part in options.only:
            more, found = getattr(bench, f"measure_{part}")(options.rounds)
            rows += more
            figures |= found
        bench.close()
        name = "changes" if options.only == PARTS else "_".join(["changes", *options.only])
        report(name, str(server.version), rows, figures)


if __name__ == "__main__":
    main()
