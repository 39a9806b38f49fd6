"""Workflows by their names and versions."""

from promin_postgres.workflow.registry._async import AsyncWorkflowRegistry
from promin_postgres.workflow.registry._sync import WorkflowRegistry

__all__ = ["AsyncWorkflowRegistry", "WorkflowRegistry"]
