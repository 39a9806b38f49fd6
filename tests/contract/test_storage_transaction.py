"""Writes in the caller's own transaction, both twins: they come with its commit and go with its rollback."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from _storage import contents
from _twins import Twin

from promin_postgres.errors import AlreadyExists, InvalidArgument, NotFound, WorkflowCancelled
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow.storage import ErrorRecord, StepSpec

ERROR = ErrorRecord(error_type="E", message="")
WRITES = {
    "create": lambda s, c: s.create_workflow("new", workflow_name="n", steps=[StepSpec(step_name="a")], connection=c),
    "begin": lambda s, c: s.begin_run("w", connection=c),
    "result": lambda s, c: s.save_step_result("w", "a", 1, connection=c),
    "failure": lambda s, c: s.save_step_failure("w", "a", ERROR, connection=c),
    "element": lambda s, c: s.save_task_result("w", "m", 0, 1, connection=c),
    "element's failure": lambda s, c: s.save_task_failure("w", "m", 0, ERROR, connection=c),
    "attempt": lambda s, c: s.save_step_attempt("w", "a", attempt=1, connection=c),
    "suspend": lambda s, c: s.suspend_workflow("w", "a", signal="go", connection=c),
    "signal": lambda s, c: s.deliver_signal("w", "go", 1, connection=c),
    "complete": lambda s, c: s.complete_workflow("w", 1, connection=c),
    "fail": lambda s, c: s.fail_workflow("w", ERROR, connection=c),
    "cancel": lambda s, c: s.cancel_workflow("w", cascade=True, connection=c),
    "fresh run": lambda s, c: s.start_fresh_run("done", connection=c),
    "start": lambda s, c: s.start_run("new", workflow_name="n", steps=[StepSpec(step_name="a")], connection=c),
    "fork": lambda s, c: s.fork_workflow("done", from_step="a", new_workflow_id="new", connection=c),
}


@pytest.fixture
def storage(twin_storage: Any) -> Any:
    """With an open workflow "w" and a completed one "done"."""
    for workflow_id in ("w", "done"):
        twin_storage.create_workflow(workflow_id, workflow_name="n", steps=[StepSpec(step_name="a")])
    twin_storage.complete_workflow("done")
    return twin_storage


@pytest.fixture
def connection(twin: Twin, promin_dsn: str) -> Any:
    with twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect(promin_dsn) as connection:
        yield connection


@pytest.mark.parametrize("write", WRITES)
def test_it_comes_with_the_commit_and_goes_with_the_rollback(
    storage: Any, connection: Any, promin_dsn: str, write: str
) -> None:
    before = contents(promin_dsn)
    for end in (connection.rollback, connection.commit):
        WRITES[write](storage, connection)
        assert contents(promin_dsn) == before
        end()
    assert contents(promin_dsn) != before


def test_the_transaction_sees_what_it_wrote(storage: Any, connection: Any) -> None:
    storage.save_step_result("w", "a", 1, connection=connection)
    assert storage.load_workflow("w", connection=connection).steps["a"].result == 1
    assert storage.load_workflow("w").steps["a"].result is None


def test_it_is_written_together_with_the_callers_own_rows(storage: Any, connection: Any, promin_dsn: str) -> None:
    connection.execute("CREATE TABLE mine (x integer)")
    connection.execute("INSERT INTO mine VALUES (1)")
    storage.save_step_result("w", "a", 1, connection=connection)
    connection.commit()
    with psycopg.connect(promin_dsn) as reader:
        query = "SELECT (SELECT x FROM mine), (SELECT result::text FROM wf_workflow_steps WHERE result IS NOT NULL)"
        assert reader.execute(query).fetchone() == (1, "1")


def test_a_refusal_leaves_the_transaction_usable(storage: Any, connection: Any) -> None:
    storage.save_step_result("w", "a", 1, connection=connection)
    with pytest.raises(AlreadyExists):
        storage.create_workflow("w", workflow_name="n", connection=connection)
    with pytest.raises(AlreadyExists):
        storage.save_step_result("w", "a", 2, connection=connection)
    with pytest.raises(NotFound):
        storage.begin_run("x", connection=connection)
    with pytest.raises(InvalidArgument):
        storage.cancel_workflow("done", connection=connection)
    storage.cancel_workflow("w", connection=connection)
    with pytest.raises(WorkflowCancelled):
        storage.begin_run("w", connection=connection)
    connection.commit()
    state = storage.load_workflow("w")
    assert (state.status, state.steps["a"].result) == (WorkflowStatus.CANCELLED, 1)


def test_the_callers_settings_do_not_matter(storage: Any, connection: Any) -> None:
    connection.execute(
        "SET LOCAL DateStyle = 'German'; SET LOCAL TimeZone = 'Asia/Kathmandu'; SET LOCAL search_path = ''"
    )
    connection.execute("SET LOCAL IntervalStyle = 'sql_standard'; SET LOCAL transform_null_equals = on")
    storage.save_task_result("w", "m", 0, 1, duration=90_061.5, connection=connection)
    inside = storage.load_workflow("w", connection=connection)
    connection.commit()
    assert storage.load_workflow("w") == inside


@pytest.mark.parametrize("write", WRITES)
def test_whether_the_commit_waits_for_the_disk_is_the_callers_business(
    twin: Twin, storage: Any, promin_dsn: str, write: str
) -> None:
    with twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect(promin_dsn) as connection:
        connection.execute("SET LOCAL synchronous_commit = on")
        WRITES[write](storage, connection)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
