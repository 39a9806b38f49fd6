# Generated from _async_execute.py by tools/twins.py. Do not edit: edit that and generate again.
"""StepRunner: executes one step of any kind once, for every driver."""

from __future__ import annotations

from typing import Any, Protocol

from promin_postgres._arguments import check_text
from promin_postgres._error_record import ErrorRecord
from promin_postgres._wait import call
from promin_postgres.codec import Encoded
from promin_postgres.errors import (
    CodecError,
    ConfigurationError,
    InvalidArgument,
    StepFailed,
    WorkflowCancelled,
    WorkflowError,
    shown,
)
from promin_postgres.lookups import StepType, WorkflowStatus
from promin_postgres.workflow.definition import (
    Child,
    Context,
    Definition,
    Event,
    Fallback,
    Function,
    FunctionBody,
    Step,
)
from promin_postgres.workflow.runner._sync_elements import ElementRun
from promin_postgres.workflow.runner._sync_hooks import fire
from promin_postgres.workflow.runner._records import Broken, Done, Raised, Verdict, Waits
from promin_postgres.workflow.runner._rules import may_be_retried
from promin_postgres.workflow.storage import PostgresWorkflowStorage, Lease, RunRecord


class Commit(Protocol):
    """Writes the checkpoint of a transactional step on a connection, and raises if it must not be committed."""

    def __call__(self, connection: Any, done: Done) -> None: ...


class Launch(Protocol):
    """Begins, or goes on with, the run of a sub-workflow. None: it has ended; else what the step waits for.

    An exception is the failure of that run.
    """

    def __call__(self, child: Child, workflow_id: str, given: Encoded, context: Context) -> Waits | None: ...


