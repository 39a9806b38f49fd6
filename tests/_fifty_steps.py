"""A workflow of 50 steps in which every execution leaves a line, and the process that is killed while it runs it.

    python _fifty_steps.py [async-][worker-]workflow|function dsn workflow_id

prints a line for every step that starts. The steps come in rounds: one that joins, then four side by side.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from promin_postgres.database import AsyncDatabase, Database
from promin_postgres.worker import AsyncWorker, Worker
from promin_postgres.workflow import (
    AsyncDurableContext,
    Context,
    DurableContext,
    async_durable,
    async_workflow,
    durable,
    workflow,
)
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, PostgresWorkflowStorage

STEPS = 50
WORKER: dict[str, Any] = {"lease": 5.0, "poll_interval": 0.2, "concurrency": 5}
"""Of the one that is killed: what it had comes back when its lease has run out, and not before on a slow machine."""
CREATE_LOG = """
    CREATE TABLE executions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        workflow_id text NOT NULL,
        step_name text NOT NULL,
        pid integer NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""


def dependencies(number: int) -> list[int]:
    if number % 5 == 0:
        return list(range(max(0, number - 4), number))
    return [number - number % 5]


def value(number: int, deps: list[int], start: int) -> int:
    return (start + 31 * number + 7 * sum(deps)) % 1_000_003


def expected(start: int) -> dict[str, int]:
    values: list[int] = []
    for number in range(STEPS):
        values.append(value(number, [values[dependency] for dependency in dependencies(number)], start))
    return {f"s{number}": values[number] for number in range(STEPS - 4, STEPS)}


def build(new_workflow: Callable[..., Any], storage: Any, log: Database, *, tell: bool = False) -> Any:
    built = new_workflow("fifty", storage=storage)
    for number in range(STEPS):
        built = built.step(
            f"s{number}", step(number, log, tell), depends_on=[f"s{dependency}" for dependency in dependencies(number)]
        )
    return built


def step(number: int, log: Database, tell: bool) -> Callable[[Context], int]:
    def execute(ctx: Context) -> int:
        return work(log, tell, ctx.workflow_id, number, list(ctx.deps.values()), ctx.input)

    return execute


def work(log: Database, tell: bool, workflow_id: str, number: int, deps: list[int], start: int) -> int:
    name = f"s{number}"
    with log.connection() as connection:
        connection.execute(
            "INSERT INTO executions (workflow_id, step_name, pid) VALUES (%s, %s, %s)",
            [workflow_id, name, os.getpid()],
        )
    if tell:
        os.write(1, b"%b\n" % name.encode())  # print() from several threads mixes the lines
    time.sleep(random.uniform(0, 0.003))  # the work
    return value(number, deps, start)


def build_function(storage: Any, log: Database, *, tell: bool = False) -> Any:
    """The same as a durable function."""

    @durable("fifty", storage=storage)
    def fifty(ctx: DurableContext, start: int) -> dict[str, int]:
        values: dict[int, int] = {}

        def ask(number: int) -> int:
            deps = [values[dependency] for dependency in dependencies(number)]
            return ctx.step(f"s{number}", work, log, tell, ctx.workflow_id, number, deps, start)

        with ThreadPoolExecutor(4) as pool:
            for first in range(0, STEPS, 5):
                values[first] = ask(first)
                beside = range(first + 1, first + 5)
                values |= zip(beside, pool.map(ask, beside), strict=True)
        return {f"s{number}": values[number] for number in range(STEPS - 4, STEPS)}

    return fifty


def build_async_function(storage: Any, log: Database, *, tell: bool = False) -> Any:
    @async_durable("fifty", storage=storage)
    async def fifty(ctx: AsyncDurableContext, start: int) -> dict[str, int]:
        values: dict[int, int] = {}

        def ask(number: int) -> Coroutine[Any, Any, int]:
            deps = [values[dependency] for dependency in dependencies(number)]
            return ctx.step(f"s{number}", work, log, tell, ctx.workflow_id, number, deps, start)

        for first in range(0, STEPS, 5):
            values[first] = await ask(first)
            beside = range(first + 1, first + 5)
            values |= zip(beside, await asyncio.gather(*map(ask, beside)), strict=True)
        return {f"s{number}": values[number] for number in range(STEPS - 4, STEPS)}

    return fifty


def main(kind: str, dsn: str, workflow_id: str) -> None:
    with Database.connect(dsn) as log:
        if kind.startswith("async-"):
            asyncio.run(_run_async(kind, dsn, workflow_id, log))
            return
        with PostgresWorkflowStorage.create(dsn) as storage:
            make = build_function if kind.endswith("function") else partial(build, workflow)
            fifty = make(storage, log, tell=True)
            if "worker" in kind:
                fifty.start(workflow_id=workflow_id, input=len(workflow_id))
                Worker(dsn, workflows=[fifty], **WORKER).run()
            else:
                fifty.run(workflow_id=workflow_id, input=len(workflow_id))


async def _run_async(kind: str, dsn: str, workflow_id: str, log: Database) -> None:
    async with (
        AsyncDatabase.connect(dsn) as db,
        await AsyncPostgresWorkflowStorage.create(db) as storage,
    ):
        make = build_async_function if kind.endswith("function") else partial(build, async_workflow)
        fifty = make(storage, log, tell=True)
        if "worker" in kind:
            await fifty.start(workflow_id=workflow_id, input=len(workflow_id))
            await AsyncWorker(dsn, workflows=[fifty], **WORKER).run()
        else:
            await fifty.run(workflow_id=workflow_id, input=len(workflow_id))


if __name__ == "__main__":
    main(*sys.argv[1:])
