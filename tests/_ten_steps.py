"""A workflow of ten steps, and the process of a worker that is killed while it drives runs of it.

    python _ten_steps.py sync|async dsn

One step is transactional: it writes a line to `ledger`. One fails at its first attempt in each process.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Any

from promin_postgres import Retry
from promin_postgres.worker import AsyncWorker, Worker
from promin_postgres.workflow import (
    AsyncPostgresWorkflowStorage,
    Context,
    PostgresWorkflowStorage,
    async_workflow,
    workflow,
)

GRAPH: dict[str, list[str]] = {
    "a": [], "b": ["a"], "c": ["a"], "d": ["a"], "e": ["b", "c"], "f": ["c", "d"], "g": ["e", "f", "b"], "h": ["g"],
    "i": ["g"], "j": ["h", "i", "a"],
}  # fmt: skip
CREATE = """
    CREATE TABLE ledger (workflow_id text NOT NULL);
    CREATE TABLE checkpoints (workflow bigint NOT NULL, step_name text NOT NULL);
    CREATE FUNCTION note_checkpoint() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO checkpoints VALUES (NEW.workflow, NEW.step_name);
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_checkpoint AFTER UPDATE ON wf_workflow_steps FOR EACH ROW
        WHEN (NEW.completed_at IS DISTINCT FROM OLD.completed_at AND NEW.completed_at IS NOT NULL)
        EXECUTE FUNCTION note_checkpoint();
"""


def value(step: str, deps: list[int], start: int) -> int:
    """The result of a step."""
    return (31 * sum(deps) + 7 * ord(step) + start) % 1_000_003


def expected(start: int) -> int:
    """The result of a run."""
    results: dict[str, int] = {}
    for step, deps in GRAPH.items():
        results[step] = value(step, [results[name] for name in deps], start)
    return results["j"]


def compute(ctx: Context) -> int:
    if random.random() < 0.1:
        time.sleep(0.02 * random.random())
    return value(ctx.step_name, [ctx.deps[name] for name in GRAPH[ctx.step_name]], ctx.input)


def flaky(ctx: Context) -> int:
    if ctx.attempt == 1 and ctx.input % 5 == 0:
        raise ValueError("not yet")
    return compute(ctx)


def book(ctx: Context) -> int:
    ctx.connection.execute("INSERT INTO ledger VALUES (%s)", [ctx.workflow_id])
    return compute(ctx)


async def async_book(ctx: Context) -> int:
    await ctx.connection.execute("INSERT INTO ledger VALUES (%s)", [ctx.workflow_id])
    return compute(ctx)


def ten_steps(begin: Any, storage: Any) -> Any:
    """The workflow, made by `workflow` or `async_workflow`."""
    made = begin("ten", storage=storage)
    for step, deps in GRAPH.items():
        if step == "d":
            function = async_book if begin is async_workflow else book
            made = made.step(step, function, depends_on=deps, transactional=True)
        elif step == "e":
            made = made.step(step, flaky, depends_on=deps, retry=Retry(max_attempts=3, base=0.02))
        else:
            made = made.step(step, compute, depends_on=deps)
    return made


async def work(dsn: str) -> None:
    async with await AsyncPostgresWorkflowStorage.create(dsn) as storage:
        await AsyncWorker(dsn, workflows=[ten_steps(async_workflow, storage)], **OPTIONS).run()


OPTIONS: dict[str, Any] = {"lease": 2.0, "poll_interval": 0.2, "max_deliveries": 1000}

if __name__ == "__main__":
    kind, conninfo = sys.argv[1:]
    if kind == "sync":
        with PostgresWorkflowStorage.create(conninfo) as ours:
            Worker(conninfo, workflows=[ten_steps(workflow, ours)], **OPTIONS).run()
    else:
        asyncio.run(work(conninfo))
