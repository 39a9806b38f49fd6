"""What steps hand on is what the database keeps: checked before it is written, and never shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from promin_postgres._retry import Retry
from promin_postgres.errors import CodecError
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow import Context

New = Callable[..., Any]


def _loop() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


FAULTS = {
    "NUL": ({"a": ["x", "b\x00"]}, "$.a[1]", "NUL"),
    "lone surrogate": ({"a": {"b c": "\ud800"}}, '$.a["b c"]', "surrogate"),
    "surrogate key": ({"a": {"\udfff": 1}}, "$.a", "surrogate"),
    "NaN": ([1.0, float("nan")], "$[1]", "nan"),
    "infinity": (float("-inf"), "$", "inf"),
    "set": ({"tags": [{"x": {1}}]}, "$.tags[0].x", "set"),
    "bytes": ({"raw": b"x"}, "$.raw", "bytes"),
    "key": ({"a": {1: "one"}}, "$.a", "key"),
    "cycle": (_loop(), "$[0]", "itself"),
}


@pytest.mark.parametrize(("value", "path", "problem"), FAULTS.values(), ids=FAULTS.keys())
def test_an_input_that_is_not_json_is_refused_before_anything_is_written(
    new_workflow: New, twin_storage: Any, value: Any, path: str, problem: str
) -> None:
    with pytest.raises(CodecError, match=problem) as caught:
        new_workflow("w").step("a", lambda ctx: None).run(workflow_id="w", input=value)
    assert (caught.value.path, caught.value.subject) == (path, "input")
    assert twin_storage.load_workflow("w") is None


@pytest.mark.parametrize(("value", "path", "problem"), FAULTS.values(), ids=FAULTS.keys())
def test_a_result_that_is_not_json_fails_its_step_and_is_not_tried_again(
    new_workflow: New, twin_storage: Any, value: Any, path: str, problem: str
) -> None:
    executed: list[str] = []

    def bad(ctx: Context) -> Any:
        executed.append(ctx.step_name)
        return value

    workflow = new_workflow("w").step("bad", bad, retry=Retry(max_attempts=5, base=0)).step("next", bad)
    with pytest.raises(CodecError, match=problem) as caught:
        workflow.run(workflow_id="w")
    assert (caught.value.path, caught.value.subject) == (path, "step 'bad'")
    assert executed == ["bad"]
    state = twin_storage.load_workflow("w")
    assert state.status == WorkflowStatus.FAILED
    assert state.error.error_type == "promin_postgres.errors.CodecError"
    assert (state.steps["bad"].status, state.steps["bad"].result) == (StepStatus.FAILED, None)
    assert state.steps["next"].status == StepStatus.PENDING


def test_a_step_beside_the_one_whose_result_is_refused_is_checkpointed(new_workflow: New, twin_storage: Any) -> None:
    workflow = new_workflow("w").step("good", lambda ctx: 1).step("bad", lambda ctx: object(), depends_on=[])
    with pytest.raises(CodecError, match="step 'bad'"):
        workflow.run(workflow_id="w")
    assert twin_storage.load_workflow("w").steps["good"].result == 1


def test_the_fault_in_a_result_can_be_mended_and_the_run_resumed(new_workflow: New) -> None:
    value: Any = {1, 2}
    workflow = new_workflow("w").step("a", lambda ctx: value)
    with pytest.raises(CodecError):
        workflow.run(workflow_id="w")
    value = [1, 2]
    assert workflow.run(workflow_id="w") == [1, 2]


def test_each_step_gets_its_own_copy_as_a_restart_would_show_it(new_workflow: New) -> None:
    made = {"numbers": (1, 2), "big": 1e22, "text": "ä\u2028😀"}
    live = dict(made)
    kept = {"numbers": [1, 2], "big": 1e22, "text": "ä\u2028😀"}

    def spoil(ctx: Context) -> None:
        seen = [ctx.prev, ctx.input]
        assert seen == [kept, kept]
        for value in [*seen, ctx.deps]:
            value.clear()

    def look(ctx: Context) -> Any:
        return [ctx.deps["make"], ctx.input]

    workflow = (
        new_workflow("w")
        .step("make", lambda ctx: live)
        .step("change the live object", lambda ctx: live.clear())
        .step("spoil", spoil, depends_on="make")
        .step("look", look, depends_on=["make", "spoil", "change the live object"])
    )
    assert workflow.run(workflow_id="w", input=made) == [kept, kept]


def test_a_result_handed_back_is_the_callers_own(new_workflow: New) -> None:
    workflow = new_workflow("w").step("a", lambda ctx: {"x": (1,)})
    first = workflow.run(workflow_id="w")
    assert first == {"x": [1]}
    first.clear()
    assert workflow.run(workflow_id="w") == {"x": [1]}


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}])
def test_empty_results_are_results(new_workflow: New, value: Any) -> None:
    workflow = new_workflow("w").step("a", lambda ctx: value).step("b", lambda ctx: [ctx.prev, ctx.deps])
    assert workflow.run(workflow_id="w", input=value) == [value, {"a": value}]
