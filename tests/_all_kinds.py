"""A workflow with a step of every kind, in which every execution leaves a line, and the process that is killed in it.

    python _all_kinds.py sync|async dsn workflow_id

prints a line for every execution that begins.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from promin_postgres.database import AsyncDatabase, Database
from promin_postgres.workflow import Context, async_workflow, workflow
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, PostgresWorkflowStorage

ELEMENTS = 12
PAYMENTS = 3
EXECUTIONS = 1 + ELEMENTS + 2 + 2 + PAYMENTS + 1 + 2 + 1
"""Lines of a run that nothing interrupts."""
CREATE = """
    CREATE TABLE executions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        workflow_id text NOT NULL,
        what text NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE TABLE payments (workflow_id text NOT NULL, step_name text NOT NULL)
"""
PAY = b"INSERT INTO payments (workflow_id, step_name) VALUES (%s, %s)"


def expected() -> list[Any]:
    return [[n * n for n in range(ELEMENTS)], "yes", {"left": "left", "right": "right"}, PAYMENTS, "told", "inner"]


class Log:
    """Step functions that say that they are executed."""

    def __init__(self, db: Database, *, tell: bool) -> None:
        self._db = db
        self._tell = tell

    def note(self, ctx: Context, what: str | None = None) -> str:
        said = what or ctx.step_name if ctx.index is None else f"{ctx.step_name}[{ctx.index}]"
        with self._db.connection() as connection:
            connection.execute("INSERT INTO executions (workflow_id, what) VALUES (%s, %s)", [ctx.workflow_id, said])
        if self._tell:
            os.write(1, b"%b\n" % said.encode())
        time.sleep(random.uniform(0, 0.003))  # the work
        return said

    def noting(self, what: str) -> Callable[[Context], str]:
        return lambda ctx: self.note(ctx, what)

    def list(self, ctx: Context) -> list[int]:
        self.note(ctx)
        return list(range(ELEMENTS))

    def square(self, ctx: Context) -> int:
        self.note(ctx)
        return int(ctx.item) ** 2

    def decide(self, ctx: Context) -> bool:
        self.note(ctx, "condition")
        return True

    def pay(self, ctx: Context) -> str:
        ctx.connection.execute(PAY, [ctx.workflow_id, ctx.step_name])
        return self.note(ctx)

    async def async_pay(self, ctx: Context) -> str:
        await ctx.connection.execute(PAY, [ctx.workflow_id, ctx.step_name])
        return self.note(ctx)

    def tell(self, storage: Any) -> Callable[[Context], Any]:
        def tell(ctx: Context) -> None:
            self.note(ctx)
            storage.deliver_signal(ctx.workflow_id, "go", "told")

        async def async_tell(ctx: Context) -> None:
            self.note(ctx)
            await storage.deliver_signal(ctx.workflow_id, "go", "told")

        return async_tell if isinstance(storage, AsyncPostgresWorkflowStorage) else tell


def build(new_workflow: Callable[..., Any], storage: Any, log: Log) -> Any:
    child = new_workflow("inner", storage=storage).step("x", log.noting("x")).step("y", log.noting("inner"))
    flow = (
        new_workflow("all kinds", storage=storage)
        .step("list", log.list)
        .map_over("squares", log.square, over="list", concurrency=3)
        .branch("way", condition=log.decide, if_true=log.noting("yes"), if_false=log.noting("no"))
        .parallel("both", {"left": log.noting("left"), "right": log.noting("right")})
    )
    pay = log.async_pay if isinstance(storage, AsyncPostgresWorkflowStorage) else log.pay
    for number in range(PAYMENTS):
        flow = flow.step(f"pay {number}", pay, transactional=True)
    return (
        flow.sleep("nap", 0.05)
        .step("tell", log.tell(storage))
        .wait_for_signal("told", signal="go")
        .subworkflow("child", child)
        .step(
            "end",
            lambda ctx: log.note(ctx) and [*(ctx.deps[name] for name in ("squares", "way", "both")), PAYMENTS,
                                           ctx.deps["told"], ctx.deps["child"]],
            depends_on=["squares", "way", "both", "told", "child"],
        )
    )  # fmt: skip


def main(kind: str, dsn: str, workflow_id: str) -> None:
    with Database.connect(dsn) as db:
        log = Log(db, tell=True)
        if kind == "async":
            asyncio.run(_run_async(dsn, workflow_id, log))
        else:
            with PostgresWorkflowStorage.create(dsn) as storage:
                build(workflow, storage, log).run(workflow_id=workflow_id, wait=60)


async def _run_async(dsn: str, workflow_id: str, log: Log) -> None:
    async with (
        AsyncDatabase.connect(dsn) as db,
        await AsyncPostgresWorkflowStorage.create(db) as storage,
    ):
        await build(async_workflow, storage, log).run(workflow_id=workflow_id, wait=60)


if __name__ == "__main__":
    main(*sys.argv[1:])
