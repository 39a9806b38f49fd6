"""Streams into runs of workflows."""

from promin_postgres.workflow.trigger._async import async_trigger
from promin_postgres.workflow.trigger._records import WorkflowResult
from promin_postgres.workflow.trigger._sync import trigger

__all__ = ["WorkflowResult", "async_trigger", "trigger"]
