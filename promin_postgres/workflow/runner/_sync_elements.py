# Generated from _async_elements.py by tools/twins.py. Do not edit: edit that and generate again.
"""ElementRun: the elements of one map or parallel step, side by side and checkpointed by themselves."""

from __future__ import annotations

import heapq
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from promin_postgres._error_record import encode_error
from promin_postgres._wait import Group, call
from promin_postgres.codec import Encoded
from promin_postgres.errors import CodecError, InvalidArgument, LeaseLost, WorkflowCancelled, shown
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow.definition import Context, Function, Step
from promin_postgres.workflow.runner._records import Done, Raised
from promin_postgres.workflow.runner._rules import may_be_retried
from promin_postgres.workflow.storage import PostgresWorkflowStorage, Lease, TaskOutcome, TaskRecord

_PAGE = 500
"""Elements that are in memory before they are executed, and inputs that are written at once."""

_BATCH = 100
"""Outcomes that are written at once,"""
_PATIENCE = 0.02
"""if that many come within so many seconds."""


class _Element(NamedTuple):
    number: int
    attempt: int
    tries: int
    """Attempts that count against the retry policy."""
    item: Encoded


class _Outcome(NamedTuple):
    element: _Element
    text: str | None
    raised: Raised | None
    seconds: float


class ElementRun:
    """For one execution of the step. Only what is under way is in memory, however many elements there are."""

    def __init__(self, storage: PostgresWorkflowStorage, step: Step, context: Context, lease: Lease) -> None:
        self._storage = storage
        self._step = step
        self._context = context
        self._lease = lease
        self._page: deque[_Element] = deque()
        self._last: int | None = None
        """The last element that was loaded; None when there are no more."""
        self._pausing: list[tuple[float, _Element]] = []
        self._unsaved: dict[int, TaskOutcome] = {}
        self._save_at = 0.0
        self._failure: Raised | None = None
        self._functions: Sequence[Function] = ()
        self._labels: Sequence[str] = ()

    def map(self) -> Done:
        """Execute the elements that are not done; the result is the list of all results."""
        step, workflow_id = self._step, self._context.workflow_id
        assert step.map is not None
        page = self._storage.load_tasks(workflow_id, step.name, after=-2, limit=_PAGE)
        if not page or page[0].task_index >= 0:
            self._add()
            page = self._storage.load_tasks(workflow_id, step.name, after=-1, limit=_PAGE)
        self._take(record for record in page if record.task_index >= 0)
        self._last = page[-1].task_index if len(page) == _PAGE else None
        self._work(step.map.concurrency)
        return Done((self._storage.list_results(workflow_id, step.name)).text)

    def parallel(self) -> Done:
        """Execute the functions that are not done; the result is a dict of results by label."""
        step, workflow_id = self._step, self._context.workflow_id
        assert step.parallel is not None
        self._labels, self._functions = list(step.parallel), list(step.parallel.values())
        count = len(self._functions)
        blank = [TaskRecord(n, StepStatus.PENDING, 0, Encoded(None), Encoded(None)) for n in range(count)]
        for record in self._storage.load_tasks(workflow_id, step.name, after=-1, limit=count, all=True):
            blank[record.task_index] = record
        self._take(record for record in blank if record.status is not StepStatus.COMPLETED)
        self._work(count)
        done = self._storage.load_tasks(workflow_id, step.name, after=-1, limit=count, all=True)
        members = (f"{json.dumps(self._labels[record.task_index])}:{record.result.text or 'null'}" for record in done)
        return Done("{" + ",".join(members) + "}")

    def _add(self) -> None:
        """Record the elements, a part at a time. Until the last part is there none is executed."""
        parts = self._parts(self._given())
        part, first = next(parts, []), 0
        while True:
            following = next(parts, None)
            status = self._storage.add_tasks(
                self._context.workflow_id,
                self._step.name,
                part,
                first=first,
                last=following is None,
                lease=self._lease,
            )
            self._stop_if(status)
            if following is None:
                return
            first += len(part)
            part = following

    def _given(self) -> Iterable[Any]:
        assert self._step.map is not None
        over = self._step.map.over
        if callable(over):
            try:
                found = call(over, self._context, timeout=None, on_timeout=self._context.time_out)
            except Exception as error:
                raise Raised(error) from error
        else:
            found = self._context.deps.pop(over)  # no function sees this context: nothing holds the list afterwards
        if not isinstance(found, Iterable) or isinstance(found, str | bytes):
            raise Raised(InvalidArgument("over", found, f"gave no elements to step {self._step.name!r}"), final=True)
        return found

    def _parts(self, given: Iterable[Any]) -> Iterator[list[Encoded]]:
        elements = iter(given)
        first = 0
        while True:
            try:
                items = list(islice(elements, _PAGE))
            except Exception as error:
                raise Raised(error) from error
            if not items:
                return
            try:
                yield [
                    Encoded.of(item, subject=f"element {first + place} for step {self._step.name!r}")
                    for place, item in enumerate(items)
                ]
            except CodecError as error:
                raise Raised(error, final=True) from error
            first += len(items)

    def _take(self, records: Iterable[TaskRecord]) -> None:
        for record in records:
            # Attempts of a dead process count; those that ended in failure before the run was taken up again do not.
            tries = 1 if record.status is StepStatus.FAILED else record.attempt + 1
            self._page.append(_Element(record.task_index, record.attempt + 1, tries, record.input))

    def _work(self, concurrency: int) -> None:
        with Group[str, _Outcome]() as group:
            while True:
                pause = self._wake()
                while self._failure is None and group.running < concurrency:
                    element = self._next()
                    if element is None:
                        break
                    group.spawn(f"{self._step.name}[{element.number}]", self._execute, element)
                if not group.running and (self._failure is not None or pause is None):
                    break
                done = group.next_done(timeout=self._until(pause))
                if done is not None:
                    self._take_in(done[1])
                if self._unsaved and (len(self._unsaved) >= _BATCH or time.monotonic() >= self._save_at):
                    self._save()
                self._stop_if(None)
            self._save()
        if self._failure is not None:
            raise self._failure

    def _wake(self) -> float | None:
        """Put those whose pause is over before the others; returns the seconds until the next one's is."""
        now = time.monotonic()
        while self._pausing and self._pausing[0][0] <= now:
            self._page.appendleft(heapq.heappop(self._pausing)[1])
        return self._pausing[0][0] - now if self._pausing else None

    def _until(self, pause: float | None) -> float:
        """Seconds after which to look up again, at the latest."""
        save_in = max(self._save_at - time.monotonic(), 0.0) if self._unsaved else 1.0
        return min(save_in, 1.0 if pause is None else pause)

    def _next(self) -> _Element | None:
        if not self._page and self._last is not None:
            page = self._storage.load_tasks(
                self._context.workflow_id, self._step.name, after=self._last, limit=_PAGE
            )
            self._last = page[-1].task_index if len(page) == _PAGE else None
            self._take(page)
        return self._page.popleft() if self._page else None

    def _execute(self, element: _Element) -> _Outcome:
        step = self._step
        function = self._functions[element.number] if self._functions else step.function
        assert function is not None
        context = self._context.again(
            attempt=element.attempt, index=None if self._functions else element.number, item=element.item
        )
        started = time.monotonic()
        text, raised = None, None
        try:
            value = call(function, context, timeout=step.timeout, on_timeout=context.time_out)
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything
            raised = Raised(error, where=self._name(element))
        else:
            try:
                text = Encoded.text_of(value, subject=f"step {step.name!r}, {self._name(element)}")
            except CodecError as error:
                raised = Raised(error, final=True)
        return _Outcome(element, text, raised, time.monotonic() - started)

    def _name(self, element: _Element) -> str:
        return repr(self._labels[element.number]) if self._labels else f"element {element.number}"

    def _take_in(self, outcome: _Outcome) -> None:
        element, step = outcome.element, self._step
        status = StepStatus.COMPLETED
        if outcome.raised is not None:
            error = outcome.raised.error
            if not outcome.raised.final and step.retry.allows_another(element.tries) and may_be_retried(step, error):
                status = StepStatus.PENDING
                again = element._replace(attempt=element.attempt + 1, tries=element.tries + 1)
                heapq.heappush(self._pausing, (time.monotonic() + step.retry.pause(element.tries), again))
            else:
                status = StepStatus.FAILED
                self._failure = self._failure or Raised(error, final=True, where=outcome.raised.where)
        if element.number in self._unsaved:
            self._save()  # a statement writes a row once
        if not self._unsaved:
            self._save_at = time.monotonic() + _PATIENCE
        self._unsaved[element.number] = TaskOutcome(
            element.number,
            status,
            outcome.text,
            None if outcome.raised is None else encode_error(outcome.raised.error),
            element.attempt,
            outcome.seconds,
        )

    def _save(self) -> None:
        if self._unsaved:
            outcomes, self._unsaved = list(self._unsaved.values()), {}
            self._stop_if(
                self._storage.save_tasks(self._context.workflow_id, self._step.name, outcomes, lease=self._lease)
            )

    def _stop_if(self, status: WorkflowStatus | None) -> None:
        """Go no further when what comes of it does not count any more."""
        if self._context.lost:
            raise LeaseLost(f"workflow {shown(self._context.workflow_id)}")
        if status is WorkflowStatus.CANCELLED or self._context.cancelled:
            raise WorkflowCancelled(workflow_id=self._context.workflow_id)
