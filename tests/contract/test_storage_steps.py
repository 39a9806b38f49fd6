"""Steps, both twins: a result is recorded once, every attempt is, and saying the same again changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from _storage import contents

from promin_postgres.errors import AlreadyExists
from promin_postgres.lookups import AttemptType, StepStatus, StepType, WorkflowStatus
from promin_postgres.workflow.storage import ErrorRecord, StepSpec

BOOM = ErrorRecord(error_type="E", message="boom", traceback="tb")
SECOND = timedelta(seconds=1)


@pytest.fixture
def storage(twin_storage: Any) -> Any:
    """With a workflow "w" that has the steps "a" and "m"."""
    steps = [StepSpec(step_name="a", metadata={"k": 1}), StepSpec(step_name="m", step_type=StepType.MAP)]
    twin_storage.create_workflow("w", workflow_name="n", steps=steps)
    return twin_storage


def step(storage: Any, name: str = "a") -> Any:
    return storage.load_workflow("w").steps[name]


def attempts(storage: Any, **filters: Any) -> list[tuple[Any, ...]]:
    found = storage.load_step_attempts("w", **filters)
    return [(a.step_name, a.task_index, a.attempt_type.name, a.attempt, a.status.name, a.error) for a in found]


def test_a_result_is_checkpointed_with_its_attempt(storage: Any) -> None:
    assert storage.save_step_result("w", "a", {"r": [1]}, duration=2.5) is WorkflowStatus.PENDING
    saved = step(storage)
    assert (saved.status, saved.result, saved.attempt, saved.error) == (StepStatus.COMPLETED, {"r": [1]}, 1, None)
    assert (saved.duration, saved.metadata) == (timedelta(seconds=2.5), {"k": 1})
    assert abs(saved.completed_at - saved.started_at - saved.duration) < timedelta(milliseconds=50)
    [attempt] = storage.load_step_attempts("w")
    assert (attempt.workflow_id, attempt.run, attempt.instance_id) == ("w", 1, storage.instance_id)
    assert (attempt.duration, attempt.error, attempt.task_index) == (saved.duration, None, None)
    assert abs(attempt.completed_at - attempt.started_at - saved.duration) < timedelta(milliseconds=50)


def test_the_same_result_again_changes_nothing(storage: Any, promin_dsn: str) -> None:
    storage.save_step_failure("w", "a", BOOM, attempt=1, final=False)
    storage.save_step_result("w", "a", [1], attempt=2, duration=1, metadata={"k": 2})
    before = contents(promin_dsn)
    assert step(storage).metadata == {"k": 2}
    storage.save_step_result("w", "a", [1], attempt=2, duration=1)
    assert contents(promin_dsn) == before


def test_the_same_failure_again_changes_nothing(storage: Any, promin_dsn: str) -> None:
    storage.save_step_failure("w", "a", BOOM, duration=1)
    storage.save_task_failure("w", "m", 0, BOOM, duration=1)
    before = contents(promin_dsn)
    storage.save_step_failure("w", "a", BOOM, duration=1)
    storage.save_task_failure("w", "m", 0, BOOM, duration=1)
    assert contents(promin_dsn) == before


@pytest.mark.parametrize(
    "again",
    [
        lambda s: s.save_step_result("w", "a", 2),
        lambda s: s.save_step_result("w", "a", 1, attempt=2),
        lambda s: s.save_step_result("w", "a"),
        lambda s: s.save_step_failure("w", "a", BOOM),
        lambda s: s.save_step_failure("w", "a", BOOM, attempt=2, final=False),
    ],
)
def test_what_is_completed_is_never_written_over(storage: Any, promin_dsn: str, again: Any) -> None:
    storage.save_step_result("w", "a", 1)
    before = contents(promin_dsn)
    with pytest.raises(AlreadyExists, match="another result of step 'a' in workflow exists already: 'w'"):
        again(storage)
    assert contents(promin_dsn) == before


def test_failures_then_a_result(storage: Any) -> None:
    assert storage.save_step_failure("w", "a", ValueError("one"), final=False) is WorkflowStatus.PENDING
    failing = step(storage)
    assert (failing.status, failing.attempt, failing.completed_at) == (StepStatus.PENDING, 1, None)
    assert failing.error.message == "one"
    storage.save_step_failure("w", "a", BOOM, attempt=2, duration=SECOND)
    failed = step(storage)
    assert (failed.status, failed.attempt, failed.error) == (StepStatus.FAILED, 2, BOOM)
    assert failed.completed_at is not None
    storage.save_step_result("w", "a", None, attempt=3)
    completed = step(storage)
    assert (completed.status, completed.result, completed.error) == (StepStatus.COMPLETED, None, None)
    assert completed.completed_at > failed.completed_at
    recorded = attempts(storage)
    assert [(number, status) for *_, number, status, _ in recorded] == [(1, "FAILED"), (2, "FAILED"), (3, "COMPLETED")]
    assert [error and error.message for *_, error in recorded] == ["one", "boom", None]


def test_a_step_that_was_not_declared_is_added_behind_the_others(storage: Any) -> None:
    storage.save_step_result("w", "z", 1, step_type=StepType.BRANCH, metadata={"x": 1})
    storage.save_step_result("w", "y", 2)
    state = storage.load_workflow("w")
    assert list(state.steps) == ["a", "m", "z", "y"]
    assert (state.steps["z"].step_type, state.steps["z"].metadata) == (StepType.BRANCH, {"x": 1})


def test_elements_of_a_map_step(storage: Any) -> None:
    storage.save_task_failure("w", "m", 1, BOOM, final=False)
    storage.save_task_failure("w", "m", 1, BOOM, attempt=2)
    storage.save_task_result("w", "m", 0, {"big": 2**70, "f": 1e22}, duration=timedelta(milliseconds=1500))
    storage.save_task_result("w", "new", 10, None)
    first, second = step(storage, "m").tasks
    assert (first.task_index, first.status, first.attempt) == (0, StepStatus.COMPLETED, 1)
    assert first.result == {"big": 2**70, "f": 1e22}
    assert (type(first.result["big"]), type(first.result["f"])) == (int, float)
    assert (first.duration, first.error) == (timedelta(seconds=1.5), None)
    assert first.completed_at.tzinfo is not None
    assert (second.task_index, second.status, second.attempt, second.error) == (1, StepStatus.FAILED, 2, BOOM)
    assert step(storage, "new").step_type is StepType.MAP
    assert [task.task_index for task in step(storage, "new").tasks] == [10]
    assert step(storage, "a").tasks == ()
    assert attempts(storage, step_name="m") == [
        ("m", 1, "EXECUTION", 1, "FAILED", BOOM),
        ("m", 1, "EXECUTION", 2, "FAILED", BOOM),
        ("m", 0, "EXECUTION", 1, "COMPLETED", None),
    ]


def test_the_same_element_again(storage: Any, promin_dsn: str) -> None:
    storage.save_task_result("w", "m", 0, [1])
    before = contents(promin_dsn)
    storage.save_task_result("w", "m", 0, [1])
    assert contents(promin_dsn) == before
    with pytest.raises(AlreadyExists, match="another result of step 'm'"):
        storage.save_task_result("w", "m", 0, [2])
    with pytest.raises(AlreadyExists):
        storage.save_task_failure("w", "m", 0, BOOM)
    assert contents(promin_dsn) == before


def test_attempts_alone_and_the_first_record_of_one_stands(storage: Any, promin_dsn: str) -> None:
    storage.save_step_result("w", "a", 1)
    for _ in range(2):
        storage.save_step_attempt(
            "w", "a", attempt=1, attempt_type=AttemptType.COMPENSATION, status=StepStatus.FAILED, error=BOOM
        )
        storage.save_step_attempt("w", "a", attempt=2, attempt_type=AttemptType.COMPENSATION, duration=SECOND)
        storage.save_step_attempt("w", "m", attempt=1, task_index=7)
    assert attempts(storage) == [
        ("a", None, "EXECUTION", 1, "COMPLETED", None),
        ("a", None, "COMPENSATION", 1, "FAILED", BOOM),
        ("a", None, "COMPENSATION", 2, "COMPLETED", None),
        ("m", 7, "EXECUTION", 1, "COMPLETED", None),
    ]
    before = contents(promin_dsn)
    storage.save_step_attempt("w", "a", attempt=2, attempt_type=AttemptType.COMPENSATION, status=StepStatus.FAILED)
    assert contents(promin_dsn) == before
    assert step(storage).status is StepStatus.COMPLETED, "an attempt alone changes no step"


def test_a_driver_hears_of_a_cancellation_at_its_next_checkpoint(storage: Any) -> None:
    storage.begin_run("w")
    assert storage.save_step_failure("w", "a", BOOM, final=False) is WorkflowStatus.RUNNING
    storage.cancel_workflow("w")
    assert storage.save_step_result("w", "a", 1, attempt=2) is WorkflowStatus.CANCELLED
    assert storage.save_task_result("w", "m", 0, 1) is WorkflowStatus.CANCELLED
    assert step(storage).result == 1, "what was done is recorded"
