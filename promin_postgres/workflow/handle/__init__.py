"""Runs by their ids."""

from promin_postgres.workflow.handle._async import AsyncRunHandle
from promin_postgres.workflow.handle._async_begin import async_begin
from promin_postgres.workflow.handle._failure import failure_of
from promin_postgres.workflow.handle._sync import RunHandle
from promin_postgres.workflow.handle._sync_begin import begin

__all__ = ["AsyncRunHandle", "RunHandle", "async_begin", "begin", "failure_of"]
