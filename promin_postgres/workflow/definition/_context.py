"""What a step's function is called with."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Self

from promin_postgres.codec import Encoded

_LOG = logging.getLogger("promin_postgres.workflow.step")


class Fate:
    """What became of a run, for its handlers to see while they work."""

    __slots__ = ("_holds", "_lost", "cancelled", "over")

    def __init__(self, holds: Callable[[], bool]) -> None:
        self._holds = holds
        self._lost = False
        self.cancelled = False
        """The run was cancelled."""
        self.over = False
        """Nothing waits for the handlers any more."""

    @property
    def lost(self) -> bool:
        return self._lost or not (self.over or self._holds())

    def lose(self) -> None:
        """A write was refused because the lease is gone."""
        self._lost = True


class Context:
    """What a step's function is called with.

    Every attempt gets a context of its own with its own copies of `input` and `deps`, decoded when first looked at:
    what one function changes in them no other one sees.
    """

    def __init__(
        self,
        *,
        workflow_id: str,
        step_name: str,
        attempt: int,
        input: Encoded,  # noqa: A002 - the word of the public API
        deps: Mapping[str, Encoded],
        fate: Fate,
        run: int = 1,
    ) -> None:
        self.workflow_id = workflow_id
        self.run = run
        """1 for the first run under this id."""
        self.step_name = step_name
        self.attempt = attempt
        """1 at the first execution of the step in this run; goes on counting when a failed run is resumed."""
        self.index: int | None = None
        """Which element of a map step this is, from 0."""
        self.connection: Any = None
        """In a transactional step: a psycopg connection, in the transaction that the checkpoint will be in."""
        self.error: Any = None
        """In a Fallback and in a compensation: what failed."""
        self._input = input
        self._deps = deps
        self._fate = fate
        self._item = self._result = Encoded(None)
        self._timed_out = False

    @cached_property
    def input(self) -> Any:
        """The input of the run, as it was recorded."""
        return self._input.value()

    @cached_property
    def deps(self) -> dict[str, Any]:
        """The result of each step that this one depends on, by name; None of one that was skipped."""
        return {name: encoded.value() for name, encoded in self._deps.items()}

    @cached_property
    def prev(self) -> Any:
        """The result of the one step that this one depends on; `deps` when there are several, None without any."""
        if len(self._deps) == 1:
            return next(iter(self.deps.values()))
        return self.deps or None

    @cached_property
    def item(self) -> Any:
        """In a map step: the element that this execution is about."""
        return self._item.value()

    @cached_property
    def result(self) -> Any:
        """In a compensation: what the step gave."""
        return self._result.value()

    @property
    def lost(self) -> bool:
        """Whether the lease on the run was lost: somebody else may be driving it, and no result of this one counts."""
        return self._fate.lost

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for this attempt any more: it took too long, or the run was cancelled or lost."""
        return self._timed_out or self._fate.cancelled or self._fate.over or self._fate.lost

    @cached_property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry workflow_id, step_name and attempt as attributes."""
        extra = {"workflow_id": self.workflow_id, "step_name": self.step_name, "attempt": self.attempt}
        return logging.LoggerAdapter(_LOG, extra)

    @property
    def timed_out(self) -> bool:
        """Whether the attempt has taken longer than its timeout."""
        return self._timed_out

    def time_out(self) -> None:
        """Called by the runner when the attempt has taken too long."""
        self._timed_out = True

    def again(
        self,
        *,
        attempt: int | None = None,
        index: int | None = None,
        item: Encoded | None = None,
        result: Encoded | None = None,
        error: Any = None,
    ) -> Self:
        """A context for another call on behalf of the same step, with copies of its own."""
        other = copy.copy(self)
        for name in ("input", "deps", "prev", "item", "result", "logger"):
            other.__dict__.pop(name, None)
        other._timed_out = False
        other.attempt = self.attempt if attempt is None else attempt
        other.index, other.error = index, error
        other._item = self._item if item is None else item
        other._result = self._result if result is None else result
        return other
