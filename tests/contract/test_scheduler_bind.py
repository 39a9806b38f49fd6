"""Ticks that start runs: both or neither, once, and a tick is over when its run is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from _runs import Runs
from _schedules import Clock, at, turn
from _waiting import until

from promin_postgres.errors import InvalidArgument, NotFound
from promin_postgres.lookups import WorkflowStatus

New = Callable[..., Any]


@pytest.fixture
def flow(new_workflow: New) -> Any:
    return new_workflow("report").wait_for_signal("go", signal="go").step("write", lambda ctx: ctx.input)


@pytest.fixture
def scheduler(make_scheduler: New) -> Any:
    return make_scheduler()


def minutely(scheduler: Any, **options: Any) -> None:
    scheduler.register("s", cron="* * * * *", **options)


def fire(scheduler: Any, clock: Clock, minutes: int = 1) -> None:
    for _ in range(minutes):
        clock.now += timedelta(minutes=1)
        turn(scheduler)


def standing(scheduler: Any) -> list[tuple[str, bool]]:
    """The status of each tick, oldest first, and whether it has started a run."""
    return [(tick.status, tick.workflow_id is not None) for tick in scheduler.history("s")[::-1]]


def ids(storage: Any) -> list[str]:
    return [state.workflow_id for state in storage.list_workflows()[::-1]]


def end(storage: Any, workflow_id: str) -> None:
    storage.complete_workflow(workflow_id, "done")


def sweep(scheduler: Any) -> None:
    """What the loop does once in each poll interval."""
    scheduler._core.sweep()


def test_a_tick_starts_a_run_and_is_settled_with_it(scheduler: Any, flow: Any, twin_storage: Any, clock: Clock) -> None:
    minutely(scheduler, metadata={"to": "ada"})
    scheduler.bind("s", workflow=flow)
    fire(scheduler, clock)
    (tick,) = scheduler.history("s")
    state = twin_storage.load_workflow(tick.workflow_id)
    assert state.workflow_name == "report"
    assert state.input == {
        "schedule_id": "s",
        "tick_number": 0,
        "kind": "scheduled",
        "scheduled_at": at(12, 1).isoformat(),
        "metadata": {"to": "ada"},
    }
    sweep(scheduler)
    assert standing(scheduler) == [("ready", True)]
    with pytest.raises(TimeoutError):
        scheduler.stream("s").timeout(0.3).first()
    end(twin_storage, tick.workflow_id)
    sweep(scheduler)
    assert standing(scheduler) == [("settled", True)]


def test_input_and_id_come_from_functions_of_the_tick(
    scheduler: Any, flow: Any, twin_storage: Any, clock: Clock
) -> None:
    minutely(scheduler)
    scheduler.bind(
        "s",
        workflow=flow,
        to_input=lambda tick: [tick.schedule_id, tick.tick_number],
        to_workflow_id=lambda tick: f"report of {tick.scheduled_at:%H:%M}",
    )
    fire(scheduler, clock, 2)
    assert ids(twin_storage) == ["report of 12:01", "report of 12:02"]
    assert twin_storage.load_workflow("report of 12:02").input == ["s", 1]
    assert [tick.workflow_id for tick in scheduler.history("s")] == ["report of 12:02", "report of 12:01"]


def test_neither_tick_nor_run_is_there_without_the_other(
    scheduler: Any, flow: Any, twin_storage: Any, promin_dsn: str, clock: Clock
) -> None:
    minutely(scheduler)
    scheduler.bind("s", workflow=flow)
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE wf_workflow_steps ADD CONSTRAINT never CHECK (step_name <> 'write') NOT VALID")
    clock.now += timedelta(minutes=1)
    turn(scheduler)
    assert scheduler.history("s") == []
    assert ids(twin_storage) == []
    assert scheduler.get("s").standing == "quarantined"
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE wf_workflow_steps DROP CONSTRAINT never")
    scheduler.resume("s", catch_up=True)
    turn(scheduler)
    assert len(scheduler.history("s")) == len(ids(twin_storage)) == 1


def test_a_function_that_fails_sets_its_schedule_aside_and_no_other(
    scheduler: Any, flow: Any, twin_storage: Any, clock: Clock
) -> None:
    def no(tick: Any) -> Any:
        raise KeyError("no input")

    minutely(scheduler)
    scheduler.register("other", cron="* * * * *")
    scheduler.bind("s", workflow=flow, to_input=no)
    scheduler.bind("other", workflow=flow)
    fire(scheduler, clock)
    assert (scheduler.get("s").standing, scheduler.get("other").standing) == ("quarantined", "active")
    assert "no input" in scheduler.get("s").error
    assert len(ids(twin_storage)) == 1


def test_of_one_run_id_there_is_one_run(scheduler: Any, flow: Any, twin_storage: Any, clock: Clock) -> None:
    minutely(scheduler)
    scheduler.bind("s", workflow=flow, to_workflow_id=lambda tick: "the same")
    fire(scheduler, clock, 2)
    assert ids(twin_storage) == ["the same"]
    end(twin_storage, "the same")
    sweep(scheduler)
    assert standing(scheduler) == [("settled", True)] * 2


@pytest.mark.parametrize(
    ("policy", "expected", "later"),
    [
        ("allow", [("ready", True)] * 3, [("settled", True), ("ready", True), ("ready", True)]),
        ("skip", [("ready", True), ("skipped", False), ("skipped", False)], None),
        (
            "queue",
            [("ready", True), ("queued", False), ("queued", False)],
            [("settled", True), ("ready", True), ("queued", False)],
        ),
        (
            "buffer_one",
            [("ready", True), ("queued", False), ("skipped", False)],
            [("settled", True), ("ready", True), ("skipped", False)],
        ),
    ],
)
def test_overlap_policies_go_by_the_end_of_the_run(
    scheduler: Any, flow: Any, twin_storage: Any, clock: Clock, policy: str, expected: Any, later: Any
) -> None:
    minutely(scheduler, overlap_policy=policy)
    scheduler.bind("s", workflow=flow)
    fire(scheduler, clock, 3)
    assert standing(scheduler) == expected
    end(twin_storage, scheduler.history("s")[-1].workflow_id)
    sweep(scheduler)
    if later is None:
        later = [("settled", True), *expected[1:]]
    assert standing(scheduler) == later
    assert len(ids(twin_storage)) == sum(has_run for _, has_run in later)


def test_a_tick_that_is_due_when_the_run_ends_needs_no_sweep(
    scheduler: Any, flow: Any, twin_storage: Any, clock: Clock
) -> None:
    minutely(scheduler, overlap_policy="skip")
    scheduler.bind("s", workflow=flow)
    fire(scheduler, clock)
    end(twin_storage, scheduler.history("s")[0].workflow_id)
    fire(scheduler, clock)
    assert standing(scheduler) == [("settled", True), ("ready", True)]


def test_what_is_queued_while_the_run_ends_is_started_all_the_same(
    scheduler: Any, flow: Any, twin_storage: Any, clock: Clock
) -> None:
    minutely(scheduler, overlap_policy="queue")
    scheduler.bind("s", workflow=flow)
    fire(scheduler, clock, 2)
    end(twin_storage, scheduler.history("s")[-1].workflow_id)
    fire(scheduler, clock)
    assert standing(scheduler) == [("settled", True), ("queued", False), ("queued", False)]
    sweep(scheduler)
    assert standing(scheduler) == [("settled", True), ("ready", True), ("queued", False)]


@pytest.mark.parametrize("fired_by", ["one that knows the workflow", "another one"])
def test_cancel_previous_cancels_the_run(
    make_scheduler: New, flow: Any, twin_storage: Any, clock: Clock, fired_by: str
) -> None:
    bound, other = make_scheduler(), make_scheduler()
    minutely(bound, overlap_policy="cancel_previous")
    bound.bind("s", workflow=flow)
    by = bound if fired_by.startswith("one") else other
    fire(by, clock)
    sweep(bound)
    first = bound.history("s")[0].workflow_id
    fire(by, clock)
    sweep(bound)
    assert standing(bound) == [("cancelled", True), ("ready", True)]
    assert twin_storage.load_workflow(first).status is WorkflowStatus.CANCELLED
    second = twin_storage.load_workflow(bound.history("s")[0].workflow_id)
    assert not second.status.is_final


def test_what_a_scheduler_fires_that_does_not_know_the_workflow_is_started_by_one_that_does(
    make_scheduler: New, flow: Any, twin_storage: Any, clock: Clock
) -> None:
    bound, other = make_scheduler(), make_scheduler()
    minutely(bound)
    bound.bind("s", workflow=flow)
    fire(other, clock)
    assert other.trigger_now("s").workflow_id is None
    assert standing(other) == [("ready", False)] * 2
    with pytest.raises(TimeoutError):
        other.stream().timeout(0.3).first()
    for _ in range(2):
        sweep(bound)
    assert standing(other) == [("ready", True)] * 2
    assert len(ids(twin_storage)) == 2


def test_ticks_that_somebody_asked_for_start_runs_too(
    scheduler: Any, flow: Any, twin_storage: Any, clock: Clock
) -> None:
    minutely(scheduler)
    scheduler.bind("s", workflow=flow)
    tick = scheduler.trigger_now("s")
    assert twin_storage.load_workflow(tick.workflow_id).input["kind"] == "manual"
    ticks = scheduler.backfill("s", start=at(1), end=at(1, 3))
    assert len({tick.workflow_id for tick in ticks} - {None}) == 3
    assert scheduler.backfill("s", start=at(1), end=at(1, 3)) == ticks
    assert len(ids(twin_storage)) == 4


def test_a_run_that_fails_pauses_a_schedule_that_wants_it(
    scheduler: Any, flow: Any, twin_storage: Any, clock: Clock
) -> None:
    minutely(scheduler, pause_on_failure=True)
    scheduler.bind("s", workflow=flow)
    fire(scheduler, clock)
    twin_storage.fail_workflow(scheduler.history("s")[0].workflow_id, ValueError("no paper"))
    sweep(scheduler)
    (tick,) = scheduler.history("s")
    assert (tick.status, tick.reason) == ("settled", "ValueError: no paper")
    state = scheduler.get("s")
    assert (state.standing, state.pause_reason) == ("paused", "ValueError: no paper")


def test_a_run_that_was_purged_is_over(scheduler: Any, flow: Any, twin_storage: Any, clock: Clock) -> None:
    minutely(scheduler)
    scheduler.bind("s", workflow=flow)
    fire(scheduler, clock)
    end(twin_storage, scheduler.history("s")[0].workflow_id)
    twin_storage.purge_completed(older_than=0)
    sweep(scheduler)
    assert standing(scheduler) == [("settled", True)]


def test_binding_takes_over_the_open_ticks_that_nobody_works_on(
    scheduler: Any, flow: Any, twin_storage: Any, clock: Clock
) -> None:
    minutely(scheduler)
    fire(scheduler, clock, 3)
    with scheduler.stream_ack("s") as stream:
        envelope = next(stream)
    scheduler.bind("s", workflow=flow)
    sweep(scheduler)
    assert standing(scheduler) == [("ready", False), ("ready", True), ("ready", True)]
    envelope.ack()
    assert standing(scheduler)[0] == ("settled", False)
    assert len(ids(twin_storage)) == 2


def test_a_tick_whose_run_cannot_be_started_later_is_cancelled_and_says_why(
    make_scheduler: New, flow: Any, twin_storage: Any, clock: Clock
) -> None:
    def no(tick: Any) -> Any:
        raise KeyError(f"tick {tick.tick_number}\x00")

    bound, other = make_scheduler(), make_scheduler()
    minutely(bound)
    bound.register("good", cron="* * * * *")
    bound.bind("s", workflow=flow, to_input=no)
    bound.bind("good", workflow=flow)
    fire(other, clock)
    sweep(bound)
    (tick,) = bound.history("s")
    assert (tick.status, tick.workflow_id) == ("cancelled", None)
    assert tick.reason == "KeyError: 'tick 0\\x00'"
    assert bound.history("good")[0].workflow_id in ids(twin_storage)


def test_schedulers_and_workers_do_it_all(runs: Runs, make_scheduler: New) -> None:
    """Nobody consumes ticks: schedulers fire, workers execute, and the ticks are settled."""
    report = runs.workflow("report").step("write", lambda ctx: ctx.input["tick_number"])
    schedulers = [make_scheduler(clock=None, poll_interval=0.05, lease=1) for _ in range(3)]
    for scheduler in schedulers[:2]:  # one of them does not know the workflow
        scheduler.register("s", interval=0.1, overlap_policy="queue", max_fires=10)
        scheduler.bind("s", workflow=report)
    with runs.working(report, poll_interval=0.05):
        for scheduler in schedulers:
            scheduler.start()
        until(lambda: [tick.status for tick in schedulers[0].history("s")] == ["settled"] * 10)
        for scheduler in schedulers:
            scheduler.stop()
    ticks = schedulers[0].history("s")
    assert sorted(runs.storage.load_workflow(tick.workflow_id).result for tick in ticks) == list(range(10))
    assert len(runs.storage.list_workflows()) == 10


def test_bad_bindings_are_refused(scheduler: Any, make_scheduler: New, flow: Any) -> None:
    with pytest.raises(NotFound):
        scheduler.bind("nothing", workflow=flow)
    minutely(scheduler)
    for argument, options in (
        ("workflow", {"workflow": "report"}),
        ("to_input", {"workflow": flow, "to_input": 7}),
        ("to_workflow_id", {"workflow": flow, "to_workflow_id": "w"}),
    ):
        with pytest.raises(InvalidArgument) as caught:
            scheduler.bind("s", **options)
        assert caught.value.argument == argument
    with pytest.raises(InvalidArgument, match="under another prefix"):
        make_scheduler(table_prefix="other_").bind("s", workflow=flow)
