"""Runs by their ids, and definitions by their names and versions."""

from promin_postgres.workflow.handle._async import AsyncRunHandle
from promin_postgres.workflow.handle._failure import failure_of
from promin_postgres.workflow.handle._sync import RunHandle

__all__ = ["AsyncRunHandle", "RunHandle", "failure_of"]
