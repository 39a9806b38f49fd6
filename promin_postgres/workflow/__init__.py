"""Workflows: steps with checkpoints, which a crash does not make run twice."""

from promin_postgres.workflow.definition import (
    Compensation,
    Context,
    Definition,
    Event,
    Fallback,
    Hooks,
    Idempotency,
    Step,
    Undone,
)
from promin_postgres.workflow.runner import AsyncWorkflow, Workflow, async_workflow, workflow
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, PostgresWorkflowStorage

__all__ = [
    "AsyncPostgresWorkflowStorage",
    "AsyncWorkflow",
    "Compensation",
    "Context",
    "Definition",
    "Event",
    "Fallback",
    "Hooks",
    "Idempotency",
    "PostgresWorkflowStorage",
    "Step",
    "Undone",
    "Workflow",
    "async_workflow",
    "workflow",
]
