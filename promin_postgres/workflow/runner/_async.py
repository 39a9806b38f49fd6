"""AsyncWorkflow: write a workflow down, then run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from promin_postgres._retry import Retry
from promin_postgres._time import Seconds
from promin_postgres.streams import AsyncSinkable
from promin_postgres.workflow.definition import Compensation, Definition, Hooks, Idempotency
from promin_postgres.workflow.runner._async_builder import AsyncBuilder
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage


def async_workflow(
    name: str,
    *,
    storage: AsyncPostgresWorkflowStorage,
    type: str | None = None,  # noqa: A002 - the word of the public API
    version: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    max_concurrency: int = 16,
    retry: Retry | None = None,
    compensate: Compensation | None = None,
    dlq: AsyncSinkable[Any] | None = None,
    idempotency: Idempotency | None = None,
    deadline: Seconds | None = None,
    hooks: Hooks | None = None,
) -> AsyncWorkflow:
    """Begin to write a workflow down; `.step` and its like add to it and `.run` runs it.

    Args:
        name: 1 to 255 characters.
        storage: Where its runs are recorded.
        type: A kind to list workflows by.
        version: The version of this definition. A run that was begun with another version goes on with this one; the
            same version with other steps is refused.
        metadata: Anything JSON can carry, recorded with each run.
        max_concurrency: Steps of one run that execute at the same time; at least 1.
        retry: How often a run in which a step failed for good goes on from that step by itself; None is never.
        compensate: How the completed steps of a failed run that have a `compensate` are undone.
        dlq: Where a run that failed is published, after it was undone: a dict of workflow_id, workflow_name, run,
            input, error and metadata.
        idempotency: What a second `run` with the same id comes to. None: a completed run is answered with its result, a
            failed one goes on, one that is driven elsewhere is refused.
        deadline: Seconds, or a timedelta, from the beginning of the run until when it must have ended; it fails then.
        hooks: Functions that hear of what happens.

    Raises:
        InvalidArgument: A malformed name or number, or a policy of another class.
    """
    return AsyncWorkflow(
        definition=Definition(
            name=name,
            type=type,
            version=version,
            metadata=metadata,
            retry=retry,
            compensate=Compensation() if compensate is None else compensate,
            dlq=dlq,
            idempotency=idempotency,
            deadline=deadline,
            hooks=Hooks() if hooks is None else hooks,
        ),
        storage=storage,
        max_concurrency=max_concurrency,
    )


@attrs.frozen(kw_only=True)
class AsyncWorkflow(AsyncBuilder):
    """A workflow written down, and the storage of its runs. Never changes; safe to share and to run concurrently."""
