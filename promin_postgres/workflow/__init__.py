"""Workflows: steps with checkpoints, which a crash does not make run twice."""

from promin_postgres.workflow.definition import Context, Definition, Step
from promin_postgres.workflow.runner import AsyncWorkflow, Workflow, async_workflow, workflow
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, PostgresWorkflowStorage

__all__ = [
    "AsyncPostgresWorkflowStorage",
    "AsyncWorkflow",
    "Context",
    "Definition",
    "PostgresWorkflowStorage",
    "Step",
    "Workflow",
    "async_workflow",
    "workflow",
]
