"""What the scripts of all Python peers share: the command line, the clock, worker processes, the line of JSON.

It runs inside the peers' environments, so it imports nothing but the standard library (and psycopg, which each of them
has, once a measure runs). A job is one small JSON object, `{"n": 17}`; its handler calls `job_done` and nothing else.

How each measure is timed, the same for all (enqueue times start with the payloads, results are jobs per second):

enqueue         `count` calls that add one job each, one after the other, from one client.
bulk            as few calls as the peer allows that add `count` jobs.
drain           a worker process imports, connects, says that it is ready and waits. Its time runs from the word "go",
                at which it starts its worker on a backlog of `count` jobs, until the last handler has run and the
                peer's own tables say that nothing is left to do (asked every 5 ms from then on). So neither the start
                of the interpreter nor the connections count, and acknowledgements do.
drain4          the same with four such processes.
claim_ack_100   one client claims 100 jobs and acknowledges them, again and again until the backlog is empty.
claim_ack_1     the same, one by one.
latency         one job at a time for an idle worker process: from the call that enqueues it to the first line of its
                handler (one monotonic clock for both), then a pause of 150 ms and a random part of the peer's
                polling interval, so that it is idle again and polls are met at any moment. p50, with p99 beside it; ms.
workflows       as drain, with durable workflows of three no-op steps; workflows per second.
workflows4      the same with four processes.
workflows_direct  each workflow started and awaited in the caller's own process, one after the other.

A backlog is loaded, vacuumed and analysed before the clock starts, as autovacuum would have done in a system that runs.
"""

import argparse
import asyncio
import inspect
import json
import multiprocessing
import random
import statistics
import time
from importlib.metadata import version

_PATIENCE = 600.0  # seconds a drain may take before it counts as stuck
_LATENCY_BUDGET = 120.0  # seconds: a peer that polls every second is asked as often as fits in
_shared = None  # of a worker process: (counter, start times)


class Clock:
    """`with clock:` adds the time of the block to `seconds`."""

    def __init__(self):
        self.seconds = 0.0

    def __enter__(self):
        self._start = time.perf_counter()

    def __exit__(self, *_):
        self.seconds += time.perf_counter() - self._start


class Peer:
    """What a peer's script fills in; every method may be async. A method that is missing is a measure it has not."""

    name: str
    package: str
    settings: dict[str, str]  # what was set, by measure ("drain" is that of drain4 too); "" for the others
    left: str  # SQL: how many jobs are not done
    polling = 0.1  # seconds between polls, of a peer that polls: latency spreads its pauses over them
    run = staticmethod(asyncio.run)

    def __init__(self, dsn: str, measure: str):
        self.dsn = dsn
        self.measure = measure
        self.steps = 3 if measure.startswith("workflows") else 0

    def install(self):
        """Create the schema in the empty database."""

    def enqueue(self, payloads, clock):
        """Connect; then, on the clock, add the payloads one by one."""
        raise NotImplementedError

    def bulk(self, payloads, clock):
        """Connect; then, on the clock, add all the payloads."""
        raise NotImplementedError

    def fill(self, payloads):
        """Load a backlog."""
        return self.bulk(list(payloads), Clock())

    def work(self, ready):
        """Connect, call `ready()` (which blocks until "go"), then work until killed."""
        raise NotImplementedError

    def claim_ack(self, batch, count, clock):
        """Connect; then, on the clock, claim and acknowledge `count` jobs, `batch` at a time."""
        raise NotImplementedError

    def workflows_direct(self, payloads, clock):
        raise NotImplementedError


def job_done(n):
    """Every handler calls this first, and does nothing else."""
    counter, started = _shared
    started[n] = time.monotonic()
    with counter.get_lock():
        counter.value += 1


def main(*peer_classes):
    """Run one measure of one of the peers (of the first, if none is named) and print its line."""
    classes = {peer_class.name: peer_class for peer_class in peer_classes}
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", choices=classes, default=peer_classes[0].name)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--measure", required=True)
    parser.add_argument("--count", type=int, required=True)
    asked = parser.parse_args()
    peer = classes[asked.peer](asked.dsn, asked.measure)
    _call(peer, peer.install)
    result = _measure(peer, asked.count)
    settings = peer.settings.get(asked.measure.removesuffix("4"), peer.settings[""])
    line = {"peer": peer.name, "version": version(peer.package), "measure": asked.measure} | result
    print(json.dumps(line | {"settings": settings}), flush=True)


