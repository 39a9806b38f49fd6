"""Workers drive runs: which steps they execute, with what, in which order, and what becomes of them."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from _runs import Runs
from _waiting import until

from promin_postgres import Retry
from promin_postgres.errors import CodecError, ConfigurationError, InvalidArgument, NotFound, StepFailed
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.worker import AsyncWorker, Worker

AT_ONCE = Retry(max_attempts=3, base=0)


def nothing(ctx: Any) -> None:
    pass


def test_steps_one_after_the_other(runs: Runs) -> None:
    seen: list[Any] = []

    def note(ctx: Any) -> Any:
        seen.append((ctx.workflow_id, ctx.step_name, ctx.attempt, ctx.input, ctx.prev))
        return len(seen)

    chain = runs.workflow("chain").step("a", note).step("b", note).step("c", note)
    handle = chain.start(workflow_id="w", input={"n": 1})
    assert handle.status() is WorkflowStatus.RUNNING
    assert seen == []
    worker = runs.drain(chain)
    assert handle.result() == 3
    assert seen == [("w", "a", 1, {"n": 1}, None), ("w", "b", 1, {"n": 1}, 1), ("w", "c", 1, {"n": 1}, 2)]
    state = handle.state()
    assert state.status is WorkflowStatus.COMPLETED
    assert {name: (step.status.name, step.attempt, step.result) for name, step in state.steps.items()} == {
        "a": ("COMPLETED", 1, 1), "b": ("COMPLETED", 1, 2), "c": ("COMPLETED", 1, 3),
    }  # fmt: skip
    assert all(step.duration < timedelta(seconds=5) for step in state.steps.values())
    assert runs.attempts("w", "b") == ["COMPLETED"]
    assert (worker.health().completed, runs.left()) == (3, 0)
    assert runs.query("SELECT count(*) FROM wf_finished_tasks") == [(0,)]


def test_a_diamond_joins_once_with_both_results(runs: Runs) -> None:
    joined: list[Any] = []
    diamond = (
        runs.workflow("diamond")
        .step("top", lambda ctx: ctx.input)
        .step("left", lambda ctx: ctx.prev * 2, depends_on="top")
        .step("right", lambda ctx: ctx.prev * 3, depends_on="top")
        .step("join", lambda ctx: joined.append(ctx.deps) or sum(ctx.deps.values()), depends_on=["left", "right"])
    )
    handles = [diamond.start(workflow_id=f"w{n}", input=n) for n in range(50)]
    runs.drain(diamond)
    assert [handle.result() for handle in handles] == [5 * n for n in range(50)]
    assert Counter(one["left"] // 2 for one in joined) == Counter(range(50))


def test_independent_steps_run_side_by_side(runs: Runs) -> None:
    meeting = threading.Barrier(3, timeout=20)

    def meet(ctx: Any) -> str:
        meeting.wait()
        return str(ctx.step_name)

    wide = runs.workflow("wide")
    for name in ("a", "b", "c"):
        wide = wide.step(name, meet, depends_on=[])
    wide = wide.step("last", lambda ctx: sorted(ctx.deps), depends_on=["a", "b", "c"])
    handle = wide.start(workflow_id="w")
    with runs.working(wide):
        assert handle.result(timeout=30) == ["a", "b", "c"]


def test_a_result_is_waited_for(runs: Runs) -> None:
    gate = threading.Event()
    slow = runs.workflow("slow").step("only", lambda ctx: gate.wait(30))
    handle = slow.start(workflow_id="w")
    with pytest.raises(TimeoutError, match=r"has not ended within 0\.1 seconds"):
        handle.result(timeout=0.1)
    with runs.working(slow):
        results: list[Any] = []
        waiting = [threading.Thread(target=lambda: results.append(handle.result(30))) for _ in range(5)]
        for thread in waiting:
            thread.start()
        gate.set()
        for thread in waiting:
            thread.join(30)
        assert results == [True] * 5
    assert runs.workflow("slow").step("only", nothing).get_handle("w").result() is True


def test_a_handle_of_nothing(runs: Runs) -> None:
    handle = runs.workflow("w").step("a", nothing).get_handle("nobody")
    for ask in (handle.result, handle.status, handle.state, handle.cancel, lambda: handle.signal("s")):
        with pytest.raises(NotFound):
            ask()


def test_a_failed_attempt_is_repeated_later(runs: Runs) -> None:
    def flaky(ctx: Any) -> int:
        if ctx.attempt < 3:
            raise ValueError(f"attempt {ctx.attempt}")
        return int(ctx.attempt)

    chain = runs.workflow("chain").step("a", flaky, retry=Retry(max_attempts=3, base=0.05)).step("b", nothing)
    handle = chain.start(workflow_id="w")
    with runs.working(chain) as worker:
        handle.result(timeout=20)
        until(lambda: worker.health().retried == 2)
    assert handle.state().steps["a"].result == 3
    assert runs.attempts("w", "a") == ["FAILED", "FAILED", "COMPLETED"]


def test_a_step_that_fails_for_good_fails_the_run(runs: Runs) -> None:
    def fail(ctx: Any) -> None:
        raise ValueError("no")

    chain = runs.workflow("chain").step("a", fail, retry=AT_ONCE).step("b", nothing)
    handle = chain.start(workflow_id="w")
    runs.drain(chain)
    with pytest.raises(StepFailed) as caught:
        handle.result()
    assert (caught.value.step_name, caught.value.error_type, caught.value.error_message) == ("a", "ValueError", "no")
    assert "in fail" in caught.value.traceback
    state = handle.state()
    assert (state.status.name, state.steps["a"].status.name, state.steps["a"].attempt) == ("FAILED", "FAILED", 3)
    assert state.steps["b"].status.name == "PENDING"
    assert (runs.attempts("w", "a"), runs.left()) == (["FAILED"] * 3, 0)


def test_a_result_that_does_not_encode_is_named(runs: Runs) -> None:
    odd = runs.workflow("odd").step("a", lambda ctx: {1, 2}, retry=AT_ONCE)
    handle = odd.start(workflow_id="w")
    runs.drain(odd)
    with pytest.raises(StepFailed, match=r"CodecError.*step 'a'"):
        handle.result()
    assert runs.attempts("w", "a") == ["FAILED"]


def test_several_last_steps_give_a_dict(runs: Runs) -> None:
    fan = runs.workflow("fan").step("a", nothing)
    for name in ("x", "y"):
        fan = fan.step(name, lambda ctx: ctx.step_name, depends_on="a")
    handle = fan.start(workflow_id="w")
    runs.drain(fan)
    assert handle.result() == {"x": "x", "y": "y"}


def test_a_second_start_is_about_the_same_run(runs: Runs) -> None:
    chain = runs.workflow("chain").step("a", lambda ctx: ctx.input)
    chain.start(workflow_id="w", input=1)
    handle = chain.start(workflow_id="w", input=2)
    runs.drain(chain)
    assert handle.result() == 1
    assert chain.start(workflow_id="w", input=3).result() == 1
    with pytest.raises(InvalidArgument, match="is a run of workflow 'chain'"):
        runs.workflow("other").step("a", nothing).start(workflow_id="w")


def test_what_cannot_begin_leaves_nothing(runs: Runs) -> None:
    chain = runs.workflow("chain")
    with pytest.raises(InvalidArgument):
        chain.start(workflow_id="w")
    with pytest.raises(CodecError):
        chain.step("a", nothing).start(workflow_id="w", input=object())
    with pytest.raises(InvalidArgument):
        chain.step("a", nothing).start(workflow_id="")
    assert runs.query("SELECT count(*) FROM wf_workflows") == [(0,)]


def test_a_worker_leaves_what_it_does_not_know(runs: Runs) -> None:
    ours = runs.workflow("ours").step("a", nothing)
    theirs = runs.workflow("theirs").step("a", nothing)
    ours.start(workflow_id="1")
    handle = theirs.start(workflow_id="2")
    runs.drain(ours)
    assert (handle.status(), runs.left()) == (WorkflowStatus.RUNNING, 1)
    runs.drain(ours, theirs)
    assert handle.status() is WorkflowStatus.COMPLETED


def test_handlers_and_runs_share_a_worker(runs: Runs) -> None:
    from promin_postgres.steps import PgStepQueue

    chain = runs.workflow("chain").step("a", lambda ctx: "run")
    handle = chain.start(workflow_id="w")
    with PgStepQueue(runs.dsn) as queue:
        task = queue.enqueue("w", "a")
        runs.drain(chain, handlers={"a": lambda context: "handler"})
        assert queue.get(task).result == "handler"
    assert handle.result() == "run"


def test_each_step_goes_to_its_queue(runs: Runs) -> None:
    two = runs.workflow("two").step("a", nothing).step("b", nothing, queue="gpu", priority=9)
    handle = two.start(workflow_id="w")
    runs.drain(two)
    assert runs.query("SELECT queue, priority FROM wf_step_queue") == [("gpu", 9)]
    runs.drain(two, queues=["gpu"])
    assert handle.status() is WorkflowStatus.COMPLETED


def test_old_runs_go_on_with_their_version(runs: Runs) -> None:
    one = runs.workflow("w", version="1").step("a", nothing).step("b", lambda ctx: "one")
    two = runs.workflow("w", version="2").step("a", nothing).step("b", lambda ctx: "two")
    old, new = one.start(workflow_id="old"), two.start(workflow_id="new")
    runs.drain(one, two)
    assert (old.result(), new.result()) == ("one", "two")


def test_another_definition_under_the_same_version_waits_for_the_right_one(
    runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    before = runs.workflow("w").step("a", lambda ctx: 1).step("b", lambda ctx: ctx.prev)
    handle = before.start(workflow_id="w")
    changed = runs.workflow("w").step("z", lambda ctx: 2)
    runs.drain(changed)
    assert "step 'a' is gone" in caplog.text
    assert handle.status() is WorkflowStatus.RUNNING
    runs.watch.execute("UPDATE wf_step_queue SET gate = 0")
    runs.drain(before)
    assert handle.result() == 1


def test_what_a_worker_does_not_take(runs: Runs) -> None:
    kind = runs.twin.pick(Worker, AsyncWorker)
    chain = runs.workflow("w").step("a", nothing)
    for workflows in ("chain", 5, [5], [runs.workflow("empty")], [chain, runs.workflow("w").step("b", nothing)]):
        with pytest.raises(InvalidArgument):
            kind(runs.dsn, workflows=workflows)
    with pytest.raises(InvalidArgument, match="give handlers, workflows or both"):
        kind(runs.dsn)
    with pytest.raises(ConfigurationError, match="is kept in"):
        kind(runs.dsn, workflows=[chain], table_prefix="other_")
