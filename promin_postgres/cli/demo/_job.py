"""The durable workflow of the demo: read a file, measure it, record the measures."""

from __future__ import annotations

import base64
import functools
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from promin_postgres.cli import _statements as statements
from promin_postgres.cli.demo._files import measure
from promin_postgres.database import Executor
from promin_postgres.workflow import Context, Workflow, workflow
from promin_postgres.workflow.storage import PostgresWorkflowStorage


def file_workflow(executor: Executor, storage: PostgresWorkflowStorage, *, worker: str) -> Workflow:
    """The workflow. Each execution of one of its steps is written down before it begins."""

    def read(ctx: Context) -> str:
        # A checkpoint is JSON: bytes of any kind travel in it as base64.
        data = Path(ctx.input["path"]).read_bytes()
        return base64.b64encode(zlib.compress(data, 1)).decode()

    def measure_content(ctx: Context) -> dict[str, Any]:
        return attrs.asdict(measure(zlib.decompress(base64.b64decode(ctx.prev))))

    def record(ctx: Context) -> None:
        executor.execute(
            statements.RECORD_FILE, {"workflow_id": ctx.workflow_id, "path": ctx.input["path"], **ctx.prev}
        )

    def witnessed(step: Callable[[Context], Any]) -> Callable[[Context], Any]:
        @functools.wraps(step)
        def execute(ctx: Context) -> Any:
            executor.execute(
                statements.BEGIN_EXECUTION,
                {"workflow_id": ctx.workflow_id, "step_name": ctx.step_name, "worker": worker, "pid": os.getpid()},
            )
            return step(ctx)

        return execute

    return (
        workflow("measure-file", storage=storage)
        .step("read", witnessed(read))
        .step("measure", witnessed(measure_content))
        .step("record", witnessed(record))
    )
