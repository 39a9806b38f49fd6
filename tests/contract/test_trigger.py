"""A pipe from values to runs: each is run once, and acknowledged when that is durable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from _twins import Twin

from promin_postgres import AsyncPgQueue, AsyncStream, PgQueue, Stream, async_trigger, trigger
from promin_postgres.errors import AlreadyExists, CodecError, InvalidArgument, StepFailed, WorkflowInFlight
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow.definition import specs
from promin_postgres.workflow.trigger import WorkflowResult

New = Callable[..., Any]


@pytest.fixture
def done() -> list[Any]:
    return []


@pytest.fixture
def flow(new_workflow: New, done: list[Any]) -> Any:
    def work(ctx: Any) -> Any:
        done.append(ctx.input)
        if ctx.input == "bad":
            raise ValueError("bad")
        return f"{ctx.input} done"

    return new_workflow("order").step("work", work)


@pytest.fixture
def pipe(twin: Twin, flow: Any) -> New:
    def make(**options: Any) -> Any:
        workflow = options.pop("workflow", flow)
        options = {"to_workflow_id": str, **options}
        bare = workflow._target if twin.is_async and hasattr(workflow, "_target") else workflow
        return (async_trigger if twin.is_async else trigger)(workflow=bare, **options)

    return make


@pytest.fixture
def run(twin: Twin, pipe: New) -> New:
    def run(values: Any, **options: Any) -> list[WorkflowResult]:
        stream = twin.pick(Stream, AsyncStream)(values)
        return stream.through(pipe(**options)).collect()

    return run


def statuses(results: list[WorkflowResult]) -> list[str]:
    return [result.status for result in results]


def test_each_value_is_run_and_its_result_comes_out(run: New, twin_storage: Any, done: list[Any]) -> None:
    first, second, third = run(["a", "bad", "c"])
    assert (first.workflow_id, first.value, first.status, first.result) == ("a", "a", "completed", "a done")
    assert first.error is None
    assert second.status == "failed"
    assert isinstance(second.error, StepFailed)
    assert third.status == "completed"
    assert done == ["a", "bad", "c"]
    assert twin_storage.load_workflow("bad").status is WorkflowStatus.FAILED


def test_ids_and_inputs_come_from_functions_of_the_value(run: New, twin_storage: Any, done: list[Any]) -> None:
    results = run([{"id": 7, "what": "tea"}], to_workflow_id=lambda v: f"o-{v['id']}", to_input=lambda v: v["what"])
    assert [result.workflow_id for result in results] == ["o-7"]
    assert done == ["tea"]


@pytest.mark.parametrize(
    ("on_duplicate", "expected", "executed"),
    [("skip", ["skipped"] * 2, 0), ("fail", ["failed"] * 2, 0), ("run", ["completed", "failed"], 2)],
)
def test_duplicates(run: New, done: list[Any], on_duplicate: str, expected: list[str], executed: int) -> None:
    run(["a", "bad"])
    done.clear()
    results = run(["a", "bad"], on_duplicate=on_duplicate)
    assert statuses(results) == expected
    assert len(done) == executed
    if on_duplicate == "fail":
        assert all(isinstance(result.error, AlreadyExists) for result in results)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_value_that_comes_twice_is_run_once(run: New, done: list[Any], concurrency: int) -> None:
    results = run(["a", "b", "a", "b", "a"], concurrency=concurrency)
    assert sorted(done) == ["a", "b"]
    assert len(results) == 5
    assert set(statuses(results)) <= {"completed", "skipped"}
    if concurrency == 1:
        assert statuses(results) == ["completed", "completed", "skipped", "skipped", "skipped"]


def test_several_run_at_a_time(run: New, new_workflow: New) -> None:
    barrier = threading.Barrier(4, timeout=20)
    flow = new_workflow("together").step("meet", lambda ctx: barrier.wait() * 0)
    assert statuses(run(range(8), workflow=flow, concurrency=4)) == ["completed"] * 8


def test_a_run_that_was_cut_off_goes_on(run: New, twin_storage: Any, flow: Any, done: list[Any]) -> None:
    twin_storage.create_workflow("a", workflow_name="order", steps=specs(flow.definition), input="recorded")
    assert statuses(run(["a"])) == ["completed"]
    assert done == ["recorded"]


@pytest.mark.parametrize("on_duplicate", ["skip", "fail", "run"])
def test_a_run_that_is_driven_elsewhere_is_left_alone(run: New, new_workflow: New, on_duplicate: str) -> None:
    entered, released = threading.Event(), threading.Event()
    flow = new_workflow("hold").step("hold", lambda ctx: entered.set() or released.wait(20))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(flow.run, workflow_id="a")
        try:
            assert entered.wait(20)
            (result,) = run(["a"], workflow=flow, on_duplicate=on_duplicate)
        finally:
            released.set()
        assert first.result() is True
    assert result.status == ("skipped" if on_duplicate == "skip" else "failed")
    assert isinstance(result.error, WorkflowInFlight)


def test_a_run_that_waits_is_suspended(run: New, new_workflow: New, twin_storage: Any) -> None:
    flow = new_workflow("nap").wait_for_signal("answer", signal="answer")
    assert statuses(run(["a"], workflow=flow)) == ["suspended"]
    twin_storage.deliver_signal("a", "answer", 1)
    assert statuses(run(["a"], workflow=flow)) == ["completed"]


def test_durable_functions_are_triggered_too(run: New, new_durable: New) -> None:
    def order(ctx: Any, given: Any) -> Any:
        return ctx.step("double", lambda: given * 2)

    assert [result.result for result in run([1, 2], workflow=new_durable("order", order))] == [2, 4]


def test_a_value_that_cannot_be_an_input_fails_and_begins_nothing(run: New, twin_storage: Any) -> None:
    (result,) = run(["a"], to_input=lambda value: object())
    assert result.status == "failed"
    assert isinstance(result.error, CodecError)
    assert twin_storage.load_workflow("a") is None


@pytest.fixture
def queue(twin: Twin, promin_dsn: str) -> Iterator[Any]:
    queue = twin.pick(PgQueue, AsyncPgQueue).create(promin_dsn, "orders", visibility_timeout=20)
    try:
        yield queue
    finally:
        queue.close()


def consumed(queue: Any, pipe: Any) -> list[WorkflowResult]:
    return queue.subscribe_ack(until_empty=True).through(pipe).collect()


def test_messages_are_acknowledged_when_their_runs_are_durable(queue: Any, pipe: New, new_workflow: New) -> None:
    flow = new_workflow("nap").wait_for_signal("answer", signal="answer", timeout=0.01, on_timeout="skip")
    assert flow.run(workflow_id="old", wait=20) is None
    for value in ("new", "old"):
        queue.publish(value)
    assert statuses(consumed(queue, pipe(workflow=flow))) == ["suspended", "skipped"]
    assert queue.metrics().total == 0


def test_a_message_whose_run_failed_is_done_with(queue: Any, pipe: New) -> None:
    queue.publish("bad")
    assert statuses(consumed(queue, pipe())) == ["failed"]
    assert queue.metrics().total == 0


def test_a_message_that_cannot_begin_a_run_is_given_back(queue: Any, pipe: New) -> None:
    queue.publish("a")
    stream = queue.subscribe_ack().through(pipe(to_input=lambda value: object()))
    with stream:
        assert statuses([next(stream), next(stream)]) == ["failed"] * 2
    (envelope,) = queue.receive(10)
    assert envelope.deliveries == 3


def test_a_message_whose_run_is_driven_elsewhere_stays(queue: Any, pipe: New, new_workflow: New) -> None:
    entered, released = threading.Event(), threading.Event()
    flow = new_workflow("hold").step("hold", lambda ctx: entered.set() or released.wait(20))
    queue.publish("a")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(flow.run, workflow_id="a")
        try:
            assert entered.wait(20)
            assert statuses(consumed(queue, pipe(workflow=flow))) == ["skipped"]
        finally:
            released.set()
        first.result()
    assert queue.metrics().processing == 1


def test_bad_arguments_are_refused(pipe: New) -> None:
    for argument, options in (
        ("workflow", {"workflow": "order"}),
        ("to_workflow_id", {"to_workflow_id": "w"}),
        ("to_input", {"to_input": 5}),
        ("on_duplicate", {"on_duplicate": "ignore"}),
        ("concurrency", {"concurrency": 0}),
    ):
        with pytest.raises(InvalidArgument) as caught:
            pipe(**options)
        assert caught.value.argument == argument
