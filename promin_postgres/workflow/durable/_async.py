"""AsyncDurable: a workflow that is written as a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from promin_postgres._retry import Retry
from promin_postgres._time import Seconds
from promin_postgres.lookups import StepType
from promin_postgres.streams import AsyncSinkable
from promin_postgres.workflow.definition import ROOT, Conduct, Definition, Drawn, Hooks, Idempotency
from promin_postgres.workflow.durable._async_body import AsyncBody
from promin_postgres.workflow.durable._async_context import AsyncDurableContext
from promin_postgres.workflow.durable._calls import AsyncWritten, async_check_durable
from promin_postgres.workflow.runner._async_runnable import AsyncRunnable
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage


def async_durable(
    name: str,
    *,
    storage: AsyncPostgresWorkflowStorage,
    type: str | None = None,  # noqa: A002 - the word of the public API
    version: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    retry: Retry | None = None,
    dlq: AsyncSinkable[Any] | None = None,
    idempotency: Idempotency | None = None,
    deadline: Seconds | None = None,
    hooks: Hooks | None = None,
    queue: str = "default",
    priority: int = 5,
) -> Callable[[AsyncWritten[AsyncDurableContext]], AsyncDurable]:
    """Make a workflow of a function `async def f(ctx, input)`, whose result is that of the workflow.

    The function is called again from its beginning whenever its run goes on: after a crash, a wait, a failure. Steps
    that it asked for before are not executed again, and give what is recorded of them, results and errors.

    Args:
        name: 1 to 255 characters.
        storage: Where its runs are recorded.
        version: The version of this function. A run that was begun with another version goes on with this one and the
            steps that it has completed. With the same version the function must ask for what is recorded: when it asks
            for a new step while others that it had asked for are recorded, for a step of another kind, or returns
            without having asked for all, DefinitionChanged is raised and names the steps.
        type, metadata, retry, dlq, idempotency, deadline, hooks: As of a workflow that is built step by step. A retry
            calls the function again and executes anew the steps whose failure it did not deal with.
        queue: On workers: the queue of its task.
        priority: On workers: 0 to 10, the higher the sooner.

    Raises:
        InvalidArgument: A malformed argument; or what is decorated is not a coroutine function of two arguments.
    """
    conduct = Conduct(queue=queue, priority=priority)

    def decorate(function: AsyncWritten[AsyncDurableContext]) -> AsyncDurable:
        async_check_durable(function)
        definition = Definition(
            name=name,
            type=type,
            version=version,
            metadata=metadata,
            retry=retry,
            dlq=dlq,
            idempotency=idempotency,
            deadline=deadline,
            hooks=Hooks() if hooks is None else hooks,
            steps=MappingProxyType({ROOT: conduct.of(ROOT, StepType.STEP, function=AsyncBody(function))}),
        )
        return AsyncDurable(definition=definition, storage=storage)

    return decorate


class AsyncDurable(AsyncRunnable, Drawn):
    """A workflow that is a function, and the storage of its runs. Safe to share and to run concurrently."""
