# Generated from _async_ending.py by tools/twins.py. Do not edit: edit that and generate again.
"""Ending: how a run ends, for every driver."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from promin_postgres._error_record import ErrorRecord
from promin_postgres._wait import call
from promin_postgres.codec import Encoded
from promin_postgres.errors import DeadlineExceeded, WorkflowCancelled, WorkflowError, shown
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow.definition import Context, Definition, Event, Fate, Undone
from promin_postgres.workflow.runner._sync_hooks import fire
from promin_postgres.workflow.storage import PostgresWorkflowStorage, Lease, RunRecord, UndoingRecord

_LOG = logging.getLogger(__name__)


class Ending:
    """The end of one run. Where it stands is recorded, so that whoever takes the run up goes on from there."""

    def __init__(
        self, storage: PostgresWorkflowStorage, definition: Definition, *, lease: Lease, run: RunRecord
    ) -> None:
        self._storage = storage
        self._definition = definition
        self._lease = lease
        self._run = run

    def retry_in(self, error: BaseException, retries: int) -> float | None:
        """Seconds after which a run that failed is to go on where it failed; None when it is to fail.

        Args:
            retries: How often it did so already.
        """
        policy = self._definition
        if isinstance(error, DeadlineExceeded) or not policy.retry.allows_another(retries + 1):
            return None
        if policy.compensates and policy.compensate.trigger == "immediate":
            return None
        return policy.retry.pause(retries + 1)

    def complete(self, known: Mapping[str, Encoded] | None = None, *, is_recorded: bool = False) -> Encoded:
        """Record the result of the run, and give it back.

        Args:
            known: Results of steps that need not be loaded.
            is_recorded: It was, together with the last step.
        """
        workflow_id, terminal = self._run.workflow_id, self._definition.terminal
        results = dict(known or {})
        if missing := [name for name in terminal if name not in results]:
            results |= self._storage.load_results(workflow_id, missing)
        if len(terminal) == 1:
            result = results[terminal[0]]
        else:
            members = (f"{json.dumps(name)}:{results[name].text or 'null'}" for name in terminal)
            result = Encoded("{" + ",".join(members) + "}")
        if not is_recorded:
            self._storage.complete_workflow(workflow_id, result, lease=self._lease)
        if self._definition.hooks.on_workflow_complete is not None:
            fire(self._definition.hooks.on_workflow_complete, self._event(result=result.value()))
        return result

    def fail(self, error: BaseException | ErrorRecord) -> float | None:
        """Undo what the run has done, publish it to the dead-letter sink, and record that it failed.

        Returns:
            None when it has ended. A number: a compensation failed and is to be tried again after so many seconds, by
            calling this once more.
        """
        record = ErrorRecord.of(error)
        if self._definition.compensates:
            pause = self._undo(record)
            if pause is not None:
                return pause
        if self._definition.dlq is not None:
            self._publish(record)
        self._storage.fail_workflow(self._run.workflow_id, record, lease=self._lease)
        if self._definition.hooks.on_workflow_failure is not None:
            raised = error if isinstance(error, BaseException) else failure_of(self._run.workflow_id, error)
            fire(self._definition.hooks.on_workflow_failure, self._event(error=raised))
        return None

    def _undo(self, error: ErrorRecord) -> float | None:
        policy, workflow_id = self._definition.compensate, self._run.workflow_id
        self._storage.begin_compensating(workflow_id, error, lease=self._lease)
        undone, failures = [], {}
        names = [step.name for step in self._definition.steps.values() if step.compensate is not None]
        for record in self._storage.load_undoing(workflow_id, names):
            tries = record.tries
            if record.status is StepStatus.COMPLETED and (tries == 0 or policy.retry.allows_another(tries)):
                failure = self._undo_step(record, error)
                if failure is not None and policy.retry.allows_another(tries + 1):
                    return policy.retry.pause(tries + 1)
                record_error = None if failure is None else ErrorRecord.of(failure)
            else:
                record_error = record.error if record.status is StepStatus.COMPLETED else None
            if record_error is None:
                undone.append(record.step_name)
            else:
                failures[record.step_name] = record_error
        if policy.on_complete is not None:
            report = Undone(workflow_id=workflow_id, steps=tuple(undone), failures=failures, error=error)
            self._tell(policy.on_complete, report)
        return None

    def _undo_step(self, record: UndoingRecord, error: ErrorRecord) -> Exception | None:
        """Call the compensation of a step once; returns what it raised."""
        workflow_id, name = self._run.workflow_id, record.step_name
        compensate = self._definition.steps[name].compensate
        assert compensate is not None
        results = self._storage.load_results(workflow_id, [name])
        context = Context(
            workflow_id=workflow_id,
            step_name=name,
            attempt=record.attempts + 1,
            input=self._run.input,
            deps={},
            fate=Fate(lambda: self._storage.holds(self._lease)),
            run=self._run.run,
        ).again(result=results[name], error=error)
        started, failure = time.monotonic(), None
        try:
            call(compensate, context, timeout=None, on_timeout=context.time_out)
        except Exception as raised:  # noqa: BLE001 - a user's function may raise anything
            _LOG.warning("undoing step %r of workflow %s failed", name, shown(workflow_id), exc_info=True)
            failure = raised
        status = self._storage.save_undoing(
            workflow_id,
            name,
            attempt=record.attempts + 1,
            error=failure,
            duration=time.monotonic() - started,
            lease=self._lease,
        )
        if status is WorkflowStatus.CANCELLED:
            raise WorkflowCancelled(workflow_id=workflow_id)
        return failure

    def _publish(self, error: ErrorRecord) -> None:
        run = self._run
        letter = {
            "workflow_id": run.workflow_id,
            "workflow_name": run.workflow_name,
            "run": run.run,
            "input": run.input.value(),
            "error": {"type": error.error_type, "message": error.message, "traceback": error.traceback},
            "metadata": run.metadata.value(),
        }
        self._tell(self._definition.dlq.publish, letter)

    def _tell(self, function: Any, value: Any) -> None:
        """Call what a failing run reports to. If it raises, that is logged: the run fails all the same."""
        try:
            call(function, value, timeout=None, on_timeout=_nothing)
        except Exception:  # noqa: BLE001 - a user's function may raise anything
            _LOG.exception("%r was not told of the failure of workflow %s", function, shown(self._run.workflow_id))

    def _event(self, **fields: Any) -> Event:
        return Event(workflow_id=self._run.workflow_id, workflow_name=self._run.workflow_name, final=True, **fields)


def failure_of(workflow_id: str, error: ErrorRecord) -> WorkflowError:
    """The error of a run that failed in another process."""
    return WorkflowError(
        f"workflow {shown(workflow_id)} failed: {error.error_type}: {error.message}", workflow_id=workflow_id
    )


def _nothing() -> None: ...
