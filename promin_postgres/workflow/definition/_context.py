"""What a step's function is called with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from promin_postgres.codec import JSON

_LOG = logging.getLogger("promin_postgres.workflow.step")


class Payload:
    """A value as the database keeps it: whoever asks gets a copy of his own, as it would be after a restart."""

    __slots__ = ("_text", "_value")

    def __init__(self, recorded: Any) -> None:
        """A value that was read from the database."""
        self._value = recorded
        self._text: str | None = None

    @classmethod
    def encoded(cls, value: Any, *, subject: str) -> Payload:
        """A value that was just made; CodecError if the database could not keep it."""
        payload = cls(None)
        payload._text = JSON.encode(value, subject=subject)
        return payload

    def copy(self) -> Any:
        if self._text is None:  # several threads may find it so at once, and come to the same text
            self._text = JSON.encode(self._value)
        return JSON.decode(self._text)


class Fate:
    """What became of a run, for its handlers to see while they work."""

    __slots__ = ("_holds", "_lost", "over")

    def __init__(self, holds: Callable[[], bool]) -> None:
        self._holds = holds
        self._lost = False
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
        input: Payload,  # noqa: A002 - the word of the public API
        deps: Mapping[str, Payload],
        fate: Fate,
    ) -> None:
        self.workflow_id = workflow_id
        self.step_name = step_name
        self.attempt = attempt
        """1 at the first execution of the step in this run; goes on counting when a failed run is resumed."""
        self._input = input
        self._deps = deps
        self._fate = fate
        self._timed_out = False

    @cached_property
    def input(self) -> Any:
        """The input of the run, as it was recorded."""
        return self._input.copy()

    @cached_property
    def deps(self) -> dict[str, Any]:
        """The result of each step that this one depends on, by name."""
        return {name: payload.copy() for name, payload in self._deps.items()}

    @cached_property
    def prev(self) -> Any:
        """The result of the one step that this one depends on; `deps` when there are several, None without any."""
        if len(self._deps) == 1:
            return next(iter(self.deps.values()))
        return self.deps or None

    @property
    def lost(self) -> bool:
        """Whether the lease on the run was lost: somebody else may be driving it, and no result of this one counts."""
        return self._fate.lost

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for this attempt any more: it took too long, or the run was stopped or lost."""
        return self._timed_out or self._fate.over or self._fate.lost

    def time_out(self) -> None:
        """Called by the runner when the attempt has taken too long."""
        self._timed_out = True

    @cached_property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry workflow_id, step_name and attempt as attributes."""
        extra = {"workflow_id": self.workflow_id, "step_name": self.step_name, "attempt": self.attempt}
        return logging.LoggerAdapter(_LOG, extra)
