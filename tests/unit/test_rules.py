"""What is ready, what is retried and what has changed follow from the definition and the record alone."""

from __future__ import annotations

import sys
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promin_postgres.lookups import StepStatus, StepType
from promin_postgres.workflow import Definition
from promin_postgres.workflow.definition import Progress, differences, specs
from promin_postgres.workflow.storage import StepState


def of(**graph: Any) -> Definition:
    definition = Definition(name="w")
    for name, depends_on in graph.items():
        definition = definition.with_step(name, print, depends_on=depends_on)
    return definition


def record(name: str, status: StepStatus, attempt: int = 1, depends_on: tuple[str, ...] = ()) -> StepState:
    return StepState(
        step_name=name, status=status, step_type=StepType.STEP, depends_on=depends_on, result=None, error=None,
        attempt=attempt, started_at=None, completed_at=None, duration=None, tasks=(), wake_at=None, signal_name=None,
        signal_timeout_at=None, metadata=None,
    )  # fmt: skip


def recorded(definition: Definition, **statuses: StepStatus) -> dict[str, StepState]:
    return {
        name: record(name, statuses.get(name, StepStatus.PENDING), depends_on=step.depends_on)
        for name, step in definition.steps.items()
    }


def drain(progress: Progress) -> list[str]:
    return [progress.take()[0] for _ in range(progress.ready)]


def test_a_step_is_ready_when_the_last_of_its_dependencies_is_done() -> None:
    progress = Progress(of(a=[], b=[], join=["a", "b"], after=["join"]), {})
    assert drain(progress) == ["a", "b"]
    progress.complete("b")
    assert progress.ready == 0
    progress.complete("a")
    assert drain(progress) == ["join"]
    progress.complete("join")
    assert drain(progress) == ["after"]
    assert progress.left == 1
    progress.complete("after")
    assert progress.left == 0


def test_what_is_recorded_as_completed_is_not_ready_again() -> None:
    definition = of(a=[], b=["a"], c=["a"], d=["b", "c"])
    progress = Progress(definition, recorded(definition, a=StepStatus.COMPLETED, c=StepStatus.COMPLETED))
    assert progress.left == 2
    assert drain(progress) == ["b"]
    progress.complete("b")
    assert drain(progress) == ["d"]


@pytest.mark.parametrize(
    ("status", "attempt", "number", "tries"),
    [
        (StepStatus.PENDING, 0, 1, 1),
        (StepStatus.PENDING, 2, 3, 3),  # a process died between two attempts: they count
        (StepStatus.FAILED, 3, 4, 1),  # the run had failed and was resumed: the policy begins anew
    ],
)
def test_attempts_go_on_counting_when_a_run_is_resumed(
    status: StepStatus, attempt: int, number: int, tries: int
) -> None:
    progress = Progress(of(a=[]), {"a": record("a", status, attempt)})
    assert progress.take() == ("a", number)
    assert progress.tries("a") == tries
    progress.retry("a", at=0.0)
    assert progress.wake(0.0) is None
    assert progress.take() == ("a", number + 1)
    assert progress.tries("a") == tries + 1


def test_a_pausing_step_becomes_ready_at_its_moment_and_not_before() -> None:
    progress = Progress(of(a=[], b=[], c=[]), {})
    drain(progress)
    progress.retry("b", at=20.0)
    progress.retry("a", at=10.0)
    assert progress.wake(9.5) == 0.5
    assert progress.ready == 0
    assert progress.wake(10.0) == 10.0
    assert progress.take() == ("a", 2)
    assert progress.wake(99.0) is None
    assert progress.take() == ("b", 2)


@given(st.data())
def test_every_step_runs_once_and_after_all_it_depends_on(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    graph = {f"s{n}": [f"s{m}" for m in data.draw(st.sets(st.integers(0, n - 1)))] if n else [] for n in range(size)}
    definition = of(**graph)
    definition.check()
    # Any steps may be completed: another version of the definition may have added what they depend on.
    done = data.draw(st.lists(st.sampled_from(list(graph)), unique=True))
    progress = Progress(definition, recorded(definition, **dict.fromkeys(done, StepStatus.COMPLETED)))
    running: list[str] = []
    while progress.left:
        running += drain(progress)
        name = running.pop(data.draw(st.integers(0, len(running) - 1)))
        assert set(graph[name]) <= set(done)
        assert name not in done
        done.append(name)
        progress.complete(name)
    assert progress.ready == 0
    assert sorted(done) == sorted(graph)


def test_no_differences_with_itself_or_in_another_order() -> None:
    before = of(a=[], b=[], c=["a", "b"])
    assert differences(before, recorded(before)) == {}
    assert differences(of(b=[], a=[], c=["b", "a"]), recorded(before)) == {}


def test_differences_name_each_step_that_is_new_gone_or_rewired() -> None:
    before = of(a=[], b=["a"], c=["b"], d=["c"])
    after = of(a=[], x=["a"], c=["x", "a"], d=["c"])
    assert differences(after, recorded(before)) == {
        "x": "step 'x' is new",
        "c": "step 'c' depended on ['b'] and now on ['x', 'a']",
        "b": "step 'b' is gone",
    }
    assert differences(of(a=[], b=[]), recorded(of(a=[], b=["a"]))) == {
        "b": "step 'b' depended on ['a'] and now on nothing"
    }


def test_a_step_that_became_one_of_another_kind_is_a_difference() -> None:
    before = recorded(of(a=[]))
    before["a"] = attrs.evolve(before["a"], step_type=StepType.SLEEP)
    assert differences(of(a=[]), before) == {"a": "step 'a' was of the kind sleep and is now of the kind step"}


def test_a_completed_step_that_is_gone_matters_only_beside_other_differences() -> None:
    before = recorded(of(a=[], b=[]), a=StepStatus.COMPLETED)
    assert differences(of(b=[]), before) == {}
    assert set(differences(of(b=[], c=[]), before)) == {"a", "c"}
    assert set(differences(of(a=[]), before)) == {"b"}


def test_specs_keep_order_and_dependencies() -> None:
    assert [(spec.step_name, spec.depends_on) for spec in specs(of(b=["a"], a=[]))] == [("b", ("a",)), ("a", ())]


def test_driving_a_long_run_costs_the_same_for_each_step() -> None:
    def lines_per_step(size: int) -> float:
        definition = of(**{f"s{n}": [f"s{n - 1}"] if n else [] for n in range(size)})
        definition.check()
        progress = Progress(definition, {})
        lines = 0

        def count(frame: Any, event: str, _: Any) -> Any:
            nonlocal lines
            lines += event == "line"
            return count

        before = sys.gettrace()
        sys.settrace(count)
        try:
            while progress.left:
                progress.wake(0.0)
                progress.complete(progress.take()[0])
        finally:
            sys.settrace(before)
        return lines / size

    assert lines_per_step(3_000) < 1.1 * lines_per_step(100)
