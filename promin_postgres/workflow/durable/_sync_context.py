# Generated from _async_context.py by tools/twins.py. Do not edit: edit that and generate again.
"""DurableContext: what a durable function is called with."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar, TypeVarTuple, overload

from promin_postgres._retry import Retry
from promin_postgres._time import Seconds
from promin_postgres._wait import strand
from promin_postgres.errors import InvalidArgument
from promin_postgres.lookups import StepType
from promin_postgres.workflow import definition as made
from promin_postgres.workflow.definition import Conduct, Definition, OnFailure, Step
from promin_postgres.workflow.durable._sync_replay import Replay
from promin_postgres.workflow.durable._calls import Answer, Called, bound

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

_LOG = logging.getLogger("promin_postgres.workflow.function")


class DurableContext:
    """What a durable function is called with.

    The function is called anew whenever its run goes on, and must then ask for the same steps in the same order: what
    it does with results must depend on nothing else than them and its input. Whatever else it looks at (the clock, a
    random number, a database) belongs into a step.

    A step is known by its name and by how often that name was asked for. Steps can be executed side by side, from
    several tasks, each task with names of its own; waits cannot.
    """

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self.workflow_id = replay.workflow_id

    def step(
        self,
        name: str,
        function: Called[*Ts, R],
        *args: *Ts,
        retry: Retry | None = None,
        retry_if: Callable[[Exception], bool] | None = None,
        timeout: Seconds | None = None,
    ) -> Answer[R]:
        """Call `function(*args)`, once and for all: what it returned, or raised for good, is recorded.

        Args:
            name: 1 to 240 characters, not ending in # and a number.
            function: What it returns must be JSON, and is handed out as it comes back from there. At least once: a
                process that dies before it is recorded executes it again.
            retry: How often an execution that raised is repeated; None is never.
            retry_if: Called with what was raised: whether it may be repeated.
            timeout: Seconds, or a timedelta, for one execution; it has failed then.

        Raises:
            StepFailed: It failed for good, now or in an earlier execution of the function: the same error each time.
            DefinitionChanged: The record of the run has another step in this place.
        """
        key = self._key(name)
        made.check_function("function", function, optional=False)
        conduct = Conduct(retry=retry, retry_if=retry_if, timeout=timeout)
        answer: Answer[R] = self._replay.ask(conduct.of(key, StepType.STEP, function=bound(function, args)))
        return answer

    def sleep(self, name: str, seconds: Seconds | None = None, *, until: datetime | None = None) -> None:
        """Wait, without a thread and without a connection: the run is suspended, and the function is called again.

        Args:
            name: As of a step.
            seconds: How long, in seconds or as a timedelta, from when the function first came here.
            until: Until when instead; an aware datetime.
        """
        self._wait(name, StepType.SLEEP, pause=made.pause(seconds, until))

    def wait_for_signal(
        self, name: str, *, signal: str | None = None, timeout: Seconds | None = None, on_timeout: OnFailure = "fail"
    ) -> Any:
        """The payload of a signal, waited for as in `sleep`. One that came before counts too.

        Args:
            name: As of a step.
            signal: The name of the signal; by default that of the step. Several of one name are handed out in turn.
            timeout: For how long to wait, in seconds or as a timedelta; None for ever.
            on_timeout: What comes of it then: "fail" raises StepFailed, "skip" returns None, a Fallback its value.
        """
        wait = made.signal_wait(name if signal is None else signal, timeout, on_timeout)
        return self._wait(name, StepType.SIGNAL, Conduct(on_failure=on_timeout), signal=wait)

    def subworkflow(
        self,
        name: str,
        workflow: Any,
        *,
        input: Any = None,  # noqa: A002 - the word of the public API
        workflow_id: str | None = None,
        queue: str = "default",
    ) -> Any:
        """The result of another workflow, which runs as a child of this one and is cancelled with it.

        Args:
            name: As of a step.
            workflow: A workflow, of either kind of writing.
            workflow_id: By default that of this run and the name of the step, with a slash between.
            queue: On workers: the queue of those of its steps that name none.

        Raises:
            StepFailed: It failed.
        """
        other = getattr(workflow, "definition", workflow)
        if not isinstance(other, Definition):
            raise InvalidArgument("workflow", workflow, "must be a workflow")
        return self._wait(name, StepType.SUBWORKFLOW, child=made.child(other, input, workflow_id, queue))

    def _wait(self, name: str, kind: StepType, conduct: Conduct | None = None, **fields: Any) -> Any:
        key = self._key(name)
        if not self._replay.journal.is_owner(strand()):
            raise InvalidArgument("name", name, "only the function itself can wait, and not what it started beside it")
        step: Step = (conduct or Conduct()).of(key, kind, **fields)
        return self._replay.ask(step)

    def _key(self, name: str) -> str:
        return self._replay.journal.key(name, strand())

    @property
    def lost(self) -> bool:
        """Whether the lease on the run was lost: somebody else may be driving it, and nothing of this one counts."""
        return self._replay.context.lost

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the function any more: the run was cancelled, stopped or lost."""
        return self._replay.context.cancelled

    @cached_property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry workflow_id as an attribute. What is logged is logged at every replay."""
        return logging.LoggerAdapter(_LOG, {"workflow_id": self.workflow_id})
