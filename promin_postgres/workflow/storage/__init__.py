"""What is durable about workflows, and the leases under which it is written."""

from promin_postgres._error_record import ErrorRecord
from promin_postgres.workflow.storage._async import AsyncPostgresWorkflowStorage
from promin_postgres.workflow.storage._records import (
    Lease,
    StepAttempt,
    StepInput,
    StepSettlement,
    StepSpec,
    StepState,
    TaskHold,
    TaskState,
    WorkflowRun,
    WorkflowSignal,
    WorkflowState,
)
from promin_postgres.workflow.storage._sync import PostgresWorkflowStorage

__all__ = [
    "AsyncPostgresWorkflowStorage",
    "ErrorRecord",
    "Lease",
    "PostgresWorkflowStorage",
    "StepAttempt",
    "StepInput",
    "StepSettlement",
    "StepSpec",
    "StepState",
    "TaskHold",
    "TaskState",
    "WorkflowRun",
    "WorkflowSignal",
    "WorkflowState",
]
