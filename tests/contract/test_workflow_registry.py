"""Versions of a workflow side by side."""

from __future__ import annotations

from typing import Any

import pytest
from _runs import Runs

from promin_postgres.errors import InvalidArgument, NotFound, StepFailed
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow import AsyncWorkflowRegistry, WorkflowRegistry


def nothing(ctx: Any) -> None:
    pass


def versions(runs: Runs, *names: str) -> list[Any]:
    """A workflow in some versions, whose result is its version."""
    return [runs.workflow("w", version=name).step("a", nothing).step("b", lambda ctx, v=name: v) for name in names]


def registry(runs: Runs, *workflows: Any) -> Any:
    return runs.twin.pick(WorkflowRegistry, AsyncWorkflowRegistry)(*workflows)


def test_new_runs_take_the_latest_and_old_ones_go_on_with_theirs(runs: Runs) -> None:
    one, two = versions(runs, "1", "2")
    before = registry(runs, one)
    old = before.start("w", workflow_id="old")
    now = registry(runs, one, two, runs.workflow("other").step("a", nothing))
    new = now.start("w", workflow_id="new")
    assert now.count_by_version("w") == {"1": {WorkflowStatus.RUNNING: 1}, "2": {WorkflowStatus.RUNNING: 1}}
    with runs.worker_of(now):
        assert (old.result(timeout=20), new.result(timeout=20)) == ("1", "2")
    assert now.count_by_version("w") == {"1": {WorkflowStatus.COMPLETED: 1}, "2": {WorkflowStatus.COMPLETED: 1}}
    assert now.get_handle("old").result() == "1"
    assert now.start("w", workflow_id="old").result() == "1"
    assert now.count_by_version("other") == {}


def test_in_this_process(runs: Runs) -> None:
    def fails_once(ctx: Any) -> str:
        if ctx.attempt == 1:
            raise ValueError("no")
        return "one"

    one = runs.workflow("w", version="1").step("a", fails_once)
    two = runs.workflow("w", version="2").step("a", nothing)
    with pytest.raises(StepFailed):
        registry(runs, one).run("w", workflow_id="old")
    now = registry(runs, one, two)
    assert now.resume(workflow_id="old") == "one"
    assert now.run("w", workflow_id="old") == "one"
    assert now.run("w", workflow_id="new") is None
    assert {run.version for run in runs.storage.list_workflows()} == {"1", "2"}


def test_what_is_not_there(runs: Runs) -> None:
    one, two = versions(runs, "1", "2")
    one.start(workflow_id="old")
    now = registry(runs, two)
    for ask in (
        lambda: now.latest("x"), lambda: now.get("w", "1"), lambda: now.start("x", workflow_id="w"),
        lambda: now.run("w", workflow_id="old"), lambda: now.resume(workflow_id="old"),
        lambda: now.resume(workflow_id="nobody"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            ask()
    for wrong in ((), (one, one), ("w",), (runs.workflow("empty"),)):
        with pytest.raises(InvalidArgument):
            registry(runs, *wrong)
