"""The resident memory of a worker that drains 1,000,000 tasks.

    python -m benchmarks.memory [--short]

The worker runs in a process of its own; at each tenth of the work it is asked for the most that it has held so far.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks._common import SETTINGS, lines, report
from benchmarks._steps import Steps
from promin_postgres.testing import postgres_server

GOAL = 80.0
_WORKER = """
import asyncio, sys
from promin_postgres import AsyncWorker, Worker

async def later(context):
    return None

def sync(context):
    return None

names = [f"step-{{n}}" for n in range({steps})]
if sys.argv[2] == "Worker":
    Worker(sys.argv[1], handlers=dict.fromkeys(names, sync)).run(drain=True)
else:
    asyncio.run(AsyncWorker(sys.argv[1], handlers=dict.fromkeys(names, later)).run(drain=True))
"""
STEPS = 10


def resident(pid: int) -> float:
    """The most that a process has held at a time until now, in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def drain(steps: Steps, kind: str, count: int) -> list[float]:
    """Its memory at each tenth of the work."""
    steps.fill(count, workflows=count // STEPS)
    process = subprocess.Popen([sys.executable, "-c", _WORKER.format(steps=STEPS), steps.dsn, kind])
    readings: list[float] = []
    while process.poll() is None:
        left = steps.raw.execute("SELECT count(*) FROM wf_step_queue").fetchone()
        assert left is not None
        if left[0] < count - len(readings) * count // 10:
            readings.append(resident(process.pid))
        time.sleep(0.5)
    assert process.returncode == 0
    return readings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a tenth of the work, to see that it runs")
    options = parser.parse_args()
    count = 100_000 if options.short else 1_000_000
    with postgres_server(durable=True, settings=SETTINGS) as server:
        version = str(server.version)
        steps = Steps(server.create_database())
        figures = {kind: drain(steps, kind, count) for kind in ("Worker", "AsyncWorker")}
        steps.close()
    rows = [
        (f"{kind}, {count:,} tasks", f"{max(found):.0f} MB at most", f"{found[0]:.0f} MB at first",
         f"{max(found) / found[0]:.2f} (under {GOAL:.0f} MB)")
        for kind, found in figures.items()
    ]  # fmt: skip
    report("memory", version, rows, figures)
    lines("memory", "tasks", "MB", count // 10, figures)


if __name__ == "__main__":
    main()
