"""What follows from a definition and the record of a run. Pure: the drivers ask, nothing here waits or writes."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from promin_postgres.lookups import StepStatus, StepType
from promin_postgres.workflow.definition._function import body_of
from promin_postgres.workflow.definition._records import Definition
from promin_postgres.workflow.definition._steps import DEFAULT_QUEUE
from promin_postgres.workflow.storage._records import StepSpec

DONE = (StepStatus.COMPLETED, StepStatus.SKIPPED)


class Recorded(Protocol):
    """A step as it is recorded."""

    @property
    def status(self) -> StepStatus: ...

    @property
    def step_type(self) -> StepType: ...

    @property
    def depends_on(self) -> tuple[str, ...]: ...

    @property
    def attempt(self) -> int: ...


def specs(definition: Definition, *, queue: str = DEFAULT_QUEUE) -> tuple[StepSpec, ...]:
    """The steps as they are recorded when a run begins; `queue` is that of those that name none."""
    return tuple(
        StepSpec(
            step_name=step.name,
            step_type=step.kind,
            depends_on=step.depends_on,
            queue=queue if step.queue == DEFAULT_QUEUE else step.queue,
            priority=step.priority,
            pause=None if step.pause is None or step.pause.seconds is None else timedelta(seconds=step.pause.seconds),
            until=None if step.pause is None else step.pause.until,
        )
        for step in definition.steps.values()
    )


def differences(definition: Definition, recorded: Mapping[str, Recorded]) -> dict[str, str]:
    """For each step that is not as it was recorded, what differs; empty when the run can go on with `definition`.

    The order of declaration alone is no difference, and neither is a completed step that is gone: it was left over
    when the run went on with another version, and whoever depended on it would be named here himself.
    """
    found = {}
    for name, step in definition.steps.items():
        if name not in recorded:
            found[name] = f"step {name!r} is new"
        elif step.kind != recorded[name].step_type:
            before, now = recorded[name].step_type.name.lower(), step.kind.name.lower()
            found[name] = f"step {name!r} was of the kind {before} and is now of the kind {now}"
        elif set(step.depends_on) != set(recorded[name].depends_on):
            names = [list(names) or "nothing" for names in (recorded[name].depends_on, step.depends_on)]
            found[name] = f"step {name!r} depended on {names[0]} and now on {names[1]}"
    is_function = body_of(definition) is not None  # what it asks for is not known before it does
    gone = [] if is_function else [name for name in recorded if name not in definition.steps]
    if found or any(recorded[name].status not in DONE for name in gone):
        found.update({name: f"step {name!r} is gone" for name in gone})
    return found


class Progress:
    """Which steps of a run can start. Each dependency is looked at once, however many steps there are."""

    def __init__(self, definition: Definition, recorded: Mapping[str, Recorded]) -> None:
        self._definition = definition
        self._missing = {name: len(step.depends_on) for name, step in definition.steps.items()}
        self._ready: deque[str] = deque()
        self._pausing: list[tuple[float, str]] = []
        self._attempts: dict[str, int] = {}
        self._forgiven: dict[str, int] = {}
        self._done: set[str] = set()
        for name, state in recorded.items():
            if name not in definition.steps:
                continue
            if state.status in DONE:
                self._done.add(name)
                self._count_down(name)
            elif state.attempt:
                self._attempts[name] = state.attempt
                if state.status in (StepStatus.FAILED, StepStatus.COMPENSATED):
                    self._forgiven[name] = state.attempt
        self._ready.extend(name for name in definition.steps if self._can_start(name))

    @property
    def left(self) -> int:
        """How many steps are not completed."""
        return len(self._missing) - len(self._done)

    @property
    def ready(self) -> int:
        """How many steps can start now."""
        return len(self._ready)

    @property
    def pausing(self) -> bool:
        """Whether a step waits for its next attempt."""
        return bool(self._pausing)

    def take(self) -> tuple[str, int]:
        """The next ready step and the number of the attempt that this is, counted from 1 over the whole run."""
        name = self._ready.popleft()
        self._attempts[name] = attempt = self._attempts.get(name, 0) + 1
        return name, attempt

    def attempt(self, name: str) -> int:
        """The number of the last attempt at a step."""
        return self._attempts.get(name, 0)

    def tries(self, name: str) -> int:
        """How many attempts count against the step's retry policy.

        Those of a crashed process do, or a step that kills its process would never be given up; those that ended in
        failure before the run was resumed do not.
        """
        return self._attempts.get(name, 0) - self._forgiven.get(name, 0)

    def put_back(self, name: str) -> None:
        """What was taken was no attempt: the step waits for something. Its next attempt has the same number."""
        self._attempts[name] -= 1

    def wake_up(self, name: str) -> None:
        """A step that was put back can start."""
        self._ready.append(name)

    def forgive(self, name: str) -> None:
        """A step that failed for good is ready again, and its policy begins anew."""
        self._forgiven[name] = self._attempts[name]
        self._ready.append(name)

    def is_wanted(self, name: str) -> bool:
        """Whether a step that is not done depends on this one."""
        return any(dependent not in self._done for dependent in self._definition.dependents[name])

    def complete(self, name: str) -> None:
        """A step is done: whatever waited for nothing else becomes ready."""
        self._done.add(name)
        self._ready.extend(dependent for dependent in self._count_down(name) if self._can_start(dependent))

    def retry(self, name: str, *, at: float) -> None:
        """A step is ready again at a moment of the caller's clock."""
        heapq.heappush(self._pausing, (at, name))

    def wake(self, now: float) -> float | None:
        """Make ready the steps whose pause is over; returns the seconds until the next is, None if there is none."""
        while self._pausing and self._pausing[0][0] <= now:
            self._ready.append(heapq.heappop(self._pausing)[1])
        return self._pausing[0][0] - now if self._pausing else None

    def _count_down(self, name: str) -> tuple[str, ...]:
        dependents = self._definition.dependents[name]
        for dependent in dependents:
            self._missing[dependent] -= 1
        return dependents

    def _can_start(self, name: str) -> bool:
        # Another version may have put a step that is not completed before one that is.
        return self._missing[name] == 0 and name not in self._done
