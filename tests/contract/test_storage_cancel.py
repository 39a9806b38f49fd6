"""Cancelling, both twins: a status of its own, refused for what has ended, cascading to unfinished descendants."""

from __future__ import annotations

from typing import Any

import pytest

from promin_postgres.errors import InvalidArgument, WorkflowCancelled
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow.storage import ErrorRecord, StepSpec

STEPS = (StepSpec(step_name="b"), StepSpec(step_name="a", depends_on=("b",)))
BOOM = ErrorRecord(error_type="E", message="boom")


def test_cancelled_is_a_status_of_its_own(twin_storage: Any) -> None:
    twin_storage.create_workflow("w", workflow_name="n", steps=STEPS)
    twin_storage.save_step_result("w", "b", 1)
    assert twin_storage.cancel_workflow("w") == 1
    state = twin_storage.load_workflow("w")
    assert state.status is WorkflowStatus.CANCELLED
    assert state.status not in (WorkflowStatus.FAILED, WorkflowStatus.COMPLETED)
    assert state.completed_at is not None
    assert {name: step.status for name, step in state.steps.items()} == {
        "b": StepStatus.COMPLETED,
        "a": StepStatus.CANCELLED,
    }
    assert twin_storage.cancel_workflow("w") == 0
    assert twin_storage.load_workflow("w") == state
    for write in (
        lambda: twin_storage.begin_run("w"),
        lambda: twin_storage.complete_workflow("w", 1),
        lambda: twin_storage.fail_workflow("w", BOOM),
        lambda: twin_storage.replace_steps("w", STEPS, version="2"),
        lambda: twin_storage.suspend_workflow("w", "a", until=1),
        lambda: twin_storage.deliver_signal("w", "go"),
    ):
        with pytest.raises(WorkflowCancelled) as caught:
            write()
        assert caught.value.workflow_id == "w"
    assert twin_storage.load_workflow("w") == state


@pytest.mark.parametrize("ended", [WorkflowStatus.COMPLETED, WorkflowStatus.FAILED])
def test_what_has_ended_cannot_be_cancelled_nor_its_children_through_it(twin_storage: Any, ended: Any) -> None:
    twin_storage.create_workflow("w", workflow_name="n")
    twin_storage.create_workflow("child", workflow_name="n", parent_workflow_id="w")
    if ended is WorkflowStatus.COMPLETED:
        twin_storage.complete_workflow("w", 1)
    else:
        twin_storage.fail_workflow("w", BOOM)
    before = twin_storage.load_workflow("w")
    with pytest.raises(InvalidArgument, match=f"cannot be cancelled: {ended.name.lower()} already"):
        twin_storage.cancel_workflow("w", cascade=True)
    assert twin_storage.load_workflow("w") == before
    assert twin_storage.load_workflow("child").status is WorkflowStatus.PENDING


def test_a_cascade_cancels_every_unfinished_descendant(twin_storage: Any) -> None:
    tree = {"root": None, "a": "root", "b": "root", "a1": "a", "a2": "a", "deep": "a2", "stranger": None}
    for workflow_id, parent in tree.items():
        twin_storage.create_workflow(workflow_id, workflow_name="n", steps=STEPS, parent_workflow_id=parent)
    twin_storage.complete_workflow("a", "done")
    twin_storage.suspend_workflow("deep", "b", signal="go")
    assert twin_storage.cancel_workflow("b") == 1
    assert twin_storage.cancel_workflow("root") == 1, "without cascade the children go on"
    assert twin_storage.load_workflow("a1").status is WorkflowStatus.PENDING
    assert twin_storage.cancel_workflow("root", cascade=True) == 3, "a1, a2 and deep: below a completed one too"
    statuses = {state.workflow_id: state.status.name for state in twin_storage.list_workflows()}
    assert statuses.pop("a") == "COMPLETED"
    assert statuses.pop("stranger") == "PENDING"
    assert set(statuses.values()) == {"CANCELLED"}
    assert twin_storage.load_workflow("deep").steps["b"].status is StepStatus.CANCELLED
