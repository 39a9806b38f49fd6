"""What a workflow is, as plain data: its name, its steps and what they wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import attrs

from promin_postgres._arguments import MAX_NAME, check_optional_text, check_text
from promin_postgres._retry import NO_RETRY, Retry
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.errors import InvalidArgument
from promin_postgres.workflow.definition._graph import cycles, dependents_of


@attrs.frozen(kw_only=True)
class Step:
    """One step of a definition."""

    name: str
    function: Callable[[Any], Any]
    depends_on: tuple[str, ...]
    retry: Retry
    timeout: float | None


@attrs.frozen(kw_only=True, slots=False)  # slots would leave cached_property no place to keep its value
class Definition:
    """A workflow as it is written down. Every change makes a new one; `steps` keeps the order of declaration."""

    name: str
    type: str | None = None
    version: str | None = None
    metadata: Mapping[str, Any] | None = None
    steps: MappingProxyType[str, Step] = MappingProxyType({})

    def __attrs_post_init__(self) -> None:
        check_text("name", self.name, limit=MAX_NAME)
        check_optional_text("type", self.type)
        check_optional_text("version", self.version)

    def with_step(
        self,
        name: str,
        function: Callable[[Any], Any],
        *,
        depends_on: str | Iterable[str] | None,
        retry: Retry | None,
        timeout: Seconds | None,
    ) -> Definition:
        """This definition and one step more. What is wrong with the step alone is refused here."""
        check_text("name", name, limit=MAX_NAME)
        if name in self.steps:
            raise InvalidArgument("name", name, "is the name of an earlier step")
        if not callable(function):
            raise InvalidArgument("fn", function, "must be callable")
        if retry is not None and not isinstance(retry, Retry):
            raise InvalidArgument("retry", retry, "must be a Retry")
        step = Step(
            name=name,
            function=function,
            depends_on=self._dependencies(depends_on),
            retry=NO_RETRY if retry is None else retry,
            timeout=None if timeout is None else check_seconds("timeout", timeout, positive=True),
        )
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
    def dependents(self) -> Mapping[str, tuple[str, ...]]:
        """For each step the steps that wait for it."""
        return dependents_of({step.name: step.depends_on for step in self.steps.values()})

    @cached_property
    def terminal(self) -> tuple[str, ...]:
        """The steps that no other waits for: their results are the result of the workflow."""
        return tuple(name for name in self.steps if not self.dependents[name])

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
