"""A run executes every step once, in order of dependence, and its record is the answer from then on."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from promin_postgres.errors import InvalidArgument
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow import Context

New = Callable[..., Any]


def test_a_linear_workflow_hands_results_on_and_runs_once(new_workflow: New, twin_storage: Any) -> None:
    executed: list[str] = []

    def step(ctx: Context) -> int:
        executed.append(ctx.step_name)
        return (ctx.input["start"] if ctx.prev is None else ctx.prev) * 2

    workflow = new_workflow("double").step("one", step).step("two", step).step("three", step)
    assert workflow.run(workflow_id="w", input={"start": 1}) == 8
    assert workflow.run(workflow_id="w", input={"start": 100}) == 8, "the record is the answer"
    assert executed == ["one", "two", "three"]
    state = twin_storage.load_workflow("w")
    assert (state.status, state.result, state.input) == (WorkflowStatus.COMPLETED, 8, {"start": 1})
    assert {name: (s.status, s.result, s.attempt) for name, s in state.steps.items()} == {
        "one": (StepStatus.COMPLETED, 2, 1),
        "two": (StepStatus.COMPLETED, 4, 1),
        "three": (StepStatus.COMPLETED, 8, 1),
    }
    assert all(s.started_at <= s.completed_at for s in state.steps.values())


def test_a_context_shows_what_the_step_depends_on(new_workflow: New) -> None:
    seen: dict[str, Any] = {}

    def look(ctx: Context) -> str:
        seen[ctx.step_name] = (ctx.prev, ctx.deps, ctx.input, ctx.workflow_id, ctx.attempt, ctx.lost, ctx.cancelled)
        return ctx.step_name.upper()

    workflow = (
        new_workflow("dag")
        .step("join", look, depends_on=["left", "right"])
        .step("root", look, depends_on=[])
        .step("left", look, depends_on="root")
        .step("right", look, depends_on=["root"])
        .step("aside", look, depends_on=[])
    )
    assert workflow.run(workflow_id="w", input=[1]) == {"join": "JOIN", "aside": "ASIDE"}
    common = ([1], "w", 1, False, False)
    assert seen == {
        "root": (None, {}, *common),
        "aside": (None, {}, *common),
        "left": ("ROOT", {"root": "ROOT"}, *common),
        "right": ("ROOT", {"root": "ROOT"}, *common),
        "join": ({"left": "LEFT", "right": "RIGHT"}, {"left": "LEFT", "right": "RIGHT"}, *common),
    }


def test_the_metadata_version_and_type_are_recorded(new_workflow: New, twin_storage: Any) -> None:
    workflow = new_workflow("w", type="report", version="7", metadata={"team": "ä"}).step("a", lambda ctx: None)
    assert workflow.run(workflow_id="w") is None
    state = twin_storage.load_workflow("w")
    assert (state.workflow_name, state.workflow_type, state.version) == ("w", "report", "7")
    assert state.metadata == {"team": "ä"}


def test_independent_steps_run_side_by_side(new_workflow: New) -> None:
    barrier = threading.Barrier(8, timeout=20)
    workflow = new_workflow("wide")
    for number in range(8):
        workflow = workflow.step(f"s{number}", lambda ctx: barrier.wait(), depends_on=[])
    assert sorted(workflow.run(workflow_id="w").values()) == list(range(8))


def test_no_more_than_max_concurrency_run_side_by_side(new_workflow: New) -> None:
    lock = threading.Lock()
    pairs = threading.Barrier(2, timeout=20)  # with fewer than two at a time it would break
    now, most = 0, 0

    def step(ctx: Context) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        pairs.wait()
        with lock:
            now -= 1

    workflow = new_workflow("narrow", max_concurrency=2)
    for number in range(6):
        workflow = workflow.step(f"s{number}", step, depends_on=[])
    workflow.run(workflow_id="w")
    assert most == 2


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "many"])
def test_a_senseless_max_concurrency_is_refused(new_workflow: New, limit: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        new_workflow("w", max_concurrency=limit)
    assert caught.value.argument == "max_concurrency"


@pytest.mark.parametrize(
    "odd",
    [
        'it\'s "quoted"',
        "100 %, %s and %(x)s",
        "😀🏴‍☠️",
        "x" * 10_240,
        "'; DROP TABLE wf_workflows; --",
        "{prefix}",
        "\\",
        " ",
    ],
    ids=["quotes", "percent", "emoji", "10kB", "injection", "braces", "backslash", "blank"],
)
def test_odd_ids_and_names_are_only_text(new_workflow: New, twin_storage: Any, odd: str) -> None:
    name = odd[:255]
    workflow = new_workflow(name).step(name, lambda ctx: [ctx.workflow_id, ctx.step_name, ctx.input])
    expected = [odd, name, {odd: odd}]
    assert workflow.run(workflow_id=odd, input={odd: odd}) == expected
    assert workflow.run(workflow_id=odd) == expected
    assert twin_storage.load_workflow(odd).steps[name].result == expected
    assert twin_storage.load_workflow(odd + "x") is None


@pytest.mark.parametrize("bad", ["", "a\x00b", "\udc00", None, 7])
def test_ids_that_are_no_text_are_refused(new_workflow: New, bad: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        new_workflow("w").step("a", lambda ctx: None).run(workflow_id=bad)
    assert caught.value.argument == "workflow_id"


def test_a_definition_that_cannot_run_writes_nothing(new_workflow: New, twin_storage: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"nowhere.*cycle"):
        new_workflow("w").step("a", print, depends_on=["nowhere", "b"]).step("b", print).run(workflow_id="w")
    assert twin_storage.load_workflow("w") is None


def test_the_id_of_another_workflow_is_refused(new_workflow: New) -> None:
    new_workflow("one").step("a", lambda ctx: "one").run(workflow_id="w")
    for force in (False, True):
        with pytest.raises(InvalidArgument, match="'one'"):
            new_workflow("two").step("a", lambda ctx: "two").run(workflow_id="w", force=force)


def test_every_step_sees_the_context_variables_of_the_caller(new_workflow: New) -> None:
    tenant = contextvars.ContextVar("tenant", default="nobody")

    def look(ctx: Context) -> str:
        return tenant.get()

    workflow = new_workflow("w").step("in turn", look)
    for name in ("a", "b"):
        workflow = workflow.step(name, look, depends_on="in turn", timeout=20)
    token = tenant.set("somebody")
    try:
        assert workflow.run(workflow_id="w") == {"a": "somebody", "b": "somebody"}
    finally:
        tenant.reset(token)


def test_the_logger_names_the_run(new_workflow: New, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="promin_postgres"):
        new_workflow("w").step("a", lambda ctx: ctx.logger.info("half way")).run(workflow_id="w1")
    (record,) = [r for r in caplog.records if r.getMessage() == "half way"]
    assert (record.workflow_id, record.step_name, record.attempt) == ("w1", "a", 1)  # type: ignore[attr-defined]
