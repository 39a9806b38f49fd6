"""What a workflow is, as plain data: its name, its steps and what they wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import attrs

from promin_postgres._arguments import MAX_NAME, check_optional_text, check_text
from promin_postgres._retry import Retry
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.errors import InvalidArgument
from promin_postgres.lookups import StepType
from promin_postgres.workflow.definition._graph import cycles, dependents_of
from promin_postgres.workflow.definition._policies import (
    Compensation,
    Hooks,
    Idempotency,
    OnFailure,
    check_function,
    retry_or_none,
)
from promin_postgres.workflow.definition._steps import Conduct, Function, Step


def _deadline(value: Seconds | None) -> float | None:
    return None if value is None else check_seconds("deadline", value, positive=True)


@attrs.frozen(kw_only=True, slots=False)  # slots would leave cached_property no place to keep its value
class Definition:
    """A workflow as it is written down. Every change makes a new one; `steps` keeps the order of declaration."""

    name: str
    type: str | None = None
    version: str | None = None
    metadata: Mapping[str, Any] | None = None
    retry: Retry = attrs.field(default=None, converter=retry_or_none)
    compensate: Compensation = attrs.field(factory=Compensation)
    dlq: Any = None
    idempotency: Idempotency | None = None
    deadline: float | None = attrs.field(default=None, converter=_deadline)
    hooks: Hooks = attrs.field(factory=Hooks)
    steps: MappingProxyType[str, Step] = MappingProxyType({})

    def __attrs_post_init__(self) -> None:
        check_text("name", self.name, limit=MAX_NAME)
        check_optional_text("type", self.type)
        check_optional_text("version", self.version)
        for argument, kind in (("compensate", Compensation), ("idempotency", Idempotency), ("hooks", Hooks)):
            value = getattr(self, argument)
            if not isinstance(value, kind) and not (value is None and argument == "idempotency"):
                raise InvalidArgument(argument, value, f"must be of the class {kind.__name__}")
        if self.dlq is not None and not callable(getattr(self.dlq, "publish", None)):
            raise InvalidArgument("dlq", self.dlq, "must have a method publish")

    def with_step(
        self,
        name: str,
        function: Function,
        *,
        depends_on: str | Iterable[str] | None = None,
        retry: Retry | None = None,
        timeout: Seconds | None = None,
        on_failure: OnFailure = "fail",
        compensate: Function | None = None,
        transactional: bool = False,
        queue: str = "default",
        priority: int = 5,
        retry_if: Callable[[Exception], bool] | None = None,
    ) -> Definition:
        """This definition and one plain step more. What is wrong with the step alone is refused here."""
        conduct = Conduct(
            retry=retry,
            timeout=timeout,
            on_failure=on_failure,
            compensate=compensate,
            transactional=transactional,
            queue=queue,
            priority=priority,
            retry_if=retry_if,
        )
        check_function("fn", function, optional=False)
        return self.extended(name, StepType.STEP, conduct, depends_on, function=function)

    def extended(
        self, name: str, kind: StepType, conduct: Conduct, depends_on: str | Iterable[str] | None, **fields: Any
    ) -> Definition:
        """This definition and one step more, of any kind; `fields` are those of Step that belong to the kind."""
        check_text("name", name, limit=MAX_NAME)
        if name in self.steps:
            raise InvalidArgument("name", name, "is the name of an earlier step")
        step = conduct.of(name, kind, depends_on=self._dependencies(depends_on), **fields)
        if step.map is not None and isinstance(step.map.over, str) and step.map.over not in step.depends_on:
            # Given only what it goes over, it waits for that alone.
            others = () if depends_on is None else step.depends_on
            step = attrs.evolve(step, depends_on=(*others, step.map.over))
        # A copy of a dict costs next to nothing even with 10,000 steps; a look through a tuple of names would not.
        steps = self.steps.copy()
        steps[name] = step
        return attrs.evolve(self, steps=MappingProxyType(steps))

    def _dependencies(self, depends_on: str | Iterable[str] | None) -> tuple[str, ...]:
        if depends_on is None:
            return (next(reversed(self.steps)),) if self.steps else ()
        if not isinstance(depends_on, Iterable):
            raise InvalidArgument("depends_on", depends_on, "must be the name of a step, several names, or None")
        names = (depends_on,) if isinstance(depends_on, str) else tuple(depends_on)
        for name in names:
            check_text("depends_on", name, limit=MAX_NAME)
        if len(set(names)) < len(names):
            raise InvalidArgument("depends_on", names, "names a step twice")
        return names

    @cached_property
    def key(self) -> str:
        """What tasks of the step queue carry, so that only who knows this version of the workflow claims them."""
        return f"workflow:{self.name}@{self.version or ''}"

    @cached_property
    def dependents(self) -> Mapping[str, tuple[str, ...]]:
        """For each step the steps that wait for it."""
        return dependents_of({step.name: step.depends_on for step in self.steps.values()})

    @cached_property
    def terminal(self) -> tuple[str, ...]:
        """The steps that no other waits for: their results are the result of the workflow."""
        return tuple(name for name in self.steps if not self.dependents[name])

    @cached_property
    def ends_in_code(self) -> bool:
        """Whether even a run that completes needs more at its end than the result of its last step."""
        return len(self.terminal) > 1 or self.hooks.on_workflow_complete is not None

    @cached_property
    def compensates(self) -> bool:
        """Whether a failed run has anything to undo."""
        return any(step.compensate is not None for step in self.steps.values())

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the whole. A step may name one that is declared later, so this cannot be known before."""
        graph = {step.name: step.depends_on for step in self.steps.values()}
        if not graph:
            return ("it has no steps",)
        unknown = [
            f"step {name!r} depends on {dependency!r}, which is not a step of it"
            for name, dependencies in graph.items()
            for dependency in dependencies
            if dependency not in graph
        ]
        return (*unknown, *("a cycle: " + " -> ".join(map(repr, cycle)) for cycle in cycles(graph)))

    def check(self) -> None:
        """Refuse a definition that cannot run, with all its problems in one error.

        Raises:
            InvalidArgument: No steps, unknown dependencies, cycles.
        """
        if self.problems:
            raise InvalidArgument("workflow", self.name, "; ".join(self.problems))
