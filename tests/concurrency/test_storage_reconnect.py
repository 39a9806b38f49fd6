"""Connections that break in the middle, both twins: an outcome is recorded once, and so is its attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from _storage import contents, open_storage, query
from _twins import Twin

from promin_postgres._statement import Statement
from promin_postgres.database import AsyncExecutor, Executor
from promin_postgres.workflow.storage import ErrorRecord, StepSpec

ERROR = ErrorRecord(error_type="E", message="m")
WRITES: dict[str, Callable[[Any, Any], Any]] = {
    "begin_run": lambda s, lease: s.begin_run("w", lease=lease),
    "replace_steps": lambda s, lease: s.replace_steps("w", [StepSpec(step_name="n")], version="2", lease=lease),
    "save_step": lambda s, lease: s.save_step_result("w", "a", 1, duration=1, lease=lease),
    "save_step: failure": lambda s, lease: s.save_step_failure("w", "a", ERROR, duration=1, lease=lease),
    "save_task": lambda s, lease: s.save_task_result("w", "m", 0, 1, lease=lease),
    "save_step_attempt": lambda s, lease: s.save_step_attempt("w", "a", attempt=1),
    "suspend_workflow": lambda s, lease: s.suspend_workflow("w", "a", until=60, lease=lease),
    "suspend_workflow: signal": lambda s, lease: s.suspend_workflow("w", "a", signal="go", lease=lease),
    "end_run": lambda s, lease: s.complete_workflow("w", 1, lease=lease),
    "cancel_workflow": lambda s, lease: s.cancel_workflow("w", cascade=True),
    "release_lease": lambda s, lease: s.release_lock(lease),
    "extend_lease": lambda s, lease: s.heartbeat(lease),
    "take_lease": lambda s, lease: s.try_lock("v"),
}
DIE_AT_THE_FIRST_COMMIT = """
CREATE SEQUENCE commits;
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('commits') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN NULL;
END $$;
"""
DIE = """
CREATE CONSTRAINT TRIGGER die AFTER INSERT OR UPDATE OR DELETE ON wf_{}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();
"""
TABLES = ("workflows", "workflow_steps", "workflow_step_tasks", "step_attempts", "workflow_signals", "workflow_leases")


@pytest.fixture(params=[True, False], ids=["advisory", "rows"])
def storage(twin: Twin, twin_db: Any, request: pytest.FixtureRequest) -> Any:
    with open_storage(twin, twin_db, use_advisory_locks=request.param) as storage:
        for workflow_id in ("w", "v"):
            storage.create_workflow(workflow_id, workflow_name="n", steps=[StepSpec(step_name="a")])
        yield storage


@pytest.mark.parametrize("write", WRITES)
def test_a_connection_that_breaks_before_the_commit(storage: Any, promin_dsn: str, write: str) -> None:
    lease = storage.try_lock("w")
    before = contents(promin_dsn)
    query(promin_dsn, DIE_AT_THE_FIRST_COMMIT + "".join(DIE.format(table) for table in TABLES))
    WRITES[write](storage, lease)
    assert query(promin_dsn, "SELECT last_value > 1 FROM commits") == [(True,)]
    if not write.endswith("lease"):
        assert contents(promin_dsn) != before


@pytest.fixture
def lost_answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first answer to each statement is lost after it was committed; the names of those statements."""
    lost: list[str] = []

    def first(statement: Statement) -> bool:
        if statement.name in lost:
            return False
        lost.append(statement.name)
        return True

    plain, asynchronous = Executor._send_once, AsyncExecutor._send_once

    def send(self: Executor, statement: Statement, *rest: Any) -> Any:
        answer = plain(self, statement, *rest)
        if first(statement):
            raise psycopg.OperationalError("the answer was lost")
        return answer

    async def async_send(self: AsyncExecutor, statement: Statement, *rest: Any) -> Any:
        answer = await asynchronous(self, statement, *rest)
        if first(statement):
            raise psycopg.OperationalError("the answer was lost")
        return answer

    monkeypatch.setattr(Executor, "_send_once", send)
    monkeypatch.setattr(AsyncExecutor, "_send_once", async_send)
    return lost


@pytest.mark.parametrize("write", WRITES)
def test_an_answer_that_is_lost_after_the_commit(
    storage: Any, promin_dsn: str, write: str, request: pytest.FixtureRequest
) -> None:
    lease = storage.try_lock("w")
    lost = request.getfixturevalue("lost_answers")
    answer = WRITES[write](storage, lease)
    assert lost == [f"workflow/{write.partition(':')[0]}"]
    attempts = storage.load_step_attempts("w")
    assert len(attempts) == (1 if write.startswith("save") else 0)
    if write == "take_lease":
        assert storage.holds(answer)
        storage.save_step_result("v", "a", 1, lease=answer)
        assert query(promin_dsn, "SELECT count(*) FROM wf_workflow_leases") == [(2,)]
        assert storage.try_lock("v") is None


def test_what_may_not_be_sent_again_says_that_nobody_knows(storage: Any, lost_answers: list[str]) -> None:
    storage.complete_workflow("v")
    for call in (
        lambda: storage.create_workflow("new", workflow_name="n"),
        lambda: storage.start_run("newer", workflow_name="n", steps=[StepSpec(step_name="a")]),
        lambda: storage.start_fresh_run("v"),
    ):
        with pytest.raises(psycopg.OperationalError, match="the answer was lost"):
            call()
    assert storage.load_workflow("new") is not None
    assert storage.load_workflow("newer") is not None
    assert storage.load_workflow("v").run == 2