def _measure(peer, count):
    clock = Clock()
    match peer.measure.rsplit("_", 1):
        case ["enqueue" | "bulk"] | ["workflows", "direct"]:
            _call(peer, getattr(peer, peer.measure), list(_payloads(count)), clock)
        case ["drain" | "drain4" | "workflows" | "workflows4"]:
            _drain(peer, count, clock, processes=4 if peer.measure.endswith("4") else 1)
        case ["claim_ack", batch]:
            _fill(peer, count)
            _call(peer, peer.claim_ack, int(batch), count, clock)
            _check_nothing_left(peer)
        case ["latency"]:
            return _latency(peer, count)
        case _:
            raise SystemExit(f"no such measure: {peer.measure}")
    unit = "workflows/s" if peer.steps else "jobs/s"
    return {"value": round(count / clock.seconds, 1), "unit": unit, "count": count}


def _payloads(count):
    return ({"n": n} for n in range(count))


def _drain(peer, count, clock, *, processes):
    _fill(peer, count)
    with _Workers(peer, count, processes) as workers:
        workers.barrier.wait(timeout=120)
        with clock:
            workers.await_count(count)
            while _left(peer):
                time.sleep(0.005)


def _latency(peer, count):
    delays = []
    with _Workers(peer, count, 1) as workers:
        workers.barrier.wait(timeout=120)
        time.sleep(2.0)  # the worker's own start is over, and it waits

        def one_at_a_time():
            end = time.monotonic() + _LATENCY_BUDGET
            for payload in _payloads(count):
                called = time.monotonic()
                yield payload
                workers.await_count(payload["n"] + 1)
                delays.append((workers.started[payload["n"]] - called) * 1000)
                if time.monotonic() > end:
                    return
                time.sleep(random.uniform(0.15, 0.15 + peer.polling))

        _call(peer, peer.enqueue, one_at_a_time(), Clock())
    p99 = statistics.quantiles(delays, n=100, method="inclusive")[98]
    return {"value": round(statistics.median(delays), 2), "unit": "ms", "p99": round(p99, 2), "count": len(delays)}


class _Workers:
    """Worker processes: they wait at the barrier, and are killed at the end (their database is dropped anyway)."""

    def __init__(self, peer, count, processes):
        context = multiprocessing.get_context("spawn")
        self._counter = context.Value("q", 0)
        self.started = context.Array("d", count, lock=False)
        self.barrier = context.Barrier(processes + 1)
        shared = (self._counter, self.started)
        arguments = (type(peer), peer.dsn, peer.measure, shared, self.barrier)
        self._processes = [context.Process(target=_work, args=arguments, daemon=True) for _ in range(processes)]

    def __enter__(self):
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_):
        for process in self._processes:
            process.kill()
            process.join()

    def await_count(self, count):
        end = time.monotonic() + _PATIENCE
        while self._counter.value < count:
            if any(process.exitcode is not None for process in self._processes):
                raise SystemExit(f"a worker process ended after {self._counter.value} of {count} jobs")
            if time.monotonic() > end:
                raise SystemExit(f"stuck after {self._counter.value} of {count} jobs")
            time.sleep(0.001)


def _work(peer_class, dsn, measure, shared, barrier):
    global _shared
    _shared = shared
    peer = peer_class(dsn, measure)
    _call(peer, peer.work, barrier.wait)


def _call(peer, method, *arguments):
    if inspect.iscoroutinefunction(method):
        peer.run(method(*arguments))
    else:
        outcome = method(*arguments)
        if inspect.iscoroutine(outcome):
            peer.run(outcome)


def _fill(peer, count):
    import psycopg

    _call(peer, peer.fill, _payloads(count))
    if (left := _left(peer)) != count:
        raise SystemExit(f"loaded {count} jobs, found {left}")
    with psycopg.connect(peer.dsn, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def _left(peer):
    import psycopg

    with psycopg.connect(peer.dsn, autocommit=True) as connection:
        return connection.execute(peer.left).fetchone()[0]


def _check_nothing_left(peer):
    if left := _left(peer):
        raise SystemExit(f"{left} jobs are left")
