"""How a workflow that is written as a function looks as a definition: one step, which executes the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from promin_postgres.workflow.definition._records import Definition
from promin_postgres.workflow.storage._records import StepState

ROOT = "#"
"""The step that is declared. Those that the function asks for are recorded as they come."""


class FunctionBody:
    """What is called in place of the function of the declared step. The runners have their own."""

    name: str
    """Of the function."""
    execute: Callable[..., Any]
    """Called by a runner with `runner`, `context`, `lease` and `launch`; gives a verdict."""

    def __call__(self, context: Any) -> Any:
        raise NotImplementedError("executed by a runner, with the lease of the run")


def body_of(definition: Definition) -> FunctionBody | None:
    """What executes the function that a definition was made of; None when it was built step by step."""
    root = definition.steps.get(ROOT)
    return root.function if root is not None and isinstance(root.function, FunctionBody) else None


def noted(state: StepState, note: str) -> Any:
    """What a replay noted with a step."""
    return state.metadata.get(note) if isinstance(state.metadata, dict) else None
