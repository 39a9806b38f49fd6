"""The state of a run as a flowchart, from its handle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from _flowchart import Flowchart

from promin_postgres.errors import NotFound, StepFailed, WorkflowSuspended

New = Callable[..., Any]


def test_steps_are_coloured_by_what_is_recorded(new_workflow: New) -> None:
    flow = (
        new_workflow("order")
        .step("fetch", lambda ctx: 1)
        .wait_for_signal("approval", signal="approval", timeout=60)
        .step("ship", lambda ctx: 2)
    )
    with pytest.raises(WorkflowSuspended):
        flow.run(workflow_id="w")
    chart = Flowchart(flow.get_handle("w").to_mermaid())
    assert chart.classes == {"fetch": "completed", "approval": "waiting", "ship": "pending"}
    assert chart.labels["approval"] == ["signal approval, for 60 s"]
    assert chart.edges == [("fetch", "approval"), ("approval", "ship")]
    with pytest.raises(NotFound):
        flow.get_handle("nothing").to_mermaid()


def test_a_function_shows_the_steps_that_it_has_asked_for(new_durable: New) -> None:
    def order(ctx: Any, given: Any) -> Any:
        ctx.step("fetch", int)
        try:
            ctx.step("fetch", int, "no number")
        except StepFailed:
            ctx.sleep("cool off", 3600)

    flow = new_durable("order", order)
    assert list(Flowchart(flow.to_mermaid()).labels.values()) == [[f"function {order.__qualname__}"]]
    with pytest.raises(WorkflowSuspended):
        flow.run(workflow_id="w")
    chart = Flowchart(flow.get_handle("w").to_mermaid())
    assert chart.classes == {"fetch": "completed", "fetch#2": "failed", "cool off": "waiting"}
    assert chart.edges == [("fetch", "fetch#2"), ("fetch#2", "cool off")]


def test_steps_side_by_side_stand_side_by_side(new_durable: New, twin_storage: Any) -> None:
    def order(ctx: Any, given: Any) -> Any:
        ctx.step("first", int)
        ctx.step("last", int)

    flow = new_durable("order", order)
    flow.run(workflow_id="w")
    for name in ("left", "right"):
        twin_storage.save_step_result("w", name, metadata={"beside": True})
    twin_storage.save_step_result("w", "end")
    chart = Flowchart(flow.get_handle("w").to_mermaid())
    assert chart.edges == [
        ("first", "last"),
        ("last", "left"),
        ("last", "right"),
        ("left", "end"),
        ("right", "end"),
    ]
