"""A definition refuses what cannot run, and never changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from promin_postgres._retry import Retry
from promin_postgres.errors import InvalidArgument
from promin_postgres.workflow import Definition


def work(ctx: Any) -> None: ...


def add(definition: Definition, name: str, depends_on: Any = None, **options: Any) -> Definition:
    return definition.with_step(name, work, depends_on=depends_on, **options)


def of(**graph: Any) -> Definition:
    definition = Definition(name="w")
    for name, depends_on in graph.items():
        definition = add(definition, name, depends_on)
    return definition


def test_a_step_depends_on_the_one_before_it_unless_told_otherwise() -> None:
    definition = of(a=None, b=None, c=[], d="a", e=["c", "b"], f=("e",))
    assert {name: step.depends_on for name, step in definition.steps.items()} == {
        "a": (), "b": ("a",), "c": (), "d": ("a",), "e": ("c", "b"), "f": ("e",),
    }  # fmt: skip
    assert definition.terminal == ("d", "f")
    assert definition.dependents["a"] == ("b", "d")


def test_each_step_makes_a_new_definition() -> None:
    trunk = of(a=None)
    left, right = add(trunk, "b"), add(trunk, "c")
    assert list(trunk.steps) == ["a"]
    assert list(left.steps) == ["a", "b"]
    assert list(right.steps) == ["a", "c"]
    with pytest.raises(TypeError):
        trunk.steps["z"] = left.steps["b"]  # type: ignore[index]


def test_a_step_may_wait_for_one_declared_later() -> None:
    definition = of(last=["first"], first=[])
    definition.check()
    assert definition.terminal == ("last",)


def test_all_problems_of_the_whole_come_in_one_error() -> None:
    definition = of(a=["b"], b=["c"], c=["a"], alone=["alone"], behind=["a"], fine=[], lost=["nowhere", "fine"])
    with pytest.raises(InvalidArgument) as caught:
        definition.check()
    assert caught.value.argument == "workflow"
    assert caught.value.problem.split("; ") == [
        "step 'lost' depends on 'nowhere', which is not a step of it",
        "a cycle: 'a' -> 'b' -> 'c' -> 'a'",
        "a cycle: 'alone' -> 'alone'",
    ]


def test_a_definition_without_steps_cannot_run() -> None:
    with pytest.raises(InvalidArgument, match="no steps"):
        Definition(name="w").check()


@pytest.mark.parametrize("name", ["", "x" * 256, "a\x00b", "\ud800", None, 7])
def test_malformed_names_are_refused_everywhere(name: Any) -> None:
    attempts: dict[str, Callable[[], Any]] = {
        "name": lambda: Definition(name=name),
        "depends_on": lambda: add(Definition(name="w"), "a", [name]),
    }
    if name is not None:
        attempts |= {
            "type": lambda: Definition(name="w", type=name),
            "version": lambda: Definition(name="w", version=name),
        }
    for argument, attempt in attempts.items():
        with pytest.raises(InvalidArgument) as caught:
            attempt()
        assert (caught.value.argument, caught.value.value) == (argument, name)
    with pytest.raises(InvalidArgument):
        add(Definition(name="w"), name)


@pytest.mark.parametrize("name", ["x" * 255, "😀" * 255, "'; DROP TABLE wf_workflows --", "%s %(x)s", " "])
def test_odd_names_are_names(name: str) -> None:
    definition = add(Definition(name=name), name)
    definition.check()
    assert list(definition.steps) == [name]


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("name", {"name": "taken"}),
        ("fn", {"function": "no function"}),
        ("retry", {"retry": 3}),
        ("timeout", {"timeout": 0}),
        ("timeout", {"timeout": -1}),
        ("timeout", {"timeout": float("nan")}),
        ("timeout", {"timeout": "soon"}),
        ("depends_on", {"depends_on": ["a", "a"]}),
        ("depends_on", {"depends_on": 5}),
        ("on_failure", {"on_failure": "explode"}),
        ("compensate", {"compensate": "no function"}),
        ("transactional", {"transactional": 1}),
        ("queue", {"queue": ""}),
        ("priority", {"priority": 11}),
        ("priority", {"priority": -1}),
        ("priority", {"priority": True}),
        ("retry_if", {"retry_if": ValueError("no function")}),
    ],
)
def test_what_is_wrong_with_one_step_is_refused_at_once(argument: str, options: dict[str, Any]) -> None:
    given: dict[str, Any] = {"name": "new", "function": work} | options
    with pytest.raises(InvalidArgument) as caught:
        of(taken=None).with_step(**given)
    assert caught.value.argument == argument


def test_durations_and_policies_are_kept() -> None:
    retry = Retry(max_attempts=5)
    step = add(of(), "a", timeout=timedelta(minutes=1), retry=retry).steps["a"]
    assert (step.timeout, step.retry) == (60.0, retry)
    assert add(of(), "a").steps["a"].retry.max_attempts == 1


def test_ten_thousand_steps_in_a_row_need_no_recursion() -> None:
    definition = Definition(name="long")
    for number in range(10_000):
        definition = add(definition, f"s{number}")
    definition.check()
    assert definition.terminal == ("s9999",)
