"""Errors carry their data, also through pickling; and none floods a log."""

import copy
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from promin_postgres import errors

EXAMPLES = [
    errors.ProminError("a word"),
    errors.InvalidArgument("limit", -1, "must be positive"),
    errors.ConfigurationError("a word"),
    errors.ServerNotFound("a word"),
    errors.MigrationError("a word", version=3),
    errors.LookupMismatch(["one", "two"]),
    errors.LeaseLost("workflow 'w'"),
    errors.NotFound("workflow", "w"),
    errors.AlreadyExists("workflow", "w"),
    errors.CodecError("set is not a JSON type", path="$.a", subject="step 's'"),
    errors.CursorInvalid("log/1", "it was cut"),
    errors.WorkflowError("a word", workflow_id="w"),
    errors.StepFailed(workflow_id="w", step_name="s", error_type="ValueError", error_message="no", attempt=2),
    errors.WorkflowSuspended(workflow_id="w", until=datetime(2030, 1, 1, tzinfo=UTC)),
    errors.WorkflowSuspended(workflow_id="w", signal="paid"),
    errors.WorkflowCancelled(workflow_id="w"),
    errors.WorkflowInFlight(workflow_id="w"),
    errors.DeadlineExceeded(workflow_id="w"),
    errors.NonRetryable("declined"),
    errors.DefinitionChanged(workflow_id="w", differences=["a step was added"], steps=["s"]),
]


def below(kind: type[errors.ProminError]) -> Iterator[type[errors.ProminError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from below(child)


def test_every_error_is_among_the_examples_and_in_the_drawing() -> None:
    kinds = set(below(errors.ProminError))
    assert {type(error) for error in EXAMPLES} == kinds
    drawing = errors.__doc__ or ""
    assert [kind.__name__ for kind in kinds if f"{kind.__name__} " not in drawing.replace("\n", " ")] == []


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("duplicate", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_a_copy_is_the_same_error(error, duplicate) -> None:
    error.add_note("while testing")
    again = duplicate(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.__notes__[-1] == "while testing"


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InvalidArgument("a", 1, "no"), ValueError),
        (errors.CodecError("no"), ValueError),
        (errors.NotFound("workflow", "w"), LookupError),
    ],
)
def test_the_builtin_families_catch_them(error, builtin) -> None:
    assert isinstance(error, builtin)


def test_a_huge_argument_is_shown_cut() -> None:
    message = str(errors.InvalidArgument("payload", "x" * 1_000_000, "is too long"))
    assert len(message) < 300
    assert "1000002 characters" in message
    assert message.endswith("is too long")


def test_the_message_names_argument_value_and_problem() -> None:
    error = errors.InvalidArgument("limit", -1, "must be positive")
    assert str(error) == "limit=-1: must be positive"
    assert (error.argument, error.value, error.problem) == ("limit", -1, "must be positive")
