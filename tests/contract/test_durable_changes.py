"""A function that asks for other steps than those recorded is refused; under another version it goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from promin_postgres.errors import DefinitionChanged, StepFailed
from promin_postgres.lookups import StepType, WorkflowStatus

New = Callable[..., Any]


class Script:
    """A function that asks for the steps it is told; "!" fails."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.done: list[str] = []
        self.catches = False

    def __call__(self, ctx: Any, given: Any) -> Any:
        results = []
        for name in list(self.names):
            try:
                results.append(ctx.step(name, self.work, name))
            except Exception:
                if not self.catches:
                    raise
        return results

    def work(self, name: str) -> str:
        self.done.append(name)
        if name == "!":
            raise ValueError("no")
        return name


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def new_script(new_durable: New, script: Script) -> New:
    def body(ctx: Any, given: Any) -> Any:
        return script(ctx, given)

    return lambda **options: new_durable("script", body, **options)


@pytest.mark.parametrize(
    ("before", "now", "named"),
    [
        (["a", "b", "!"], ["a", "new", "b"], ("new", "b")),
        (["a", "b", "!"], ["b2", "a", "b"], ("b2", "a", "b")),
        (["a", "a", "!"], ["a", "b", "a"], ("b", "a#2")),
        (["a", "b", "!"], ["a", "!"], ("b",)),
        (["a", "b", "!"], ["a"], ("b",)),
        (["a", "!"], ["a"], ("!",)),
        (["a", "!"], ["new", "a"], ("new", "a")),
    ],
)
@pytest.mark.parametrize("catches", [False, True])
def test_another_step_than_recorded_is_refused_and_named(
    new_script: New,
    twin_storage: Any,
    script: Script,
    before: list[str],
    now: list[str],
    named: tuple[str, ...],
    catches: bool,
) -> None:
    flow = new_script(version="1")
    script.names = before
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w")
    recorded = twin_storage.load_workflow("w").steps
    script.names, script.done, script.catches = now, [], catches
    with pytest.raises(DefinitionChanged) as caught:
        flow.run(workflow_id="w")
    assert set(named) <= set(caught.value.steps)
    assert caught.value.workflow_id == "w"
    assert [name for name in script.done if name != "!"] == []
    assert twin_storage.load_workflow("w").steps.keys() == recorded.keys(), "nothing was recorded"
    assert not twin_storage.load_workflow("w").status.is_final
    script.names, script.catches = [name for name in before if name != "!"] + ["mended"], False


def test_the_function_that_was_recorded_goes_on_after_another_was_refused(new_script: New, script: Script) -> None:
    flow = new_script()
    script.names = ["a", "b", "!"]
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w")
    script.names = ["new"]
    with pytest.raises(DefinitionChanged):
        flow.run(workflow_id="w")
    script.names = ["a", "b", "!"]
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w")
    assert script.done == ["a", "b", "!", "!"]


def test_new_steps_may_follow_what_is_recorded(new_durable: New) -> None:
    """A defect at the end is mended by asking for more: nothing that was recorded stands against it."""
    done = []
    mended: list[str] = []

    def body(ctx: Any, given: Any) -> Any:
        ctx.step("a", done.append, "a")
        if not mended:
            raise KeyError("not mended yet")
        ctx.step("b", done.append, "b")

    flow = new_durable("w", body)
    with pytest.raises(KeyError):
        flow.run(workflow_id="w")
    mended.append("yes")
    flow.run(workflow_id="w")
    assert done == ["a", "b"]


def test_a_step_of_another_kind_is_refused(new_durable: New, twin_storage: Any) -> None:
    kinds = [lambda ctx: ctx.step("x", int), lambda ctx: ctx.sleep("x", 0)]

    def body(ctx: Any, given: Any) -> Any:
        kinds[0](ctx)
        raise KeyError

    flow = new_durable("w", body)
    with pytest.raises(KeyError):
        flow.run(workflow_id="w")
    kinds.reverse()
    with pytest.raises(DefinitionChanged, match="'x' was a STEP and is a SLEEP now"):
        flow.run(workflow_id="w")
    assert twin_storage.load_workflow("w").steps["x"].step_type is StepType.STEP


def test_another_version_goes_on_with_what_is_completed(new_script: New, twin_storage: Any, script: Script) -> None:
    script.names = ["a", "old", "b", "!"]
    with pytest.raises(StepFailed):
        new_script(version="1").run(workflow_id="w")
    script.names, script.done = ["a", "new", "b", "c", "!"], []
    with pytest.raises(StepFailed):
        new_script(version="2").run(workflow_id="w")
    assert script.done == ["new", "c", "!"]
    script.names, script.done = ["a", "newer", "b"], []
    with pytest.raises(DefinitionChanged, match=r"'newer'.*'new'"):
        new_script(version="2").run(workflow_id="w")
    script.names = ["a", "b"]
    assert new_script(version="3").run(workflow_id="w") == ["a", "b"]
    assert script.done == []
    state = twin_storage.load_workflow("w")
    assert (state.version, state.status) == ("3", WorkflowStatus.COMPLETED)
