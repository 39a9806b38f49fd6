"""The step queue: tasks of workflows that workers claim, by policies of fairness."""

from promin_postgres.steps._async import AsyncPgStepQueue
from promin_postgres.steps._records import Completed, Failed, Fairness, NewTask, QueueCounts, StepTask, TaskRecord
from promin_postgres.steps._sync import PgStepQueue

__all__ = [
    "AsyncPgStepQueue",
    "Completed",
    "Failed",
    "Fairness",
    "NewTask",
    "PgStepQueue",
    "QueueCounts",
    "StepTask",
    "TaskRecord",
]
