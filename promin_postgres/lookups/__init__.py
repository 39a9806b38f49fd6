"""Lookups: small integers in rows, names in the code, both in tables of the database."""

from promin_postgres.lookups._async import async_seed_lookups, async_validate_lookups
from promin_postgres.lookups._builtin import AttemptType, StepStatus, StepType, TaskStatus, WorkflowStatus
from promin_postgres.lookups._records import BUILTIN_LOOKUPS, Lookup, define_lookup
from promin_postgres.lookups._sync import seed_lookups, validate_lookups

__all__ = [
    "BUILTIN_LOOKUPS",
    "AttemptType",
    "Lookup",
    "StepStatus",
    "StepType",
    "TaskStatus",
    "WorkflowStatus",
    "async_seed_lookups",
    "async_validate_lookups",
    "define_lookup",
    "seed_lookups",
    "validate_lookups",
]
