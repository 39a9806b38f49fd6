"""What type checkers see of workflows. Never run: mypy and pyright read it.

An ignored error is one that must be there: mypy (strict) complains of an ignore that ignores nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from promin_postgres import (
    AsyncPgQueue,
    AsyncPostgresWorkflowStorage,
    AsyncWorkflow,
    Compensation,
    Context,
    Event,
    Fallback,
    Hooks,
    Idempotency,
    Outcome,
    PgQueue,
    PostgresWorkflowStorage,
    Retry,
    Undone,
    Workflow,
    WorkflowStatus,
    async_workflow,
    workflow,
)
from promin_postgres.workflow.handle import AsyncRunHandle, RunHandle


def work(ctx: Context) -> int:
    assert_type(ctx.attempt, int)
    assert_type(ctx.deps, dict[str, Any])
    assert_type(ctx.index, int | None)
    return len(ctx.input)


async def async_work(ctx: Context) -> int:
    return len(ctx.input)


def report(undone: Undone) -> None:
    assert_type(undone.steps, tuple[str, ...])


def hear(event: Event) -> None:
    assert_type(event.step_name, str | None)


def policies(storage: PostgresWorkflowStorage, sink: PgQueue[dict[str, Any]]) -> Workflow:
    workflow("w", storage=storage, retry=3)  # type: ignore[arg-type]
    workflow("w", storage=storage, idempotency=Idempotency(on_in_flight="wait"))  # type: ignore[arg-type]
    return workflow(
        "w",
        storage=storage,
        retry=Retry(max_attempts=3),
        compensate=Compensation(trigger="immediate", retry=Retry(), on_complete=report),
        dlq=sink,
        idempotency=Idempotency(ttl=timedelta(days=1), failure_ttl=60, on_in_flight="reject", on_expiry="replay"),
        deadline=timedelta(hours=1),
        hooks=Hooks(on_step_start=hear),
    )


def kinds(made: Workflow) -> None:
    built = (
        made.step("a", work, on_failure=Fallback(0), compensate=work, transactional=True, retry_if=lambda error: True)
        .map_over("m", work, over="a", concurrency=4)
        .branch("b", condition=work, if_true=work, if_false=work)
        .parallel("p", {"left": work, "right": work}, on_failure="skip")
        .sleep("s", 60)
        .sleep("t", until=datetime(2030, 1, 1, tzinfo=UTC))
        .wait_for_signal("g", signal="go", timeout=timedelta(days=1), on_timeout=Fallback(None))
        .subworkflow("c", made.step("x", work), input={"a": 1}, workflow_id=lambda ctx: ctx.workflow_id + "/c")
    )
    assert_type(built, Workflow)
    made.step("a", work, on_failure="explode")  # type: ignore[arg-type]
    made.step("a", "no function")  # type: ignore[arg-type]
    made.sleep("s", "soon")  # type: ignore[arg-type]
    made.map_over("m", work)  # type: ignore[call-arg]
    assert_type(built.run_safe(workflow_id="w", wait=5), Outcome)
    assert_type(built.run_safe(workflow_id="w").status, WorkflowStatus)
    assert_type(built.start(workflow_id="w"), RunHandle)
    assert_type(built.fork("w", from_step="b", new_workflow_id="v"), RunHandle)


async def async_kinds(storage: AsyncPostgresWorkflowStorage, sink: AsyncPgQueue[Any]) -> None:
    built = async_workflow("w", storage=storage, dlq=sink).step("a", async_work).map_over("m", work, over="a")
    assert_type(built, AsyncWorkflow)
    assert_type(await built.run_safe(workflow_id="w"), Outcome)
    await built.resume(workflow_id="w", wait=1)
    assert_type(await built.fork("w", from_step="b", new_workflow_id="v"), AsyncRunHandle)
