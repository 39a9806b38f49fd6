"""Who may drive a run, and what becomes of it when it is run afresh, changed, cancelled, taken over or interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from _twins import Twin
from _waiting import until

from promin_postgres._retry import Retry
from promin_postgres.database import Database
from promin_postgres.errors import DefinitionChanged, LeaseLost, StepFailed, WorkflowCancelled, WorkflowInFlight
from promin_postgres.lookups import StepStatus, WorkflowStatus
from promin_postgres.workflow import Context, async_workflow, workflow
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, Lease, PostgresWorkflowStorage

New = Callable[..., Any]


@pytest.fixture
def executed() -> list[str]:
    return []


@pytest.fixture
def note(executed: list[str]) -> Callable[[Context], str]:
    def note(ctx: Context) -> str:
        executed.append(ctx.step_name)
        return ctx.step_name

    return note


def fail(ctx: Context) -> None:
    raise ValueError


def test_force_runs_an_ended_run_afresh(new_workflow: New, twin_storage: Any) -> None:
    seen: list[Any] = []
    flow = new_workflow("w").step("a", lambda ctx: seen.append([ctx.input, ctx.attempt]) or len(seen))
    assert flow.run(workflow_id="w", input="first") == 1
    assert flow.run(workflow_id="w", force=True) == 2
    assert flow.run(workflow_id="w", force=True, input="second") == 3
    assert flow.run(workflow_id="w") == 3
    assert seen == [["first", 1], ["first", 1], ["second", 1]]
    history = twin_storage.load_run_history("w")
    assert [(run.run, run.result, run.input) for run in history] == [(3, 3, "second"), (2, 2, "first"), (1, 1, "first")]


def test_force_begins_a_failed_run_from_its_first_step(
    new_workflow: New, executed: list[str], note: Callable[[Context], str]
) -> None:
    with pytest.raises(StepFailed):
        new_workflow("w").step("a", note).step("b", fail).run(workflow_id="w")
    mended = new_workflow("w").step("a", note).step("b2", note)
    assert mended.run(workflow_id="w", force=True) == "b2", "a fresh run takes the definition at hand"
    assert executed == ["a", "a", "b2"]


def test_a_changed_definition_is_refused_and_names_the_steps(
    new_workflow: New, twin_storage: Any, executed: list[str], note: Callable[[Context], str]
) -> None:
    with pytest.raises(StepFailed):
        new_workflow("w", version="1").step("a", note).step("b", fail).step("c", note).run(workflow_id="w")
    changed = new_workflow("w", version="1").step("a", note).step("new", note).step("c", note)
    before = twin_storage.load_workflow("w")
    with pytest.raises(DefinitionChanged) as caught:
        changed.run(workflow_id="w")
    assert set(caught.value.steps) == {"b", "c", "new"}
    assert len(caught.value.differences) == 3
    assert executed == ["a"]
    assert twin_storage.load_workflow("w") == before


def test_another_version_goes_on_with_the_steps_at_hand(
    new_workflow: New, twin_storage: Any, executed: list[str], note: Callable[[Context], str]
) -> None:
    with pytest.raises(StepFailed):
        new_workflow("w").step("a", note).step("old", note).step("b", fail).run(workflow_id="w")
    again = Retry(max_attempts=2, base=0)
    newer = new_workflow("w", version="2").step("a", note).step("new", note).step("c", fail, retry=again)
    with pytest.raises(StepFailed, match="'c'"):
        newer.run(workflow_id="w")
    newest = new_workflow("w", version="2").step("a", note).step("new", note).step("c", note)
    assert newest.run(workflow_id="w") == "c", "a completed step of an older version does not stand in the way"
    assert executed == ["a", "old", "new", "c"]
    assert twin_storage.load_workflow("w").version == "2"


def test_one_run_is_driven_by_one_at_a_time(new_workflow: New) -> None:
    entered, released = threading.Event(), threading.Event()

    def hold(ctx: Context) -> str:
        entered.set()
        assert released.wait(20)
        return "done"

    flow = new_workflow("w").step("a", hold)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(flow.run, workflow_id="w")
        try:
            assert entered.wait(20)
            for force in (False, True):
                with pytest.raises(WorkflowInFlight):
                    flow.run(workflow_id="w", force=force)
        finally:
            released.set()
        assert first.result() == "done"
    assert flow.run(workflow_id="w") == "done"


def test_of_many_who_begin_the_same_run_one_executes_it(
    new_workflow: New, executed: list[str], note: Callable[[Context], str]
) -> None:
    flow = new_workflow("w").step("a", note).step("b", note)
    barrier = threading.Barrier(6, timeout=20)

    def contend() -> Any:
        barrier.wait()
        try:
            return flow.run(workflow_id="w", input={})
        except WorkflowInFlight:
            return "b"

    with ThreadPoolExecutor(6) as pool:
        answers = [future.result() for future in [pool.submit(contend) for _ in range(6)]]
    assert answers == ["b"] * 6
    assert executed == ["a", "b"]


def test_a_run_cancelled_under_way_stops_at_its_next_checkpoint(
    new_workflow: New, twin_storage: Any, executed: list[str], note: Callable[[Context], str]
) -> None:
    def cancel(ctx: Context) -> None:
        if twin_storage.load_workflow("w").run == 1:
            twin_storage.cancel_workflow("w")

    flow = new_workflow("w").step("a", cancel).step("b", note)
    for _ in range(2):
        with pytest.raises(WorkflowCancelled):
            flow.run(workflow_id="w")
    assert executed == []
    assert twin_storage.load_workflow("w").status == WorkflowStatus.CANCELLED
    assert flow.run(workflow_id="w", force=True) == "b"


def test_a_run_cancelled_during_its_last_step_is_cancelled(new_workflow: New, twin_storage: Any) -> None:
    flow = new_workflow("w").step("a", lambda ctx: twin_storage.cancel_workflow("w"))
    with pytest.raises(WorkflowCancelled):
        flow.run(workflow_id="w")


@pytest.mark.parametrize("ending", ["returns", "raises"])
def test_who_lost_the_lease_writes_nothing_and_tells_the_handlers(
    new_workflow: New, twin_storage: Any, promin_dsn: str, executed: list[str], note: Any, ending: str
) -> None:
    waiting, finished = threading.Event(), threading.Event()
    seen: list[tuple[bool, bool]] = []

    def watch(ctx: Context) -> None:
        try:
            waiting.set()
            until(lambda: ctx.lost)
            seen.append((ctx.lost, ctx.cancelled))
        finally:
            finished.set()

    def steal(ctx: Context) -> None:
        assert waiting.wait(20)
        with psycopg.connect(promin_dsn, autocommit=True) as thief:
            thief.execute("UPDATE wf_workflow_leases SET token = gen_random_uuid()")
        if ending == "raises":
            raise ValueError

    flow = new_workflow("w").step("watch", watch, depends_on=[]).step("steal", steal, depends_on=[]).step("c", note)
    with pytest.raises(LeaseLost):
        flow.run(workflow_id="w")
    assert finished.wait(20)
    assert seen == [(True, True)]
    assert executed == []
    state = twin_storage.load_workflow("w")
    assert state.status == WorkflowStatus.RUNNING
    assert {step.status for step in state.steps.values()} == {StepStatus.PENDING}


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_run_has_not_failed_and_can_be_taken_up_at_once(
    new_workflow: New, twin_storage: Any, error: type[BaseException], beside: bool
) -> None:
    interruptions = [error("enough")]

    def interrupted(ctx: Context) -> str:
        if interruptions:
            raise interruptions.pop()
        return "done"

    flow = new_workflow("w").step("a", lambda ctx: "a").step("b", interrupted, retry=Retry(max_attempts=5, base=0))
    if beside:
        flow = flow.step("c", lambda ctx: None, depends_on="a")
    with pytest.raises(error, match="enough"):
        flow.run(workflow_id="w")
    state = twin_storage.load_workflow("w")
    assert (state.status, state.error) == (WorkflowStatus.RUNNING, None)
    assert state.steps["b"].status == StepStatus.PENDING
    result = flow.run(workflow_id="w")
    assert result == ({"b": "done", "c": None} if beside else "done")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_handlers_of_an_interrupted_run_can_see_it(new_workflow: New, error: type[BaseException]) -> None:
    waiting, finished = threading.Event(), threading.Event()

    def watch(ctx: Context) -> None:
        waiting.set()
        until(lambda: ctx.cancelled)
        assert not ctx.lost
        finished.set()

    def interrupted(ctx: Context) -> None:
        assert waiting.wait(20)
        raise error

    flow = new_workflow("w").step("watch", watch, depends_on=[]).step("b", interrupted, depends_on=[])
    with pytest.raises(error):
        flow.run(workflow_id="w")
    assert finished.wait(20)


def test_a_run_that_was_completed_just_before_the_lock_is_not_begun_again(
    promin_db: Database, executed: list[str], note: Callable[[Context], str]
) -> None:
    class Slow(PostgresWorkflowStorage):
        def try_lock(self, workflow_id: str) -> Lease | None:
            assert quick.run(workflow_id=workflow_id) == "b"
            return super().try_lock(workflow_id)

    with PostgresWorkflowStorage.create(promin_db) as storage, Slow.create(promin_db) as slow_storage:
        quick = workflow("w", storage=storage).step("a", note).step("b", note)
        slow = workflow("w", storage=slow_storage).step("a", note).step("b", note)
        assert slow.run(workflow_id="w") == "b"
    assert executed == ["a", "b"]


def test_leases_in_rows_serve_as_well(twin: Twin, twin_db: Any) -> None:
    create = twin.pick(PostgresWorkflowStorage, AsyncPostgresWorkflowStorage).create
    with create(twin_db, use_advisory_locks=False, lock_duration=5) as storage:

        def again(ctx: Context) -> str:
            with pytest.raises(WorkflowInFlight):
                flow.run(workflow_id="w")
            return "done"

        flow = twin.pick(workflow, async_workflow)("w", storage=storage).step("a", again)
        assert flow.run(workflow_id="w") == "done"


def test_a_lease_that_cannot_be_given_back_does_not_hide_the_result(
    new_workflow: New, promin_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE FUNCTION refuse() RETURNS trigger AS 'BEGIN RAISE ''no''; END' LANGUAGE plpgsql")
        connection.execute("CREATE TRIGGER refuse BEFORE DELETE ON wf_workflow_leases EXECUTE FUNCTION refuse()")
    assert new_workflow("w").step("a", lambda ctx: "done").run(workflow_id="w") == "done"
    assert "not given back" in caplog.text
