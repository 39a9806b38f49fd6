"""What a durable function may ask for, given what it asked for before. Pure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promin_postgres.errors import DefinitionChanged, InvalidArgument, StepFailed
from promin_postgres.lookups import StepStatus, StepType
from promin_postgres.workflow.definition import ROOT
from promin_postgres.workflow.durable._journal import Journal, causes
from promin_postgres.workflow.storage import ErrorRecord, StepState

OWNER, OTHER = object(), object()
COMPLETED, FAILED, WAITING = StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.WAITING


def recorded(name: str, status: StepStatus = COMPLETED, **fields: Any) -> StepState:
    given = {
        "step_type": StepType.STEP,
        "depends_on": (),
        "result": f"result of {name}",
        "error": ErrorRecord(error_type="ValueError", message="no") if status is FAILED else None,
        "attempt": 1,
        "started_at": None,
        "completed_at": None,
        "duration": None,
        "tasks": (),
        "wake_at": None,
        "signal_name": None,
        "signal_timeout_at": None,
        "metadata": None,
    }
    return StepState(step_name=name, status=status, **given | fields)


def journal(*states: StepState, version: str | None = None, again: dict[str, list[str]] | None = None) -> Journal:
    steps = {state.step_name: state for state in states}
    return Journal("w", version=version, steps=steps, owner=OWNER, again=again or {})


def ask(made: Journal, name: str, asker: object = OWNER, kind: StepType = StepType.STEP) -> StepState | None:
    state = made.begin(made.key(name, asker), kind, asker)
    made.end()
    return state


def test_a_step_is_known_by_its_name_and_its_occurrence() -> None:
    made = journal()
    assert [made.key(name, OWNER) for name in ("a", "b", "a", "a", "b")] == ["a", "b", "a#2", "a#3", "b#2"]


def test_replay_hands_out_what_is_recorded_under_the_same_name_in_any_order_of_recording() -> None:
    made = journal(recorded(ROOT), recorded("b"), recorded("a#2"), recorded("a"))
    for name, expected in (("a", "a"), ("a", "a#2"), ("b", "b")):
        state = ask(made, name)
        assert state is not None
        assert state.result == f"result of {expected}"
    assert not made.executed
    made.check_end()


@pytest.mark.parametrize("name", ["", "a#2", "#", "#1", "a#", "a" * 241, "nul\x00", None, 7])
def test_names_that_could_not_be_told_apart_are_refused(name: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        journal().key(name, OWNER)
    assert caught.value.argument == "name"


@pytest.mark.parametrize("name", ["a#b", "a #2 b", "#a", "a" * 240, "ключ"])
def test_other_names_are_not(name: str) -> None:
    assert journal().key(name, OWNER) == name


def test_a_new_step_in_the_place_of_a_recorded_one_is_a_change_that_names_both() -> None:
    made = journal(recorded("a"), recorded("b"))
    ask(made, "a")
    with pytest.raises(DefinitionChanged, match=r"'new'.*'b'") as caught:
        ask(made, "new")
    assert caught.value.steps == ("new", "b")
    with pytest.raises(DefinitionChanged):
        ask(made, "b")  # the function caught it and went on


def test_a_step_of_another_kind_is_a_change() -> None:
    made = journal(recorded("a", step_type=StepType.SLEEP))
    with pytest.raises(DefinitionChanged, match="'a' was a SLEEP and is a STEP now"):
        ask(made, "a")


def test_a_recorded_step_that_nobody_asked_for_is_a_change_at_the_end() -> None:
    made = journal(recorded("a"), recorded("b", WAITING))
    ask(made, "a")
    with pytest.raises(DefinitionChanged, match="'b'"):
        made.check_end()


def test_a_change_names_no_more_than_some_of_many() -> None:
    made = journal(*(recorded(f"step {number}") for number in range(1000)))
    with pytest.raises(DefinitionChanged) as caught:
        ask(made, "new")
    assert len(caught.value.steps) == 6


def test_of_steps_side_by_side_any_may_be_missing() -> None:
    """A crash came after two of three steps that three threads executed, and any two of them."""
    beside = {"metadata": {"beside": True}}
    made = journal(recorded("one", **beside), recorded("three", **beside))
    assert ask(made, "two", OTHER) is None
    assert ask(made, "three", object())
    assert ask(made, "one", object())
    made.check_end()


def test_the_function_itself_may_go_on_while_others_have_not_asked_yet() -> None:
    made = journal(recorded("beside", metadata={"beside": True}))
    assert ask(made, "next") is None
    with pytest.raises(DefinitionChanged, match="'beside'"):
        made.check_end()


def test_what_is_noted_says_who_asked_and_under_which_version() -> None:
    made = journal(version="2", again={"a": ["b"], "c": []})
    assert made.metadata("x", OWNER) == {"version": "2"}
    assert made.metadata("x", OTHER) == {"version": "2", "beside": True}
    assert made.metadata("a", OWNER) == {"version": "2", "dropped": ["b"]}
    assert journal(again={"c": []}).metadata("c", OWNER) is None


def test_a_name_belongs_to_whoever_asks_first() -> None:
    made = journal()
    made.key("a", OTHER)
    made.key("a", OTHER)
    with pytest.raises(InvalidArgument, match="side by side"):
        made.key("a", OWNER)


def test_what_another_version_completed_need_not_be_asked_for() -> None:
    old = recorded("old", metadata={"version": "1"})
    kept = recorded("kept", metadata={"version": "1"})
    made = journal(old, kept, recorded("mine", metadata={"version": "2"}), version="2")
    state = ask(made, "kept")
    assert state is not None
    assert state.result == "result of kept"
    ask(made, "mine")
    assert ask(made, "new") is None
    made.check_end()


def failing(name: str, workflow_id: str = "w") -> StepFailed:
    return StepFailed(workflow_id=workflow_id, step_name=name, error_type="ValueError", error_message="no")


def test_what_failed_the_function_is_executed_again_and_what_followed_is_not_owed() -> None:
    states = [recorded("a"), recorded("x", FAILED), recorded("y", FAILED), recorded("told somebody")]
    first = journal(*states)
    for state in states:
        ask(first, state.step_name)
    assert first.to_repeat(failing("y")) == {"y": ["told somebody"]}
    assert first.to_repeat(failing("y", workflow_id="a child")) == {}
    second = journal(*states, again=first.to_repeat(failing("y")))
    for name in ("a", "x", "y"):
        ask(second, name)
    assert set(second.failures) == {"x"}, "x was dealt with"
    assert ask(second, "went well") is None
    second.check_end()
    third = journal(
        *states[:2], recorded("y", metadata={"dropped": ["told somebody"]}), states[3], recorded("went well")
    )
    for name in ("a", "x", "y", "went well", "and on"):
        ask(third, name)
    third.check_end()


def test_nothing_is_repeated_once_the_function_has_come_further() -> None:
    made = journal(recorded("x", FAILED))
    ask(made, "x")
    ask(made, "new")
    fresh = failing("new")
    fresh.__context__ = failing("x")
    assert made.to_repeat(fresh) == {}
    assert made.to_repeat(failing("x")) == {"x": ["new"]}


def test_causes_are_found_through_causes_contexts_and_groups() -> None:
    one, two, three = failing("one"), failing("two"), failing("three")
    group = ExceptionGroup("several", [one, ExceptionGroup("inner", [two])])
    group.__context__ = three
    three.__cause__ = group
    outer = RuntimeError()
    outer.__cause__ = group
    assert {id(error) for error in causes(outer)} >= {id(one), id(two), id(three)}
    assert list(causes(None)) == []


def test_the_first_reason_to_stop_counts() -> None:
    made = journal()
    first = KeyError("first")
    assert made.halt(first) is first
    assert made.halt(KeyError("second")) is first
    with pytest.raises(KeyError, match="first"):
        ask(made, "a")


@given(st.lists(st.sampled_from("abc"), max_size=30), st.data())
def test_a_sequential_function_replays_after_a_crash_anywhere(names: list[str], data: Any) -> None:
    """Whatever it asks for, and wherever it was cut off: the same function goes on, and another one is refused."""
    made = journal()
    keys = [made.key(name, OWNER) for name in names]
    cut = data.draw(st.integers(0, len(keys)))
    done = [recorded(key) for key in keys[:cut]]
    replay = journal(*data.draw(st.permutations(done)))
    states = [ask(replay, name) for name in names]
    assert [state and state.step_name for state in states] == [*keys[:cut], *[None] * (len(keys) - cut)]
    replay.check_end()
    place = data.draw(st.integers(0, len(names)))
    other = [*names[:place], "inserted", *names[place:]]
    if place < cut:
        with pytest.raises(DefinitionChanged, match="inserted"):
            replay_all(journal(*done), other)
    else:
        replay_all(journal(*done), other)
    if place < cut == len(names):
        with pytest.raises(DefinitionChanged):
            replay_all(journal(*done), [*names[:place], *names[place + 1 :]])


def replay_all(made: Journal, names: Iterable[str]) -> None:
    for name in names:
        ask(made, name)
    made.check_end()


def test_threads_that_ask_at_once_are_counted_right() -> None:
    made = journal()
    keys: list[str] = []

    def work(name: str) -> Callable[[], None]:
        def run() -> None:
            for _ in range(200):
                keys.append(made.key(name, name))
                ask(made, f"{name} beside", name)

        return run

    threads = [threading.Thread(target=work(f"t{number}")) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 800
    assert made.under_way == 0
