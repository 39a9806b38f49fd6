"""What is durable about workflows, and the leases under which it is written."""

from promin_postgres._error_record import ErrorRecord
from promin_postgres.workflow.storage._async import AsyncPostgresWorkflowStorage
from promin_postgres.workflow.storage._driving import (
    RunRecord,
    StepRecord,
    TaskOutcome,
    TaskRecord,
    UndoingRecord,
    WaitRecord,
)
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
    "RunRecord",
    "StepAttempt",
    "StepInput",
    "StepRecord",
    "StepSettlement",
    "StepSpec",
    "StepState",
    "TaskHold",
    "TaskOutcome",
    "TaskRecord",
    "TaskState",
    "UndoingRecord",
    "WaitRecord",
    "WorkflowRun",
    "WorkflowSignal",
    "WorkflowState",
]
