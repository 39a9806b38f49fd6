"""Runs, both twins: created once, listed, begun, ended once, begun afresh, purged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from _storage import contents, open_storage, query
from _twins import Twin

from promin_postgres.errors import AlreadyExists, InvalidArgument, NotFound
from promin_postgres.lookups import StepStatus, StepType, WorkflowStatus
from promin_postgres.migrator import migrate
from promin_postgres.workflow.storage import ErrorRecord, StepSpec

STEPS = (
    StepSpec(step_name="b"),
    StepSpec(step_name="a", step_type=StepType.MAP, depends_on=("b",), metadata={"k": 1}),
)
BOOM = ErrorRecord(error_type="E", message="boom")


def test_create_and_load(twin_storage: Any) -> None:
    before = datetime.now(UTC)
    twin_storage.create_workflow("parent", workflow_name="p")
    twin_storage.create_workflow(
        "w",
        workflow_name="n",
        steps=STEPS,
        workflow_type="t",
        namespace="s",
        version="v",
        parent_workflow_id="parent",
        input={"a": 1},
        metadata={"m": 2},
    )
    state = twin_storage.load_workflow("w")
    assert (state.workflow_id, state.workflow_name, state.workflow_type) == ("w", "n", "t")
    assert (state.namespace, state.version, state.parent_workflow_id) == ("s", "v", "parent")
    assert (state.run, state.status, state.input, state.metadata) == (1, WorkflowStatus.PENDING, {"a": 1}, {"m": 2})
    assert (state.result, state.error, state.started_at, state.completed_at) == (None, None, None, None)
    assert abs(state.created_at - before) < timedelta(minutes=1)
    assert state.updated_at >= state.created_at
    assert [
        (s.step_name, s.status, s.step_type, s.depends_on, s.metadata, s.attempt) for s in state.steps.values()
    ] == [
        ("b", StepStatus.PENDING, StepType.STEP, (), None, 0),
        ("a", StepStatus.PENDING, StepType.MAP, ("b",), {"k": 1}, 0),
    ]
    assert twin_storage.load_workflow("nobody") is None


def test_an_id_is_taken_once_and_the_first_stands(twin_storage: Any, promin_dsn: str) -> None:
    twin_storage.create_workflow("w", workflow_name="n", steps=STEPS, input=1)
    before = contents(promin_dsn)
    with pytest.raises(AlreadyExists) as caught:
        twin_storage.create_workflow("w", workflow_name="other", input=2)
    assert (caught.value.kind, caught.value.identity) == ("workflow", "w")
    assert contents(promin_dsn) == before


def test_a_parent_must_exist(twin_storage: Any, promin_dsn: str) -> None:
    with pytest.raises(NotFound, match="no such parent workflow: 'nobody'"):
        twin_storage.create_workflow("w", workflow_name="n", parent_workflow_id="nobody")
    assert not contents(promin_dsn)["workflows"]


def test_list_by_every_filter_newest_first(twin_storage: Any) -> None:
    twin_storage.create_workflow("parent", workflow_name="p")
    for number in range(8):
        twin_storage.create_workflow(
            f"w{number}",
            workflow_name=f"n{number % 2}",
            workflow_type=f"t{number // 2 % 2}",
            namespace=f"s{number // 4}",
            parent_workflow_id="parent" if number in (2, 5) else None,
        )
    twin_storage.begin_run("w3")
    twin_storage.complete_workflow("w4", {"r": 1})

    def listed(**filters: Any) -> str:
        return "".join(state.workflow_id[-1] for state in twin_storage.list_workflows(**filters))

    assert listed() == "76543210t"
    assert listed(limit=3, offset=2) == "543"
    assert listed(name="n1") == "7531"
    assert listed(type="t0") == "5410"
    assert listed(namespace="s1") == "7654"
    assert listed(parent_id="parent") == "52"
    assert listed(parent_id="nobody") == listed(name="nobody") == listed(offset=9) == ""
    assert listed(status=WorkflowStatus.RUNNING) == "3"
    assert listed(status=WorkflowStatus.COMPLETED) == "4"
    assert listed(status=WorkflowStatus.PENDING, name="n0", type="t1", namespace="s1") == "6"
    assert listed(status=WorkflowStatus.COMPLETED, name="n0", limit=1) == "4"
    assert listed(parent_id="parent", name="n1", status=WorkflowStatus.PENDING, namespace="s1", type="t0") == "5"
    [state] = twin_storage.list_workflows(parent_id="parent", name="n1")
    assert (state.parent_workflow_id, state.steps) == ("parent", {})
    [state] = twin_storage.list_workflows(status=WorkflowStatus.COMPLETED)
    assert state == twin_storage.load_workflow("w4"), "a listing shows what loading shows"


def test_a_run_begins_and_goes_on_until_it_is_completed(twin_storage: Any) -> None:
    twin_storage.create_workflow("w", workflow_name="n")
    twin_storage.begin_run("w")
    begun = twin_storage.load_workflow("w")
    assert (begun.status, begun.completed_at) == (WorkflowStatus.RUNNING, None)
    twin_storage.fail_workflow("w", ValueError("boom"))
    failed = twin_storage.load_workflow("w")
    assert (failed.status, failed.result) == (WorkflowStatus.FAILED, None)
    assert (failed.error.error_type, failed.error.message) == ("ValueError", "boom")
    assert failed.completed_at >= failed.started_at
    twin_storage.begin_run("w")
    again = twin_storage.load_workflow("w")
    assert (again.status, again.error, again.completed_at) == (WorkflowStatus.RUNNING, None, None)
    assert again.started_at == begun.started_at
    assert again.updated_at > failed.updated_at > begun.updated_at
    twin_storage.complete_workflow("w", [1])
    assert twin_storage.load_workflow("w").result == [1]
    with pytest.raises(InvalidArgument, match="the run has ended: completed"):
        twin_storage.begin_run("w")


def test_a_run_ends_once_and_saying_so_again_changes_nothing(twin_storage: Any) -> None:
    twin_storage.create_workflow("w", workflow_name="n")
    twin_storage.complete_workflow("w", {"r": 1.5})
    ended = twin_storage.load_workflow("w")
    twin_storage.complete_workflow("w", {"r": 1.5})
    with pytest.raises(InvalidArgument, match="the run has ended: completed"):
        twin_storage.complete_workflow("w", {"r": 2})
    with pytest.raises(InvalidArgument, match="the run has ended: completed"):
        twin_storage.fail_workflow("w", BOOM)
    state = twin_storage.load_workflow("w")
    assert (state.status, state.result, state.completed_at) == (ended.status, ended.result, ended.completed_at)
    twin_storage.create_workflow("f", workflow_name="n")
    for _ in range(2):
        twin_storage.fail_workflow("f", BOOM)
    assert twin_storage.load_workflow("f").error == BOOM
    with pytest.raises(InvalidArgument, match="the run has ended: failed"):
        twin_storage.complete_workflow("f", 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.begin_run("x"),
        lambda s: s.complete_workflow("x"),
        lambda s: s.fail_workflow("x", BOOM),
        lambda s: s.cancel_workflow("x", cascade=True),
        lambda s: s.replace_steps("x", STEPS, version="2"),
        lambda s: s.start_fresh_run("x"),
        lambda s: s.save_step_result("x", "a"),
        lambda s: s.save_step_failure("x", "a", BOOM),
        lambda s: s.save_task_result("x", "a", 0),
        lambda s: s.save_task_failure("x", "a", 0, BOOM),
        lambda s: s.save_step_attempt("x", "a", attempt=1),
        lambda s: s.suspend_workflow("x", "a", until=1),
        lambda s: s.deliver_signal("x", "go"),
        lambda s: s.try_lock("x"),
    ],
)
def test_an_unknown_workflow_is_not_found(twin_storage: Any, promin_dsn: str, call: Any) -> None:
    with pytest.raises(NotFound, match="no such workflow: 'x'"):
        call(twin_storage)
    assert not any(contents(promin_dsn).values())
    assert query(promin_dsn, "SELECT FROM wf_workflow_leases") == []


def test_reading_an_unknown_workflow_finds_nothing(twin_storage: Any) -> None:
    assert twin_storage.load_run_history("x") == twin_storage.load_step_attempts("x") == []
    assert twin_storage.load_signals("x") == []


def test_a_fresh_run_keeps_the_last_one_in_the_history(twin_storage: Any) -> None:
    twin_storage.create_workflow("w", workflow_name="n", steps=STEPS, version="1", input=1, metadata={"m": 1})
    with pytest.raises(AlreadyExists, match="unfinished run"):
        twin_storage.start_fresh_run("w")
    assert twin_storage.load_run_history("w") == []
    twin_storage.begin_run("w")
    twin_storage.save_step_result("w", "b", "one")
    twin_storage.save_step_result("w", "undeclared", "x")
    twin_storage.deliver_signal("w", "go", 1)
    twin_storage.complete_workflow("w", "first")
    assert twin_storage.start_fresh_run("w") == 2
    state = twin_storage.load_workflow("w")
    assert (state.run, state.status, state.result, state.version, state.input) == (
        2,
        WorkflowStatus.PENDING,
        None,
        "1",
        1,
    )
    assert (state.started_at, state.completed_at, state.metadata) == (None, None, {"m": 1})
    assert [(s.step_name, s.status, s.result, s.step_type, s.depends_on, s.attempt) for s in state.steps.values()] == [
        ("b", StepStatus.PENDING, None, StepType.STEP, (), 0),
        ("a", StepStatus.PENDING, None, StepType.MAP, ("b",), 0),
    ], "what was declared, and nothing else"
    assert twin_storage.load_signals("w") == [], "a signal belongs to the run it was delivered to"
    assert twin_storage.load_step_attempts("w") == []
    assert [a.step_name for a in twin_storage.load_step_attempts("w", run=1)] == ["b", "undeclared"]

    twin_storage.fail_workflow("w", BOOM)
    assert twin_storage.start_fresh_run("w", steps=[StepSpec(step_name="new")], version=None, input=None) == 3
    state = twin_storage.load_workflow("w")
    assert (list(state.steps), state.version, state.input) == (["new"], None, None)
    twin_storage.cancel_workflow("w")
    history = twin_storage.load_run_history("w")
    assert [(r.run, r.status.name, r.result, r.error, r.version, r.input) for r in history] == [
        (3, "CANCELLED", None, None, None, None),
        (2, "FAILED", None, BOOM, "1", 1),
        (1, "COMPLETED", "first", None, "1", 1),
    ]
    assert all(r.workflow_id == "w" and r.metadata == {"m": 1} and r.completed_at for r in history)
    assert [r.run for r in twin_storage.load_run_history("w", limit=1, offset=1)] == [2]


def test_a_run_goes_on_with_another_version_of_its_definition(twin_storage: Any) -> None:
    twin_storage.create_workflow(
        "w", workflow_name="n", version="1", steps=[StepSpec(step_name=name) for name in ("done", "gone", "stays")]
    )
    twin_storage.save_step_result("w", "done", 1)
    twin_storage.save_step_failure("w", "stays", BOOM, final=False)
    twin_storage.save_step_result("w", "old", 2)
    for _ in range(2):
        twin_storage.replace_steps(
            "w",
            [
                StepSpec(step_name="new"),
                StepSpec(step_name="stays", depends_on=("new", "done")),
                StepSpec(step_name="done"),
            ],
            version="2",
        )
        state = twin_storage.load_workflow("w")
        assert state.version == "2"
        assert [(s.step_name, s.status.name, s.result, s.depends_on, s.attempt) for s in state.steps.values()] == [
            ("new", "PENDING", None, (), 0),
            ("stays", "PENDING", None, ("new", "done"), 1),
            ("done", "COMPLETED", 1, (), 1),
            ("old", "COMPLETED", 2, (), 1),
        ]
    twin_storage.complete_workflow("w")
    with pytest.raises(InvalidArgument, match="completed"):
        twin_storage.replace_steps("w", [], version="3")


def test_purge_takes_what_ended_long_ago_with_all_that_hangs_on_it(twin_storage: Any, promin_dsn: str) -> None:
    for workflow_id in ("old", "older", "recent", "failed", "open"):
        twin_storage.create_workflow(workflow_id, workflow_name="n", steps=STEPS)
        twin_storage.save_step_result(workflow_id, "b", 1)
        twin_storage.save_task_result(workflow_id, "a", 0, 1)
        twin_storage.deliver_signal(workflow_id, "go")
        if workflow_id == "failed":
            twin_storage.fail_workflow(workflow_id, BOOM)
        elif workflow_id != "open":
            twin_storage.complete_workflow(workflow_id)
    twin_storage.start_fresh_run("older")
    twin_storage.complete_workflow("older")
    lease = twin_storage.try_lock("older")
    query(
        promin_dsn,
        "UPDATE wf_workflows SET completed_at = now() - interval '2 h'"
        " WHERE workflow_id <> 'recent' AND completed_at IS NOT NULL",
    )
    assert twin_storage.purge_completed(older_than=timedelta(hours=3)) == 0
    assert twin_storage.purge_completed(older_than=3600, statuses=[]) == 0
    assert twin_storage.purge_completed(older_than=3600, batch=1) == 2
    assert [state.workflow_id for state in twin_storage.list_workflows()] == ["open", "failed", "recent"]
    assert {table: len(rows) for table, rows in contents(promin_dsn).items()} == {
        "workflows": 3,
        "workflow_runs": 0,
        "workflow_steps": 6,
        "workflow_step_tasks": 3,
        "step_attempts": 6,
        "workflow_signals": 3,
    }
    assert query(promin_dsn, "SELECT FROM wf_workflow_leases") == []
    twin_storage.release_lock(lease)
    assert twin_storage.purge_completed(older_than=0, statuses=[WorkflowStatus.FAILED, WorkflowStatus.COMPLETED]) == 2
    assert [state.workflow_id for state in twin_storage.list_workflows()] == ["open"]


def test_prefixes_and_schemas_live_side_by_side(twin: Twin, twin_db: Any, promin_dsn: str) -> None:
    places = [("public", "wf_"), ("public", "x1_"), ('we"ird schema %s', "wf_")]
    for schema, prefix in places:
        migrate(promin_dsn, schema=schema, table_prefix=prefix)
    storages = [open_storage(twin, twin_db, schema=schema, table_prefix=prefix) for schema, prefix in places]
    try:
        for number, storage in enumerate(storages):
            storage.create_workflow("w", workflow_name="n", input=number, steps=STEPS)
            assert storage.try_lock("w") is not None, "each has leases of its own"
            storage.save_step_result("w", "b", number)
            storage.deliver_signal("w", "go", number)
            storage.cancel_workflow("w", cascade=True)
            storage.start_fresh_run("w")
        for number, storage in enumerate(storages):
            assert [state.input for state in storage.list_workflows()] == [number]
            assert [a.run for a in storage.load_step_attempts("w", run=1)] == [1]
            assert storage.load_workflow("w").run == 2
            assert [len(rows) for rows in contents(promin_dsn, *places[number]).values()] == [1, 1, 4, 0, 1, 1]
    finally:
        for storage in storages:
            storage.close()
