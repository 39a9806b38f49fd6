"""async_trigger: a pipe from values to runs of a workflow."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from promin_postgres._arguments import check_count, check_text
from promin_postgres.errors import (
    AlreadyExists,
    CodecError,
    DefinitionChanged,
    InvalidArgument,
    LeaseLost,
    WorkflowInFlight,
    shown,
)
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.streams import AsyncEnvelope, AsyncStream
from promin_postgres.workflow.runner import AsyncRunnable
from promin_postgres.workflow.trigger._records import OnDuplicate, WorkflowResult

_LOG = logging.getLogger(__name__)


def async_trigger(
    *,
    workflow: AsyncRunnable,
    to_workflow_id: Callable[[Any], str],
    to_input: Callable[[Any], Any] | None = None,
    concurrency: int = 1,
    on_duplicate: OnDuplicate = "skip",
) -> Callable[[AsyncStream[Any]], AsyncStream[WorkflowResult]]:
    """A pipe for `stream.through` that runs a workflow for each value, in this process, and yields what came of it.

    Of a stream of envelopes the values are what is in them. An envelope is acknowledged when its run is durable: it has
    ended in any way, waits, or is driven by workers. One whose process dies before comes again, and its run goes on. It
    is given back (`nack`) when no run could be begun, and left alone, to come again when its time is over, when its run
    is being driven elsewhere. Its visibility timeout should be longer than a run takes.

    Args:
        workflow: Of either kind of writing.
        to_workflow_id: Gives the id of the run for a value.
        to_input: Gives the input for a value; by default the value itself.
        concurrency: Runs at a time; with more than one, results come as they are ready.
        on_duplicate: For a value whose run has ended before, or is being driven elsewhere: "skip" it, "fail" it with
            AlreadyExists (or WorkflowInFlight), or "run" the workflow afresh, if the run has ended.

    Raises:
        InvalidArgument: Malformed, before anything is pulled.
    """
    if not isinstance(workflow, AsyncRunnable):
        raise InvalidArgument("workflow", workflow, "must be a workflow of this twin")
    for argument, function in (("to_workflow_id", to_workflow_id), ("to_input", to_input)):
        if not callable(function) and not (argument == "to_input" and function is None):
            raise InvalidArgument(argument, function, "must be a function of a value")
    if on_duplicate not in ("skip", "fail", "run"):
        raise InvalidArgument("on_duplicate", on_duplicate, "must be 'skip', 'fail' or 'run'")
    count = check_count("concurrency", concurrency, at_least=1)
    each = AsyncTrigger(workflow, to_workflow_id, to_input or (lambda value: value), on_duplicate)

    def pipe(stream: AsyncStream[Any]) -> AsyncStream[WorkflowResult]:
        return stream.map(each.take) if count == 1 else stream.par_map(each.take, concurrency=count, ordered=False)

    return pipe


class AsyncTrigger:
    """What is done with each value."""

    def __init__(
        self,
        workflow: AsyncRunnable,
        to_workflow_id: Callable[[Any], str],
        to_input: Callable[[Any], Any],
        on_duplicate: OnDuplicate,
    ) -> None:
        self._workflow = workflow
        self._to_workflow_id = to_workflow_id
        self._to_input = to_input
        self._on_duplicate = on_duplicate

    async def take(self, incoming: Any) -> WorkflowResult:
        envelope = incoming if isinstance(incoming, AsyncEnvelope) else None
        value = incoming if envelope is None else envelope.value
        workflow_id = check_text("to_workflow_id", self._to_workflow_id(value))
        try:
            result, is_durable = await self._run(workflow_id, value)
        except (InvalidArgument, CodecError, DefinitionChanged) as error:  # it was not begun, or cannot go on
            if envelope is not None:
                await envelope.nack(error=str(error))
            return WorkflowResult.failed(workflow_id, value, error)
        if envelope is not None and is_durable:
            try:
                await envelope.ack()
            except LeaseLost:
                _LOG.warning("the message of workflow %s comes again, and will be a duplicate", shown(workflow_id))
        return result

    async def _run(self, workflow_id: str, value: Any) -> tuple[WorkflowResult, bool]:
        """What came of a value, and whether that is for good."""
        workflow, afresh = self._workflow, False
        run = await workflow.storage.load_run(workflow_id, steps=False)
        if run is not None and run.status.is_final:
            afresh = self._on_duplicate == "run"
            if not afresh:
                return self._duplicate(workflow_id, value, AlreadyExists("workflow", workflow_id)), True
        try:
            outcome = await workflow.run_safe(workflow_id=workflow_id, input=self._to_input(value), force=afresh)
        except LeaseLost:
            return self._duplicate(workflow_id, value, WorkflowInFlight(workflow_id=workflow_id)), False
        if isinstance(outcome.error, WorkflowInFlight):
            return self._duplicate(workflow_id, value, outcome.error), run is not None and run.on_workers
        if outcome.status is not WorkflowStatus.COMPLETED and outcome.error is not None:
            return WorkflowResult.failed(workflow_id, value, outcome.error), True
        return WorkflowResult(workflow_id=workflow_id, value=value, status="completed", result=outcome.result), True

    def _duplicate(self, workflow_id: str, value: Any, error: Exception) -> WorkflowResult:
        if self._on_duplicate == "skip":
            return WorkflowResult(workflow_id=workflow_id, value=value, status="skipped", error=error)
        return WorkflowResult.failed(workflow_id, value, error)
