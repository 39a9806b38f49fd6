"""Runs workflows in the process that asks for it."""

from promin_postgres.workflow.runner._async import AsyncWorkflow, async_workflow
from promin_postgres.workflow.runner._sync import Workflow, workflow

__all__ = ["AsyncWorkflow", "Workflow", "async_workflow", "workflow"]
