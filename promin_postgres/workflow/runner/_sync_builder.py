# Generated from _async_builder.py by tools/twins.py. Do not edit: edit that and generate again.
"""Builder: how a workflow is written down, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Self

import attrs

from promin_postgres._retry import Retry
from promin_postgres._time import Seconds
from promin_postgres.errors import InvalidArgument
from promin_postgres.lookups import StepType
from promin_postgres.workflow import definition as made
from promin_postgres.workflow.definition import Conduct, Context, Definition, OnFailure
from promin_postgres.workflow.runner._sync_runnable import Runnable


@attrs.frozen(kw_only=True)
class Builder(Runnable):
    """Every method returns another workflow, with one more step; the one it was called on stays as it is.

    All of them take, where it is not said otherwise:

    Args:
        name: 1 to 255 characters, one of its kind in the workflow.
        depends_on: The steps whose results it needs, declared before or after it. None is the step declared just
            before, and `[]` none: it starts at once.
        retry: How often an execution that raised is repeated; None is never.
        retry_if: Called with what was raised: whether it may be repeated. NonRetryable and CodecError never are.
        timeout: Seconds, or a timedelta, for one execution; it has failed then. A function in a thread cannot be
            stopped: it runs on, beside its repetition if there is one, and can see `ctx.cancelled`.
        on_failure: When it has failed for good: "fail" the run, "skip" it (None is its result), or a Fallback.
        compensate: Called with a Context when the run has failed after this step was completed, to undo it;
            `ctx.result` is what the step gave, `ctx.error` what the run failed with.
        queue: On workers: the queue that its task goes to.
        priority: On workers: 0 to 10, the higher the sooner.

    Raises:
        InvalidArgument: A malformed argument, or a name that is taken.
        CodecError: A value given here is not JSON.
    """

    def _with(
        self,
        name: str,
        kind: StepType,
        depends_on: str | Iterable[str] | None,
        conduct: Conduct,
        **fields: Any,
    ) -> Self:
        return attrs.evolve(self, definition=self.definition.extended(name, kind, conduct, depends_on, **fields))

    def step(
        self,
        name: str,
        fn: Callable[[Context], Any],
        *,
        depends_on: str | Iterable[str] | None = None,
        retry: Retry | None = None,
        timeout: Seconds | None = None,
        on_failure: OnFailure = "fail",
        compensate: Callable[[Context], Any] | None = None,
        transactional: bool = False,
        queue: str = "default",
        priority: int = 5,
        retry_if: Callable[[Exception], bool] | None = None,
    ) -> Self:
        """A step that calls a function.

        Args:
            fn: Called with a Context; what it returns must be JSON. Delivery is at least once: a step whose process
                dies before the checkpoint is executed again.
            transactional: What `fn` writes through `ctx.connection` is committed together with the checkpoint, or not
                at all: exactly once.
        """
        definition = self.definition.with_step(
            name,
            fn,
            depends_on=depends_on,
            retry=retry,
            retry_if=retry_if,
            timeout=timeout,
            on_failure=on_failure,
            compensate=compensate,
            transactional=transactional,
            queue=queue,
            priority=priority,
        )
        return attrs.evolve(self, definition=definition)

    def map_over(
        self,
        name: str,
        fn: Callable[[Context], Any],
        *,
        over: str | Callable[[Context], Any],
        concurrency: int = 8,
        depends_on: str | Iterable[str] | None = None,
        retry: Retry | None = None,
        timeout: Seconds | None = None,
        on_failure: OnFailure = "fail",
        compensate: Callable[[Context], Any] | None = None,
        queue: str = "default",
        priority: int = 5,
        retry_if: Callable[[Exception], bool] | None = None,
    ) -> Self:
        """A step that calls a function for every element; its result is the list of what they gave, in their order.

        Each element is checkpointed by itself: what is completed is not executed again.

        Args:
            fn: Called with a Context for each element, `ctx.item`, the `ctx.index`-th from 0.
            over: The step whose result is the list of elements, on which this one depends then; or a function of a
                Context that gives the elements.
            concurrency: How many elements are executed at the same time; at least 1.
            retry, timeout, retry_if: For each element by itself.
        """
        conduct = Conduct(
            retry=retry,
            retry_if=retry_if,
            timeout=timeout,
            on_failure=on_failure,
            compensate=compensate,
            queue=queue,
            priority=priority,
        )
        made.check_function("fn", fn, optional=False)
        detail = made.map_over(over, concurrency)
        return self._with(name, StepType.MAP, depends_on, conduct, function=fn, map=detail)

    def branch(
        self,
        name: str,
        *,
        condition: Callable[[Context], Any],
        if_true: Callable[[Context], Any],
        if_false: Callable[[Context], Any] | None = None,
        depends_on: str | Iterable[str] | None = None,
        retry: Retry | None = None,
        timeout: Seconds | None = None,
        on_failure: OnFailure = "fail",
        compensate: Callable[[Context], Any] | None = None,
        queue: str = "default",
        priority: int = 5,
        retry_if: Callable[[Exception], bool] | None = None,
    ) -> Self:
        """A step that calls one of two functions; its result is what that one gave.

        Args:
            condition: Called with a Context; which way is recorded before it is gone, and holds for every attempt.
            if_true, if_false: Called with a Context; without the second the result is None.
        """
        conduct = Conduct(
            retry=retry,
            retry_if=retry_if,
            timeout=timeout,
            on_failure=on_failure,
            compensate=compensate,
            queue=queue,
            priority=priority,
        )
        detail = made.branch(condition, if_true, if_false)
        return self._with(name, StepType.BRANCH, depends_on, conduct, branch=detail)

    def parallel(
        self,
        name: str,
        functions: Mapping[str, Callable[[Context], Any]],
        *,
        depends_on: str | Iterable[str] | None = None,
        retry: Retry | None = None,
        timeout: Seconds | None = None,
        on_failure: OnFailure = "fail",
        compensate: Callable[[Context], Any] | None = None,
        queue: str = "default",
        priority: int = 5,
        retry_if: Callable[[Exception], bool] | None = None,
    ) -> Self:
        """A step that calls several functions side by side; its result is a dict of what they gave, by label.

        Each is checkpointed by itself: what is completed is not executed again.

        Args:
            functions: By label, each called with a Context. They are recorded by their position.
            retry, timeout, retry_if: For each function by itself.
        """
        conduct = Conduct(
            retry=retry,
            retry_if=retry_if,
            timeout=timeout,
            on_failure=on_failure,
            compensate=compensate,
            queue=queue,
            priority=priority,
        )
        return self._with(name, StepType.PARALLEL, depends_on, conduct, parallel=made.parallel(functions))

    def sleep(
        self,
        name: str,
        seconds: Seconds | None = None,
        *,
        until: datetime | None = None,
        depends_on: str | Iterable[str] | None = None,
        queue: str = "default",
        priority: int = 5,
    ) -> Self:
        """A step that takes its time, and nothing else: no thread, no connection.

        Args:
            seconds: How long, in seconds or as a timedelta, from when the steps before it are done.
            until: Until when instead; an aware datetime.
        """
        conduct = Conduct(queue=queue, priority=priority)
        return self._with(name, StepType.SLEEP, depends_on, conduct, pause=made.pause(seconds, until))

    def wait_for_signal(
        self,
        name: str,
        *,
        signal: str,
        timeout: Seconds | None = None,
        on_timeout: OnFailure = "fail",
        depends_on: str | Iterable[str] | None = None,
        queue: str = "default",
        priority: int = 5,
    ) -> Self:
        """A step that waits for a signal; its result is the payload. One that came before it began to wait counts too.

        Args:
            signal: Its name; several deliveries of one name go to the steps that wait for it, in turn.
            timeout: For how long to wait, in seconds or as a timedelta; None for ever.
            on_timeout: What the step comes to then; as `on_failure`.
        """
        detail = made.signal_wait(signal, timeout, on_timeout)
        conduct = Conduct(on_failure=on_timeout, queue=queue, priority=priority)
        return self._with(name, StepType.SIGNAL, depends_on, conduct, signal=detail)

    def subworkflow(
        self,
        name: str,
        definition: Runnable | Definition,
        *,
        input: Any = None,  # noqa: A002 - the word of the public API
        workflow_id: str | Callable[[Context], str] | None = None,
        depends_on: str | Iterable[str] | None = None,
        on_failure: OnFailure = "fail",
        compensate: Callable[[Context], Any] | None = None,
        queue: str = "default",
        priority: int = 5,
    ) -> Self:
        """A step that runs another workflow; its result is the result of that.

        Args:
            definition: The other workflow. Its run has this one as its parent, and is cancelled with it.
            input: What it is given; a function of a Context to compute it.
            workflow_id: Of the other run; a function of a Context to compute it. By default that of this run and the
                name of the step, with a slash between.
            queue: Also the queue of those of its steps that name none.
        """
        conduct = Conduct(on_failure=on_failure, compensate=compensate, queue=queue, priority=priority)
        other = definition.definition if isinstance(definition, Runnable) else definition
        if not isinstance(other, Definition):
            raise InvalidArgument("definition", definition, "must be a workflow")
        detail = made.child(other, input, workflow_id, queue)
        return self._with(name, StepType.SUBWORKFLOW, depends_on, conduct, child=detail)
