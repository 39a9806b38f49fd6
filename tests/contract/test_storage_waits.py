"""Waits and signals, both twins: whoever comes second sees the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from promin_postgres.errors import InvalidArgument
from promin_postgres.lookups import StepStatus, StepType, WorkflowStatus


@pytest.fixture
def storage(twin_storage: Any) -> Any:
    """With a running workflow "w"."""
    twin_storage.create_workflow("w", workflow_name="n")
    twin_storage.begin_run("w")
    return twin_storage


def signals(storage: Any) -> list[tuple[str, Any]]:
    return [(signal.signal_name, signal.payload) for signal in storage.load_signals("w")]


def test_until_a_moment(storage: Any) -> None:
    moment = datetime(2040, 5, 6, 7, 8, 9, 123456, tzinfo=timezone(timedelta(hours=5)))
    assert storage.suspend_workflow("w", "nap", until=moment)
    state = storage.load_workflow("w")
    step = state.steps["nap"]
    assert (state.status, step.status, step.step_type) == (
        WorkflowStatus.SUSPENDED,
        StepStatus.WAITING,
        StepType.SLEEP,
    )
    assert step.wake_at == moment
    assert (step.signal_name, step.signal_timeout_at) == (None, None)


@pytest.mark.parametrize("pause", [3600, timedelta(hours=1)])
def test_the_first_moment_stands(storage: Any, pause: Any) -> None:
    before = datetime.now(UTC)
    storage.suspend_workflow("w", "nap", until=pause)
    first = storage.load_workflow("w").steps["nap"].wake_at
    assert abs(first - before - timedelta(hours=1)) < timedelta(minutes=1)
    storage.begin_run("w")
    storage.suspend_workflow("w", "nap", until=5)
    assert storage.load_workflow("w").steps["nap"].wake_at == first


def test_a_signal_that_comes_later_finds_the_step_waiting(storage: Any) -> None:
    assert storage.suspend_workflow("w", "approval", signal="go", timeout=60)
    state = storage.load_workflow("w")
    step = state.steps["approval"]
    assert (state.status, step.status, step.step_type, step.signal_name) == (
        WorkflowStatus.SUSPENDED,
        StepStatus.WAITING,
        StepType.SIGNAL,
        "go",
    )
    assert step.wake_at is None
    assert abs(step.signal_timeout_at - state.updated_at - timedelta(minutes=1)) < timedelta(seconds=5)
    assert storage.deliver_signal("w", "other", 0) is False
    assert storage.deliver_signal("w", "go", {"by": "me"}) is True
    assert storage.deliver_signal("w", "go", 2) is False, "the step waits for one, and that has come"
    assert signals(storage) == [("other", 0), ("go", {"by": "me"}), ("go", 2)]


def test_a_signal_that_came_before_is_not_waited_for(storage: Any) -> None:
    assert storage.deliver_signal("w", "go") is False
    assert storage.suspend_workflow("w", "approval", signal="go") is False
    state = storage.load_workflow("w")
    assert state.status is WorkflowStatus.RUNNING
    assert state.steps == {}
    assert signals(storage) == [("go", None)]


def test_the_timeout_of_the_first_wait_stands(storage: Any) -> None:
    storage.suspend_workflow("w", "approval", signal="go", timeout=60)
    first = storage.load_workflow("w").steps["approval"].signal_timeout_at
    storage.begin_run("w")
    assert storage.suspend_workflow("w", "approval", signal="go", timeout=5)
    assert storage.load_workflow("w").steps["approval"].signal_timeout_at == first


def test_a_run_that_has_ended_neither_waits_nor_listens(storage: Any) -> None:
    storage.complete_workflow("w", 1)
    with pytest.raises(InvalidArgument, match="the run has ended: completed"):
        storage.suspend_workflow("w", "nap", until=1)
    with pytest.raises(InvalidArgument, match="the run has ended: completed"):
        storage.deliver_signal("w", "go")
    assert signals(storage) == []


def test_a_completed_step_does_not_wait_again(storage: Any) -> None:
    storage.suspend_workflow("w", "approval", signal="go")
    storage.deliver_signal("w", "go", 1)
    storage.begin_run("w")
    storage.save_step_result("w", "approval", 1, step_type=StepType.SIGNAL)
    storage.deliver_signal("w", "go", 2)
    assert storage.suspend_workflow("w", "approval", signal="go") is False
    assert storage.load_workflow("w").steps["approval"].status is StepStatus.COMPLETED


def test_a_pause_at_a_completed_step_leaves_its_result(storage: Any) -> None:
    storage.save_step_result("w", "nap", "slept", step_type=StepType.SLEEP)
    assert storage.suspend_workflow("w", "nap", until=1) is False
    assert storage.load_workflow("w").status is WorkflowStatus.RUNNING
    step = storage.load_workflow("w").steps["nap"]
    assert (step.status, step.result) == (StepStatus.COMPLETED, "slept")
