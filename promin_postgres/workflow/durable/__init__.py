"""Workflows that are written as functions."""

from promin_postgres.workflow.durable._async import AsyncDurable, async_durable
from promin_postgres.workflow.durable._async_context import AsyncDurableContext
from promin_postgres.workflow.durable._sync import Durable, durable
from promin_postgres.workflow.durable._sync_context import DurableContext

__all__ = ["AsyncDurable", "AsyncDurableContext", "Durable", "DurableContext", "async_durable", "durable"]
