"""Every error that promin_postgres raises of its own.

ProminError
├── InvalidArgument (also ValueError)      a bad argument; names it and shows its value
├── ConfigurationError                     the set-up cannot work as it stands
│   └── ServerNotFound                     no PostgreSQL for development and tests
├── MigrationError                         the schema is not what the code expects
├── LookupMismatch                         lookup rows differ from the code
├── LeaseLost                              the write came too late: somebody else holds the lease
├── NotFound (also LookupError)            no such workflow, step, task, message, schedule
├── AlreadyExists                          the id is taken
├── CursorInvalid                          a saved position of a change stream leads nowhere here
├── CodecError (also ValueError)           a value does not encode or decode; names the path
├── NonRetryable                           raised by a step: no other attempt would help
└── WorkflowError
    ├── StepFailed                         a step failed for good
    ├── WorkflowSuspended                  the run waits for a moment or a signal
    ├── WorkflowCancelled                  the run was cancelled
    ├── DeadlineExceeded                   the run was not over in time
    ├── WorkflowInFlight                   another process is driving this run now
    └── DefinitionChanged                  the recorded definition is not the one at hand

`psycopg.Error` is never wrapped: callers need its SQLSTATE.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any


class ProminError(Exception):
    """The base of all errors below. All of them survive pickling, and so the way out of a process pool."""

    def __reduce__(self) -> tuple[Any, ...]:
        # What Exception does by itself calls the class with `args`, which are those of the base class, not of __init__.
        return _restored, (type(self), self.args), self.__dict__


def _restored(kind: type[ProminError], args: tuple[Any, ...]) -> ProminError:
    return kind.__new__(kind, *args)


_SHOWN = 200


def shown(value: object) -> str:
    """`repr(value)`, cut so that a hostile argument cannot flood a log."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


class InvalidArgument(ProminError, ValueError):
    """A bad argument, refused before anything was written."""

    def __init__(self, argument: str, value: object, problem: str) -> None:
        super().__init__(f"{argument}={shown(value)}: {problem}")
        self.argument = argument
        self.value = value
        self.problem = problem


class ConfigurationError(ProminError):
    """The set-up cannot work as it stands; the message says what to change."""


class ServerNotFound(ConfigurationError):
    """No PostgreSQL for development and tests: lists what was tried and how to mend each."""


class MigrationError(ProminError):
    """The schema is not what the code expects; the message names the version and the mend."""

    def __init__(self, message: str, *, version: int | None = None) -> None:
        super().__init__(message)
        self.version = version


class LookupMismatch(ProminError):
    """The rows of lookup tables differ from the code; `differences` holds every one of them."""

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__("lookup tables differ from the code:\n" + "\n".join(f"  - {line}" for line in differences))
        self.differences = tuple(differences)


class LeaseLost(ProminError):
    """The write was refused: the lease it was made under is not held any more."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"the lease on {subject} was lost: another holder may have it; nothing was written")
        self.subject = subject


class NotFound(ProminError, LookupError):
    """There is no such thing."""

    def __init__(self, kind: str, identity: object) -> None:
        super().__init__(f"no such {kind}: {shown(identity)}")
        self.kind = kind
        self.identity = identity


class AlreadyExists(ProminError):
    """The id is taken."""

    def __init__(self, kind: str, identity: object) -> None:
        super().__init__(f"{kind} exists already: {shown(identity)}")
        self.kind = kind
        self.identity = identity


class CodecError(ProminError, ValueError):
    """A value does not encode or a stored one does not decode.

    `path` leads to the fault inside the value, as in `$.items[3].price`.
    """

    def __init__(self, problem: str, *, path: str = "$", subject: str | None = None) -> None:
        where = f"{subject}: " if subject else ""
        super().__init__(f"{where}{path}: {problem}")
        self.problem = problem
        self.path = path
        self.subject = subject


class NonRetryable(ProminError):
    """Raise it, or a class of your own under it, in a step for which no other attempt would help."""


class CursorInvalid(ProminError):
    """A saved position of a change stream cannot be read on from: what lies between would be skipped."""

    def __init__(self, cursor: str, problem: str) -> None:
        super().__init__(f"the cursor {shown(cursor)} is not valid: {problem}")
        self.cursor = cursor
        self.problem = problem


class WorkflowError(ProminError):
    """Something about one run; `workflow_id` says of which workflow."""

    def __init__(self, message: str, *, workflow_id: str) -> None:
        super().__init__(message)
        self.workflow_id = workflow_id


class StepFailed(WorkflowError):
    """A step failed for good. `__cause__` is its exception when it was raised in this process."""

    def __init__(
        self,
        *,
        workflow_id: str,
        step_name: str,
        error_type: str,
        error_message: str,
        traceback: str | None = None,
        attempt: int = 1,
    ) -> None:
        super().__init__(
            f"step {shown(step_name)} of workflow {shown(workflow_id)} failed in attempt {attempt}: "
            f"{error_type}: {error_message}",
            workflow_id=workflow_id,
        )
        self.step_name = step_name
        self.error_type = error_type
        self.error_message = error_message
        self.traceback = traceback
        self.attempt = attempt


class WorkflowSuspended(WorkflowError):
    """The run waits: until a moment (`until`), for a signal (`signal`), or for another run to end (`child`)."""

    def __init__(
        self, *, workflow_id: str, until: datetime | None = None, signal: str | None = None, child: str | None = None
    ) -> None:
        waits = [
            *([f"signal {shown(signal)}"] if signal is not None else []),
            *([f"workflow {shown(child)}"] if child is not None else []),
            *([f"{until}"] if until is not None else []),
        ]
        super().__init__(
            f"workflow {shown(workflow_id)} is suspended, waiting for {' or '.join(waits)}", workflow_id=workflow_id
        )
        self.until = until
        self.signal = signal
        self.child = child


class WorkflowCancelled(WorkflowError):
    """The run was cancelled."""

    def __init__(self, *, workflow_id: str) -> None:
        super().__init__(f"workflow {shown(workflow_id)} was cancelled", workflow_id=workflow_id)


class DeadlineExceeded(WorkflowError):
    """The run was not over by its deadline, and failed."""

    def __init__(self, *, workflow_id: str) -> None:
        super().__init__(f"workflow {shown(workflow_id)} was not over by its deadline", workflow_id=workflow_id)


class WorkflowInFlight(WorkflowError):
    """Another process, or another thread of this one, is driving this run now."""

    def __init__(self, *, workflow_id: str) -> None:
        super().__init__(f"workflow {shown(workflow_id)} is being run elsewhere", workflow_id=workflow_id)


class DefinitionChanged(WorkflowError):
    """The recorded definition is not the one at hand; `steps` names the steps that differ."""

    def __init__(self, *, workflow_id: str, differences: Sequence[str], steps: Sequence[str]) -> None:
        super().__init__(
            f"the definition of workflow {shown(workflow_id)} changed since its run began "
            f"(give the new definition another version): {'; '.join(differences)}",
            workflow_id=workflow_id,
        )
        self.differences = tuple(differences)
        self.steps = tuple(steps)
