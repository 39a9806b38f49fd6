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
from promin_postgres.workflow.durable import (
    AsyncDurable,
    AsyncDurableContext,
    Durable,
    DurableContext,
    async_durable,
    durable,
)
from promin_postgres.workflow.handle import AsyncRunHandle, RunHandle
from promin_postgres.workflow.registry import AsyncWorkflowRegistry, WorkflowRegistry
from promin_postgres.workflow.runner import AsyncWorkflow, Outcome, Workflow, async_workflow, workflow
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, PostgresWorkflowStorage
from promin_postgres.workflow.trigger import WorkflowResult, async_trigger, trigger

__all__ = [
    "AsyncDurable",
    "AsyncDurableContext",
    "AsyncPostgresWorkflowStorage",
    "AsyncRunHandle",
    "AsyncWorkflow",
    "AsyncWorkflowRegistry",
    "Compensation",
    "Context",
    "Definition",
    "Durable",
    "DurableContext",
    "Event",
    "Fallback",
    "Hooks",
    "Idempotency",
    "Outcome",
    "PostgresWorkflowStorage",
    "RunHandle",
    "Step",
    "Undone",
    "Workflow",
    "WorkflowRegistry",
    "WorkflowResult",
    "async_durable",
    "async_trigger",
    "async_workflow",
    "durable",
    "trigger",
    "workflow",
]
