"""Hostile ids, payloads, errors and arguments, both twins: back they come exactly, or nothing of them is sent."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from _storage import contents, open_storage
from _twins import Twin

from promin_postgres.database import AsyncExecutor, Executor
from promin_postgres.errors import CodecError, ConfigurationError, InvalidArgument, LookupMismatch
from promin_postgres.lookups import StepType, WorkflowStatus
from promin_postgres.migrator import migrate
from promin_postgres.workflow.storage import ErrorRecord, StepSpec

LONG = "".join(random.Random(1).choices("".join(map(chr, range(1, 0x2FF))), k=10_000))
IDS = [
    "o'brien; DROP TABLE wf_workflows; --",
    'x"y',
    "100% %s %(id)s",
    "🦉" * 300,
    "\\",
    " ",
    "{prefix}",
    "\uff21\n\t\x7f",
    LONG,
]


@pytest.mark.parametrize("hostile", IDS, ids=range(len(IDS)))
def test_any_text_is_an_id(twin_storage: Any, hostile: str) -> None:
    short = hostile[:255]
    twin_storage.create_workflow(
        hostile,
        workflow_name=short,
        workflow_type=short,
        namespace=short,
        version=short,
        steps=[StepSpec(step_name=short), StepSpec(step_name="z", depends_on=(short,))],
        input=hostile,
        metadata={hostile: hostile},
    )
    twin_storage.create_workflow(hostile + "x", workflow_name="n", parent_workflow_id=hostile)
    lease = twin_storage.try_lock(hostile)
    twin_storage.begin_run(hostile, lease=lease)
    twin_storage.save_step_result(hostile, short, hostile, lease=lease)
    twin_storage.save_task_result(hostile, "m", 0, {hostile: [hostile]}, lease=lease)
    twin_storage.deliver_signal(hostile, short, hostile)
    twin_storage.suspend_workflow(hostile, "z", signal=short + "y" if len(short) < 255 else "y", lease=lease)
    twin_storage.heartbeat(lease)
    state = twin_storage.load_workflow(hostile)
    assert (state.workflow_id, state.workflow_name, state.workflow_type) == (hostile, short, short)
    assert (state.namespace, state.version, state.input, state.metadata) == (short, short, hostile, {hostile: hostile})
    assert list(state.steps) == [short, "z", "m"]
    assert (state.steps[short].result, state.steps["z"].depends_on) == (hostile, (short,))
    assert state.steps["m"].tasks[0].result == {hostile: [hostile]}
    assert [(s.signal_name, s.payload) for s in twin_storage.load_signals(hostile)] == [(short, hostile)]
    for filters in ({"name": short}, {"type": short}, {"namespace": short}):
        assert [found.workflow_id for found in twin_storage.list_workflows(**filters)] == [hostile]
    assert [found.workflow_id for found in twin_storage.list_workflows(parent_id=hostile)] == [hostile + "x"]
    twin_storage.complete_workflow(hostile, hostile, lease=lease)
    assert [run.result for run in twin_storage.load_run_history(hostile)] == [hostile]
    twin_storage.release_lock(lease)
    assert len(twin_storage.list_workflows()) == 2


def test_ids_that_look_alike_are_different(twin_storage: Any) -> None:
    alike = ["a", "A", "a ", " a", "ä", "a\u0308", "a\x01"]
    for workflow_id in alike:
        twin_storage.create_workflow(workflow_id, workflow_name="n", input=workflow_id)
    assert [twin_storage.load_workflow(workflow_id).input for workflow_id in alike] == alike


VALUES = [
    1e22,
    -0.0,
    5e-324,
    1.7976931348623157e308,
    0.1 + 0.2,
    2**53 + 1,
    -(10**400),
    True,
    [],
    {},
    {"": [None, {"a": "ü🦉\u2028\x7f\\u0041\\"}]},
    "NaN",
    {"b": 1, "a": 2},
    "x" * 1_000_000,
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_json_comes_back_exactly(twin_storage: Any, value: Any) -> None:
    twin_storage.create_workflow("w", workflow_name="n", input=value, metadata={"v": value})
    twin_storage.save_step_result("w", "s", value, metadata={"v": value})
    twin_storage.save_task_result("w", "m", 0, value)
    twin_storage.deliver_signal("w", "go", value)
    twin_storage.complete_workflow("w", value)
    state = twin_storage.load_workflow("w")
    [signal] = twin_storage.load_signals("w")
    step = state.steps["s"]
    found = [state.input, state.result, state.metadata["v"], step.result, step.metadata["v"], signal.payload]
    for back in (*found, state.steps["m"].tasks[0].result):
        assert type(back) is type(value)
        assert json.dumps(back) == json.dumps(value), "and members keep their order"


def _within_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


BAD_VALUES = [
    ({"a": ["x", "b\x00"]}, r"$.a[1]"),
    ({"a b": "\ud800"}, r'$["a b"]'),
    ({"a\x00": 1}, "$"),
    ([1.0, math.nan], "$[1]"),
    ({"x": math.inf}, "$.x"),
    ({"tags": {"a"}}, "$.tags"),
    ([{1: 2}], "$[0]"),
    (datetime(2026, 1, 1), "$"),  # noqa: DTZ001 - refused whatever its zone
    ([b""], "$[0]"),
    ({"x": _within_itself()}, "$.x[0]"),
]
WRITES = {
    "input": lambda s, value: s.create_workflow("new", workflow_name="n", input=value),
    "metadata": lambda s, value: s.create_workflow("new", workflow_name="n", metadata={"v": value}),
    "steps": lambda s, value: s.create_workflow(
        "new", workflow_name="n", steps=[StepSpec(step_name="a", metadata={"v": value})]
    ),
    "step 'a'": lambda s, value: s.save_step_result("w", "a", value),
    "metadata of step 'a'": lambda s, value: s.save_step_result("w", "a", 1, metadata={"v": value}),
    "step 'm', element 3": lambda s, value: s.save_task_result("w", "m", 3, value),
    "signal 'go'": lambda s, value: s.deliver_signal("w", "go", value),
    "result of the workflow": lambda s, value: s.complete_workflow("w", value),
}


@pytest.mark.parametrize("subject", WRITES)
def test_what_does_not_encode_is_refused_and_nothing_is_written(
    twin_storage: Any, promin_dsn: str, subject: str
) -> None:
    twin_storage.create_workflow("w", workflow_name="n")
    before = contents(promin_dsn)
    inside = {"metadata": "$.v", "steps": "$[0].metadata.v", "metadata of step 'a'": "$.v"}.get(subject, "$")
    for value, path in BAD_VALUES:
        with pytest.raises(CodecError) as caught:
            WRITES[subject](twin_storage, value)
        assert caught.value.subject == subject
        assert caught.value.path == inside + path[1:]
    assert contents(promin_dsn) == before


class _Sent(Exception):
    """A statement was sent."""


@pytest.fixture
def nothing_is_sent(twin_storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(*_: Any, **__: Any) -> None:
        raise _Sent

    for executor in (Executor, AsyncExecutor):
        monkeypatch.setattr(executor, "_run", sent)


BAD_ID = ["", None, 5, b"w", "a\x00b", "\udc80"]
BAD_NAME = [*BAD_ID, "x" * 256]
BAD_COUNT = [0, -1, 1.0, "1", None, True, 2**31]
BAD_SECONDS = [-1, math.nan, math.inf, "1", True, 10**12]
ERROR = ValueError("x")
ARGUMENTS: dict[str, tuple[list[Any], Any]] = {
    "create: id": (BAD_ID, lambda s, x: s.create_workflow(x, workflow_name="n")),
    "create: name": (BAD_NAME, lambda s, x: s.create_workflow("w", workflow_name=x)),
    "create: type": (["", 5, "\x00"], lambda s, x: s.create_workflow("w", workflow_name="n", workflow_type=x)),
    "create: namespace": (["", 5, "\x00"], lambda s, x: s.create_workflow("w", workflow_name="n", namespace=x)),
    "create: version": (["", 5, "\x00"], lambda s, x: s.create_workflow("w", workflow_name="n", version=x)),
    "create: parent": (
        ["", 5, "\x00", "\udc80"],
        lambda s, x: s.create_workflow("w", workflow_name="n", parent_workflow_id=x),
    ),
    "create: metadata": (["x", 5, [1]], lambda s, x: s.create_workflow("w", workflow_name="n", metadata=x)),
    "create: steps": (
        [
            ["a"],
            [StepSpec(step_name="")],
            [StepSpec(step_name="a"), StepSpec(step_name="a")],
            [StepSpec(step_name="a", depends_on=("b",))],
            [StepSpec(step_name="a", step_type=1)],  # type: ignore[arg-type]
            [StepSpec(step_name="x" * 256)],
        ],
        lambda s, x: s.create_workflow("w", workflow_name="n", steps=x),
    ),
    "load": (BAD_ID, lambda s, x: s.load_workflow(x)),
    "list: status": ([4, "COMPLETED"], lambda s, x: s.list_workflows(status=x)),
    "list: name": (["", 5, "\x00"], lambda s, x: s.list_workflows(name=x)),
    "list: type": (["", 5, "\x00"], lambda s, x: s.list_workflows(type=x)),
    "list: parent": (["", 5, "\x00"], lambda s, x: s.list_workflows(parent_id=x)),
    "list: namespace": (["", 5, "\x00"], lambda s, x: s.list_workflows(namespace=x)),
    "list: limit": (BAD_COUNT, lambda s, x: s.list_workflows(limit=x)),
    "list: offset": ([-1, 1.0, None], lambda s, x: s.list_workflows(offset=x)),
    "begin": (BAD_ID, lambda s, x: s.begin_run(x)),
    "complete": (BAD_ID, lambda s, x: s.complete_workflow(x)),
    "fail": (BAD_ID, lambda s, x: s.fail_workflow(x, ERROR)),
    "cancel": (BAD_ID, lambda s, x: s.cancel_workflow(x)),
    "replace: id": (BAD_ID, lambda s, x: s.replace_steps(x, [], version=None)),
    "replace: version": (["", 5], lambda s, x: s.replace_steps("w", [], version=x)),
    "fresh: id": (BAD_ID, lambda s, x: s.start_fresh_run(x)),
    "fresh: version": (["", 5], lambda s, x: s.start_fresh_run("w", version=x)),
    "history: id": (BAD_ID, lambda s, x: s.load_run_history(x)),
    "history: limit": (BAD_COUNT, lambda s, x: s.load_run_history("w", limit=x)),
    "purge: older_than": (BAD_SECONDS, lambda s, x: s.purge_completed(older_than=x)),
    "purge: statuses": ([[4], [WorkflowStatus.RUNNING]], lambda s, x: s.purge_completed(older_than=1, statuses=x)),
    "purge: batch": (BAD_COUNT, lambda s, x: s.purge_completed(older_than=1, batch=x)),
    "result: id": (BAD_ID, lambda s, x: s.save_step_result(x, "a")),
    "result: step": (BAD_NAME, lambda s, x: s.save_step_result("w", x)),
    "result: attempt": (BAD_COUNT, lambda s, x: s.save_step_result("w", "a", attempt=x)),
    "result: duration": (BAD_SECONDS, lambda s, x: s.save_step_result("w", "a", duration=x)),
    "result: step_type": ([1, 99, "STEP", None], lambda s, x: s.save_step_result("w", "a", step_type=x)),
    "result: metadata": (["x", 5], lambda s, x: s.save_step_result("w", "a", metadata=x)),
    "failure: step": (BAD_NAME, lambda s, x: s.save_step_failure("w", x, ERROR)),
    "failure: attempt": (BAD_COUNT, lambda s, x: s.save_step_failure("w", "a", ERROR, attempt=x)),
    "task: index": ([-1, 1.0, None, "0", True], lambda s, x: s.save_task_result("w", "a", x)),
    "task: step": (BAD_NAME, lambda s, x: s.save_task_result("w", x, 0)),
    "task failure: index": ([-1, None], lambda s, x: s.save_task_failure("w", "a", x, ERROR)),
    "attempt: number": (BAD_COUNT, lambda s, x: s.save_step_attempt("w", "a", attempt=x)),
    "attempt: type": ([1, "EXECUTION"], lambda s, x: s.save_step_attempt("w", "a", attempt=1, attempt_type=x)),
    "attempt: status": (
        [4, WorkflowStatus.COMPLETED, StepType.BRANCH],
        lambda s, x: s.save_step_attempt("w", "a", attempt=1, status=x),
    ),
    "attempts: step": (["", 5, "\x00"], lambda s, x: s.load_step_attempts("w", step_name=x)),
    "attempts: run": ([0, "1"], lambda s, x: s.load_step_attempts("w", run=x)),
    "suspend: id": (BAD_ID, lambda s, x: s.suspend_workflow(x, "a", until=1)),
    "suspend: step": (BAD_NAME, lambda s, x: s.suspend_workflow("w", x, until=1)),
    "suspend: until": (
        [
            *BAD_SECONDS,
            datetime(2026, 1, 1),  # noqa: DTZ001 - that is the point
            datetime.max.replace(tzinfo=UTC),
            datetime.min.replace(tzinfo=UTC),
        ],
        lambda s, x: s.suspend_workflow("w", "a", until=x),
    ),
    "suspend: signal": ([x for x in BAD_NAME if x is not None], lambda s, x: s.suspend_workflow("w", "a", signal=x)),
    "suspend: timeout": (BAD_SECONDS, lambda s, x: s.suspend_workflow("w", "a", signal="go", timeout=x)),
    "suspend: neither": ([None], lambda s, x: s.suspend_workflow("w", "a")),
    "suspend: both": ([1], lambda s, x: s.suspend_workflow("w", "a", until=x, signal="go")),
    "suspend: timeout of a pause": ([1], lambda s, x: s.suspend_workflow("w", "a", until=1, timeout=x)),
    "signal: id": (BAD_ID, lambda s, x: s.deliver_signal(x, "go")),
    "signal: name": (BAD_NAME, lambda s, x: s.deliver_signal("w", x)),
    "signals": (BAD_ID, lambda s, x: s.load_signals(x)),
    "lock": (BAD_ID, lambda s, x: s.try_lock(x)),
}


@pytest.mark.usefixtures("nothing_is_sent")
@pytest.mark.parametrize("case", ARGUMENTS)
def test_a_bad_argument_is_refused_before_anything_is_sent(twin_storage: Any, case: str) -> None:
    values, call = ARGUMENTS[case]
    for value in values:
        with pytest.raises(InvalidArgument) as caught:
            call(twin_storage, value)
        assert caught.value.argument in str(caught.value)


@pytest.mark.usefixtures("nothing_is_sent")
def test_the_trap_springs(twin_storage: Any) -> None:
    with pytest.raises(_Sent):
        twin_storage.load_workflow("w")


class _Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a\x00b"), r"a\x00b"),
        (ValueError("\ud83d!"), r"\ud83d!"),
        (_Mute(), "<str() of the error raised RuntimeError>"),
        (ErrorRecord(error_type="T\x00", message="\udc80", traceback="\x00"), r"\udc80"),
        (KeyboardInterrupt(), ""),
    ],
)
def test_recording_a_failure_cannot_fail(twin_storage: Any, error: Any, message: str) -> None:
    twin_storage.create_workflow("w", workflow_name="n")
    twin_storage.save_step_failure("w", "a", error)
    twin_storage.save_task_failure("w", "m", 0, error)
    twin_storage.save_step_attempt("w", "b", attempt=1, error=error)
    twin_storage.fail_workflow("w", error)
    state = twin_storage.load_workflow("w")
    assert state.error.message == message
    assert state.error == state.steps["a"].error == state.steps["m"].tasks[0].error == ErrorRecord.of(error)
    assert {attempt.error for attempt in twin_storage.load_step_attempts("w")} == {state.error}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"table_prefix": "a; drop table x"}, ConfigurationError),
        ({"table_prefix": ""}, ConfigurationError),
        ({"table_prefix": "Wf_"}, ConfigurationError),
        ({"schema": ""}, InvalidArgument),
        ({"schema": "a\x00"}, InvalidArgument),
        ({"schema": "x" * 64}, InvalidArgument),
        ({"lock_duration": 0.5}, InvalidArgument),
        ({"lock_duration": math.nan}, InvalidArgument),
        ({"instance_id": "a\x00"}, InvalidArgument),
        ({"instance_id": 5}, InvalidArgument),
        ({"table_prefix": "nobody_migrated_"}, LookupMismatch),
        ({"schema": "nobody migrated"}, LookupMismatch),
    ],
)
def test_what_cannot_be_opened_says_why(twin: Twin, twin_db: Any, options: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        open_storage(twin, twin_db, **options)


def test_lookups_that_differ_are_found_when_opening(twin: Twin, promin_dsn: str) -> None:
    migrate(promin_dsn, schema="bare")
    with pytest.raises(LookupMismatch):
        open_storage(twin, promin_dsn, schema="bare", auto_seed_lookups=False)
    with (
        open_storage(twin, promin_dsn, schema="bare"),
        open_storage(twin, promin_dsn, schema="bare", auto_seed_lookups=False),
    ):
        pass