class StepRunner:
    """Executes steps of one definition, each call one of them, once.

    It writes what a step consists of (elements, decisions), but never the checkpoint of the step itself: that is for
    the driver, who knows how.
    """

    def __init__(self, storage: PostgresWorkflowStorage, definition: Definition) -> None:
        self.storage = storage
        self.definition = definition

    def execute(
        self,
        step: Step,
        context: Context,
        *,
        lease: Lease,
        tries: int,
        waited: bool = False,
        commit: Commit | None = None,
        launch: Launch | None = None,
    ) -> Verdict:
        """Execute a step, of the definition or any other.

        Args:
            lease: What everything written is fenced by.
            tries: How many attempts count against the retry policy, this one included.
            waited: What the step waited for is due: the moment has come, or the time for the signal is over.
            commit: For transactional steps.
            launch: For sub-workflows.

        Raises:
            LeaseLost, WorkflowCancelled: What came of the step does not count any more.
        """
        if self.definition.hooks.on_step_start is not None:
            fire(
                self.definition.hooks.on_step_start,
                Event(
                    workflow_id=context.workflow_id,
                    workflow_name=self.definition.name,
                    step_name=step.name,
                    attempt=context.attempt,
                ),
            )
        try:
            match step.kind:
                case StepType.STEP:
                    return self._function(step, context, lease, commit, launch)
                case StepType.MAP:
                    return ElementRun(self.storage, step, context, lease).map()
                case StepType.PARALLEL:
                    return ElementRun(self.storage, step, context, lease).parallel()
                case StepType.BRANCH:
                    return self._branch(step, context, lease)
                case StepType.SLEEP:
                    return self._sleep(step, waited)
                case StepType.SIGNAL:
                    return self._signal(step, context, lease, waited)
                case StepType.SUBWORKFLOW:
                    return self._child(step, context, lease, waited, launch)
        except Raised as raised:
            return self._broken(step, context, raised, tries)

    def give_up(self, step: Step, context: Context, error: Exception) -> Done | Broken:
        """What becomes of a step that has failed for good, by its `on_failure`."""
        return self._give_up(step, context, Raised(error))

    def _give_up(self, step: Step, context: Context, raised: Raised) -> Done | Broken:
        record = ErrorRecord.of(raised.error)
        if step.on_failure == "skip":
            return Done(None, skipped=True, error=record)
        if isinstance(step.on_failure, Fallback):
            try:
                value = step.on_failure.value
                if callable(value):
                    value = self._call(step, value, context.again(error=raised.error))
                return Done(_encoded(value, step, "fallback"), error=record)
            except Raised as another:
                return Broken(ErrorRecord.of(another.error), _failure(step, context, another), None)
        return Broken(record, _failure(step, context, raised), None)

    def _broken(self, step: Step, context: Context, raised: Raised, tries: int) -> Done | Broken:
        if not raised.final and step.retry.allows_another(tries) and may_be_retried(step, raised.error):
            record = ErrorRecord.of(raised.error)
            return Broken(record, _failure(step, context, raised), step.retry.pause(tries))
        return self._give_up(step, context, raised)

    def _call(self, step: Step, function: Function, context: Context) -> Any:
        try:
            return call(function, context, timeout=step.timeout, on_timeout=context.time_out)
        except Exception as error:
            raise Raised(error) from error

    def _function(
        self, step: Step, context: Context, lease: Lease, commit: Commit | None, launch: Launch | None
    ) -> Verdict:
        assert step.function is not None
        if isinstance(step.function, FunctionBody):
            verdict: Verdict = step.function.execute(runner=self, context=context, lease=lease, launch=launch)
            return verdict
        if step.transactional:
            assert commit is not None
            return self._transaction(step, step.function, context, commit)
        return Done(_encoded(self._call(step, step.function, context), step))

    def _transaction(self, step: Step, function: Function, context: Context, commit: Commit) -> Done:
        """The function and the checkpoint in one transaction: both are there, or neither."""
        db = self.storage.db
        if step.timeout is not None and db.is_connection:
            raise Raised(ConfigurationError("a transactional step with a timeout needs a pool"), final=True)
        came: Done | Exception
        with db.connection() as connection:
            try:
                with connection.transaction():
                    context.connection = connection
                    came = Done(_encoded(self._call(step, function, context), step), recorded=True)
                    commit(connection, came)
            except Exception as error:  # noqa: BLE001 - raised in the block it would cost the connection its statements
                came = error
            if context.timed_out:
                # The function may still be at work in its thread: nothing that it sends may find a transaction open,
                # and none but this connection may be there for it.
                connection.cancel_safe()
                with connection.lock:
                    connection.close()
        if isinstance(came, Exception):
            raise came
        return came

    def _branch(self, step: Step, context: Context, lease: Lease) -> Done:
        branch = step.branch
        assert branch is not None
        found = "true" if self._call(step, branch.condition, context) else "false"
        decided = self.storage.decide(context.workflow_id, step.name, Encoded(found), lease=lease)
        function = branch.if_true if decided.value() else branch.if_false
        return Done(None if function is None else _encoded(self._call(step, function, context), step))

    def _sleep(self, step: Step, waited: bool) -> Verdict:
        pause = step.pause
        assert pause is not None
        return Done(None) if waited else Waits(until=pause.seconds if pause.until is None else pause.until)

    def _signal(self, step: Step, context: Context, lease: Lease, waited: bool) -> Verdict:
        wait = step.signal
        assert wait is not None
        taken = self.storage.take_signal(context.workflow_id, step.name, wait.signal, lease=lease)
        if taken is not None:
            return Done(taken.text)
        if waited:
            raise Raised(TimeoutError(f"no signal {wait.signal!r} within {wait.timeout:g} seconds"), final=True)
        return Waits(signal=wait.signal, timeout=wait.timeout)

    def _child(
        self, step: Step, context: Context, lease: Lease, waited: bool, launch: Launch | None
    ) -> Verdict:
        child = step.child
        assert child is not None
        workflow_id = self._child_id(step, child, context, lease)
        run = self.storage.load_run(workflow_id, steps=False)
        if run is not None and run.workflow_name != child.definition.name:
            wrong = InvalidArgument("workflow_id", workflow_id, f"is a run of workflow {run.workflow_name!r}")
            raise Raised(wrong, final=True)
        if run is None or not run.status.is_final or (run.status is WorkflowStatus.FAILED and not waited):
            given = self._call(step, child.input, context) if callable(child.input) else child.input
            try:
                encoded = Encoded.of(given, subject=f"input of step {step.name!r}")
                assert launch is not None
                waits = launch(child, workflow_id, encoded, context)
            except (WorkflowError, CodecError) as error:
                raise Raised(error, final=True) from error
            if waits is not None:
                return waits
            run = self.storage.load_run(workflow_id, steps=False)
        return _result_of(workflow_id, run)

    def _child_id(self, step: Step, child: Child, context: Context, lease: Lease) -> str:
        if child.workflow_id is None:
            again = "" if context.run == 1 else f"#{context.run}"
            return f"{context.workflow_id}/{step.name}{again}"
        if not callable(child.workflow_id):
            return child.workflow_id
        try:
            found = check_text("workflow_id", self._call(step, child.workflow_id, context))
        except ValueError as error:
            raise Raised(error, final=True) from error
        # Recorded, because another attempt may compute another one: it would begin another run.
        encoded = Encoded.of(found, subject=f"workflow id of step {step.name!r}")
        return str((self.storage.decide(context.workflow_id, step.name, encoded, lease=lease)).value())


def _result_of(workflow_id: str, run: RunRecord | None) -> Done:
    if run is not None and run.status is WorkflowStatus.COMPLETED:
        return Done(run.result.text)
    if run is not None and run.status is WorkflowStatus.CANCELLED:
        raise Raised(WorkflowCancelled(workflow_id=workflow_id), final=True)
    error = None if run is None else run.error
    why = "is gone" if error is None else f"failed: {error.error_type}: {error.message}"
    raise Raised(WorkflowError(f"workflow {shown(workflow_id)} {why}", workflow_id=workflow_id), final=True)


def _encoded(value: Any, step: Step, what: str = "") -> str | None:
    """A value as text. The same value would come out once more: one that does not encode is final."""
    try:
        return Encoded.text_of(value, subject=f"{what} of step {step.name!r}" if what else f"step {step.name!r}")
    except CodecError as error:
        raise Raised(error, final=True) from error


def _failure(step: Step, context: Context, raised: Raised) -> Exception:
    """What `run` raises. A value that does not encode speaks for itself: it names the step and the path."""
    error = raised.error
    if raised.final and isinstance(error, CodecError):
        return error
    record = ErrorRecord.of(error)
    failure = StepFailed(
        workflow_id=context.workflow_id,
        step_name=step.name,
        error_type=record.error_type,
        error_message=f"{raised.where}: {record.message}" if raised.where else record.message,
        traceback=record.traceback,
        attempt=context.attempt,
    )
    failure.__cause__ = error
    return failure
