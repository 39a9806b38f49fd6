# Generated from _async_begin.py by tools/twins.py. Do not edit: edit that and generate again.
"""Runs that workers drive, begun."""

from __future__ import annotations

from typing import Any

from promin_postgres.errors import InvalidArgument
from promin_postgres.workflow.definition import Definition, specs
from promin_postgres.workflow.storage import PostgresWorkflowStorage


def begin(
    definition: Definition,
    storage: PostgresWorkflowStorage,
    *,
    workflow_id: str,
    input: Any,  # noqa: A002 - the word of the public API
    queue: str = "default",
    parent_workflow_id: str | None = None,
    parent_step: str | None = None,
    connection: Any = None,
) -> None:
    """Begin a run that workers drive, unless there is one of that id."""
    definition.check()
    has_begun = storage.start_run(
        workflow_id,
        workflow_name=definition.name,
        steps=specs(definition, queue=queue),
        workflow_type=definition.type,
        version=definition.version,
        parent_workflow_id=parent_workflow_id,
        parent_step=parent_step,
        input=input,
        metadata=definition.metadata,
        deadline=definition.deadline,
        ends_in_task=definition.ends_in_code,
        connection=connection,
    )
    if not has_begun:
        state = storage.load_workflow(workflow_id, connection=connection)
        if state is not None and state.workflow_name != definition.name:
            raise InvalidArgument("workflow_id", workflow_id, f"is a run of workflow {state.workflow_name!r}")
