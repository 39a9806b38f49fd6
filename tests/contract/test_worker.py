"""Workers: what handlers are called with, and what becomes of their tasks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from typing import Any

import pytest
from _twins import Twin
from _waiting import until
from _workers import Gate, Kit, kit

from promin_postgres import Retry
from promin_postgres.errors import ConfigurationError, InvalidArgument
from promin_postgres.worker import AsyncWorker, Handler, RetryLater, TaskContext, Worker

__all__ = ["kit"]


def test_a_handler_gets_its_task_and_its_result_is_kept(kit: Kit) -> None:
    seen: list[tuple[Any, ...]] = []

    def add(context: TaskContext) -> dict[str, int]:
        seen.append((context.task.workflow_id, context.attempt, context.cancelled, context.lost))
        return {"sum": context.input["a"] + context.task.prev_results["b"]}

    (task,) = kit.enqueue("add", input={"a": 1}, prev_results={"b": 2})
    worker = kit.drain({"add": add})
    assert seen == [("w0", 1, False, False)]
    record = kit.queue.get(task)
    assert (record.status.name, record.result, record.attempt, record.deliveries) == ("COMPLETED", {"sum": 3}, 1, 1)
    assert record.duration is not None
    assert record.duration.total_seconds() < 60
    assert worker.health().completed == 1


def test_coroutine_functions_and_plain_ones_work_side_by_side(promin_dsn: str) -> None:
    threads: dict[str, threading.Thread] = {}

    async def here(context: TaskContext) -> str:
        await asyncio.sleep(0)
        threads["here"] = threading.current_thread()
        return "here"

    def there(context: TaskContext) -> str:
        threads["there"] = threading.current_thread()
        return "there"

    async def main() -> None:
        threads["loop"] = threading.current_thread()
        await AsyncWorker(promin_dsn, handlers={"here": here, "there": there}).run(drain=True)

    kit = Kit(Twin("sync"), promin_dsn)
    with kit.queue:
        tasks = kit.enqueue("here", "there")
        asyncio.run(main())
        assert [kit.queue.get(task).result for task in tasks] == ["here", "there"]
    assert threads["here"] is threads["loop"]
    assert threads["there"] is not threads["loop"]


def test_an_exception_is_a_failure_with_its_traceback(kit: Kit) -> None:
    def break_it(context: TaskContext) -> None:
        raise ValueError("no such teapot\x00")

    (task,) = kit.enqueue("break")
    worker = kit.drain({"break": break_it})
    record = kit.queue.get(task)
    assert record.status.name == "FAILED"
    assert record.error is not None
    assert (record.error.error_type, record.error.message) == ("ValueError", "no such teapot\\x00")
    assert "in break_it" in (record.error.traceback or "")
    health = worker.health()
    assert (health.failed, health.last_error) == (1, record.error)


@pytest.mark.parametrize("result", [{1, 2}, float("nan"), "\x00", {1: 2}], ids=repr)
def test_a_result_that_does_not_encode_is_a_failure(kit: Kit, result: Any) -> None:
    good, bad = kit.enqueue("good", "bad")
    kit.drain({"good": lambda context: 1, "bad": lambda context: result})
    record = kit.queue.get(bad)
    assert (record.status.name, record.error and record.error.error_type) == (
        "FAILED",
        "promin_postgres.errors.CodecError",
    )
    assert kit.status(good) == "COMPLETED"


def test_a_result_that_the_server_does_not_take_is_a_failure_of_that_task_alone(kit: Kit) -> None:
    """Nested so deeply that Python writes it and the server, with its smallest stack, does not read it."""
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    kit.execute(f"ALTER DATABASE \"{kit.dsn.rsplit('/', 1)[-1].split('?')[0]}\" SET max_stack_depth = '100kB'")
    tasks = kit.enqueue(*["plain"] * 20, "deep", *["plain"] * 20)
    kit.drain({"plain": lambda context: 1, "deep": lambda context: deep})
    assert Counter(kit.status(task) for task in tasks) == {"COMPLETED": 40, "FAILED": 1}
    record = kit.queue.get(tasks[20])
    assert record.error is not None
    assert record.error.error_type == "psycopg.errors.StatementTooComplex"


def test_a_failure_is_tried_again_as_its_handler_says(kit: Kit) -> None:
    attempts: list[int] = []

    def third_time_lucky(context: TaskContext) -> int:
        attempts.append(context.attempt)
        if context.attempt < 3:
            raise RuntimeError("not yet")
        return context.attempt

    (task,) = kit.enqueue("try")
    retry = Retry(max_attempts=3, base=0.05, jitter="none")
    with kit.working({"try": Handler(third_time_lucky, retry=retry)}) as worker:
        until(lambda: worker.health().completed == 1)
    assert attempts == [1, 2, 3]
    record = kit.queue.get(task)
    assert (record.status.name, record.result, record.attempt, record.deliveries) == ("COMPLETED", 3, 3, 3)
    assert worker.health().retried == 2


def test_retries_end_with_the_last_error(kit: Kit) -> None:
    def never(context: TaskContext) -> None:
        raise RuntimeError(f"attempt {context.attempt}")

    (task,) = kit.enqueue("never")
    # More attempts than deliveries that are a crash's: they are not taken for that.
    retry = Retry(max_attempts=4, base=0)
    kit.drain({"never": Handler(never, retry=retry)}, max_deliveries=1)
    record = kit.queue.get(task)
    assert (record.status.name, record.attempt, record.deliveries) == ("FAILED", 4, 4)
    assert record.error is not None
    assert record.error.message == "attempt 4"


def test_retry_later_counts_neither_as_attempt_nor_as_delivery(kit: Kit) -> None:
    seen: list[tuple[int, int]] = []

    def snooze(context: TaskContext) -> str:
        seen.append((context.attempt, context.task.deliveries))
        if len(seen) < 4:
            raise RetryLater(0.05 if len(seen) > 1 else 0)
        return "awake"

    (task,) = kit.enqueue("snooze")
    with kit.working({"snooze": snooze}) as worker:
        until(lambda: worker.health().completed == 1)
    assert seen == [(1, 1)] * 4
    assert kit.queue.get(task).result == "awake"
    assert worker.health().released == 3


def test_unknown_steps_are_left_for_a_worker_that_knows_them(kit: Kit) -> None:
    strange = kit.enqueue(*["strange"] * 50)
    known = kit.queue.enqueue("known", "known")
    with kit.working({"known": lambda context: "done"}) as ignorant:
        until(lambda: kit.status(known) == "COMPLETED")
        assert ignorant.health().released == 0
        with kit.working({"strange": lambda context: "done"}):
            until(lambda: all(kit.status(task) == "COMPLETED" for task in strange))
    record = kit.queue.get(strange[0])
    assert (record.attempt, record.deliveries) == (1, 1)


def test_drain_ends_when_nothing_is_left_that_could_be_claimed_now(kit: Kit) -> None:
    def more(context: TaskContext) -> None:
        if context.input:
            kit.queue.enqueue(context.task.workflow_id, "more", input=context.input - 1, run=context.task.run + 1)

    kit.enqueue("more", input=5)
    later = kit.queue.enqueue("later", "more", input=0, delay=3600)
    worker = kit.drain({"more": more})
    assert worker.health().completed == 6
    assert kit.status(later) == "PENDING"
    kit.enqueue("more", input=0)
    worker.run(drain=True)  # once more
    assert worker.health().completed == 1


def test_many_tasks_are_each_executed_once(kit: Kit) -> None:
    seen: Counter[int] = Counter()
    tasks = kit.enqueue(*["count"] * 3000, input=1)
    worker = kit.drain({"count": lambda context: seen.update([context.task.id])})
    assert seen == Counter(tasks)
    health = worker.health()
    assert (health.state, health.running, health.ahead, health.completed, health.lost) == ("stopped", 0, 0, 3000, 0)
    assert kit.queue.metrics()["default"].completed == 3000
    assert kit.execute("SELECT count(*) FROM wf_workers") == [(0,)]


def test_slow_handlers_leave_tasks_for_others(kit: Kit) -> None:
    gate = Gate()
    kit.enqueue(*["slow"] * 20)
    with kit.working({"slow": gate}, concurrency=3) as worker:
        until(lambda: gate.entered == 3)
        assert (worker.health().running, worker.health().ahead) == (3, 0)
        assert kit.queue.metrics()["default"].pending == 17
        gate.opened.set()
        until(lambda: worker.health().completed == 20)


def test_what_was_claimed_ahead_is_given_back_when_handlers_become_slow(kit: Kit) -> None:
    gate = Gate()

    def quick(context: TaskContext) -> None:
        if gate.entered or worker.health().ahead > 3:
            gate(context)

    kit.enqueue(*["quick"] * 4000)
    worker = kit.worker({"quick": quick}, concurrency=2)
    with worker:
        until(lambda: gate.entered == 2)
        until(lambda: kit.queue.metrics()["default"].running == 2)
        until(lambda: worker.health().released > 0)  # counted when the server has answered
        gate.opened.set()
        until(lambda: worker.health().completed == 4000)


def test_health_and_the_context_manager(kit: Kit) -> None:
    gate = Gate()
    kit.enqueue(*["gate"] * 3)
    worker = kit.worker({"gate": gate}, worker_id="packer", concurrency=2, lease=20)
    assert worker.health().state == "idle"
    with worker:
        until(lambda: gate.entered == 2)
        health = worker.health()
        assert (health.state, health.running, health.connected) == ("running", 2, True)
        assert health.worker_id is not None
        assert health.worker_id.startswith("packer.")
        assert health.lease_expires_in is not None
        assert 10 < health.lease_expires_in <= 20
        assert [row.claimed_by for row in map(kit.queue.get, kit_ids(kit))] == [health.worker_id] * 2
        with pytest.raises(ConfigurationError, match="already"):
            worker.start()
        gate.opened.set()
        until(lambda: worker.health().completed == 3)
    health = worker.health()
    assert (health.state, health.completed, health.lease_expires_in) == ("stopped", 3, None)
    worker.stop()  # again: nothing


def kit_ids(kit: Kit) -> list[int]:
    return [row[0] for row in kit.execute("SELECT id FROM wf_step_queue WHERE claimed_by IS NOT NULL")]


def test_stop_lets_what_runs_end_and_gives_back_the_rest(kit: Kit) -> None:
    gate = Gate()
    ids = kit.enqueue(*["gate"] * 6)
    worker = kit.worker({"gate": gate}, concurrency=2)
    worker.start()
    until(lambda: gate.entered == 2)
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    until(lambda: worker.health().state == "stopping")
    assert [context.cancelled for context in gate.contexts] == [True, True]
    assert not gate.contexts[0].lost
    gate.opened.set()
    stopper.join(60)
    assert not stopper.is_alive()
    assert Counter(map(kit.status, ids)) == {"COMPLETED": 2, "PENDING": 4}
    assert gate.entered == 2


def test_what_runs_for_longer_than_the_timeout_of_stop_is_given_back(kit: Kit) -> None:
    gate = Gate()
    (task,) = kit.enqueue("gate")
    worker = kit.worker({"gate": gate})
    worker.start()
    until(lambda: gate.entered == 1)
    worker.stop(0.1)
    record = kit.queue.get(task)
    assert (record.status.name, record.deliveries, record.claimed_by) == ("PENDING", 0, None)
    gate.opened.set()
    kit.drain({"gate": lambda context: "by another"})
    assert kit.queue.get(task).result == "by another"


def test_a_handler_may_give_its_task_back_when_the_worker_stops(kit: Kit) -> None:
    entered = threading.Event()

    def patient(context: TaskContext) -> None:
        entered.set()
        until(lambda: context.cancelled)
        raise RetryLater

    (task,) = kit.enqueue("patient")
    worker = kit.worker({"patient": patient})
    worker.start()
    assert entered.wait(20)
    worker.stop()
    assert (kit.status(task), kit.queue.get(task).deliveries) == ("PENDING", 0)


def test_a_timeout_ends_an_execution(kit: Kit) -> None:
    gate = Gate()
    ids = kit.enqueue("gate", "quick")
    with kit.working({"gate": Handler(gate, timeout=0.1), "quick": lambda context: 1}, concurrency=1) as worker:
        until(lambda: worker.health().completed == 1)
        record = kit.queue.get(ids[0])
        assert (record.status.name, record.error and record.error.error_type) == ("FAILED", "TimeoutError")
        assert gate.contexts[0].cancelled
        gate.opened.set()
    assert kit.status(ids[1]) == "COMPLETED"


def test_a_timeout_may_be_extended(kit: Kit) -> None:
    def long(context: TaskContext) -> str:
        context.extend(20)
        time.sleep(0.4)
        return "done"

    def longer(context: TaskContext) -> str:
        context.extend(0.3)
        until(lambda: context.cancelled)
        return "too late"

    ids = kit.enqueue("long", "longer", "free")
    handlers = {
        "long": Handler(long, timeout=0.2),
        "longer": Handler(longer, timeout=0.2),
        "free": lambda context: context.extend(5),
    }
    kit.drain(handlers)
    assert [kit.status(task) for task in ids] == ["COMPLETED", "FAILED", "COMPLETED"]


def test_a_coroutine_that_takes_too_long_is_cancelled(promin_dsn: str) -> None:
    ends: list[str] = []

    async def sleepy(context: TaskContext) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    async def extended(context: TaskContext) -> str:
        context.extend(30)
        await asyncio.sleep(0.3)
        return "in time"

    async def cancels_itself(context: TaskContext) -> None:
        raise asyncio.CancelledError

    kit = Kit(Twin("sync"), promin_dsn)
    with kit.queue:
        ids = kit.enqueue("sleepy", "extended", "cancels", "cancels")
        handlers: dict[str, Any] = {
            "sleepy": Handler(sleepy, timeout=0.1),
            "extended": Handler(extended, timeout=0.1),
            "cancels": cancels_itself,
        }
        asyncio.run(AsyncWorker(promin_dsn, handlers=handlers, concurrency=1).run(drain=True))
        assert ends == ["cancelled"]
        errors = [(record.error.error_type if record.error else record.result) for record in map(kit.queue.get, ids)]
    assert errors == [
        "TimeoutError",
        "in time",
        "asyncio.exceptions.CancelledError",
        "asyncio.exceptions.CancelledError",
    ]


def test_a_cancelled_run_gives_back_what_runs(promin_dsn: str) -> None:
    entered = threading.Event()

    async def sleepy(context: TaskContext) -> None:
        entered.set()
        await asyncio.sleep(60)

    async def main() -> None:
        run = asyncio.create_task(AsyncWorker(promin_dsn, handlers={"sleepy": sleepy}).run())
        await asyncio.to_thread(entered.wait)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    kit = Kit(Twin("sync"), promin_dsn)
    with kit.queue:
        (task,) = kit.enqueue("sleepy")
        asyncio.run(main())
        record = kit.queue.get(task)
        assert (record.status.name, record.deliveries) == ("PENDING", 0)
        assert kit.execute("SELECT count(*) FROM wf_workers") == [(0,)]


def test_queues_priorities_and_namespaces(kit: Kit) -> None:
    order: list[str] = []
    for workflow, queue, priority, namespace in [
        ("low", "a", 1, "ours"), ("high", "b", 9, "ours"), ("other", "a", 10, "theirs"), ("elsewhere", "c", 10, "ours"),
    ]:  # fmt: skip
        kit.queue.enqueue(workflow, "step", queue=queue, priority=priority, namespace=namespace)
    handlers = {"step": lambda context: order.append(context.task.workflow_id)}
    kit.drain(handlers, queues=["a", "b"], namespace="ours", concurrency=1)
    assert order == ["high", "low"]


@pytest.mark.parametrize("fairness", ["strict-priority", "round-robin", "weighted"])
def test_every_policy_drains(kit: Kit, fairness: str) -> None:
    kit.queue.enqueue_many([_task(workflow, step, priority=step % 11) for workflow in range(10) for step in range(40)])
    kit.queue.enqueue("limited", "step", concurrency_key="k", concurrency_limit=1)
    worker = kit.drain(
        {f"s{step}": lambda context: None for step in range(40)} | {"step": lambda context: 1}, fairness=fairness
    )
    assert worker.health().completed == 401


def _task(workflow: int, step: int, **fields: Any) -> Any:
    from promin_postgres.steps import NewTask

    return NewTask(workflow_id=f"w{workflow}", step_name=f"s{step}", **fields)


def test_a_worker_on_an_empty_database_says_so(twin: Twin, promin_server: Any) -> None:
    name = promin_server.new_name()
    dsn = promin_server.create_database(name)
    worker = twin.pick(Worker, AsyncWorker)(dsn, handlers={"a": print})
    with pytest.raises(Exception, match="wf_workers"):
        worker.run()
    health = worker.health()
    assert (health.state, health.last_error and health.last_error.error_type) == (
        "failed",
        "psycopg.errors.UndefinedTable",
    )
    promin_server.drop_database(name)


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("handlers", {"handlers": {}}),
        ("handlers", {"handlers": print}),
        ("handlers", {"handlers": {"": print}}),
        ("function", {"handlers": {"a": 1}}),
        ("queues", {"queues": []}),
        ("queues", {"queues": ["x" * 256]}),
        ("concurrency", {"concurrency": 0}),
        ("fairness", {"fairness": "best"}),
        ("lease", {"lease": 0}),
        ("poll_interval", {"poll_interval": -1}),
        ("batch", {"batch": 0}),
        ("batch", {"batch": 10_001}),
        ("shutdown_timeout", {"shutdown_timeout": -1}),
        ("worker_id", {"worker_id": ""}),
        ("max_deliveries", {"max_deliveries": 0}),
    ],
)
def test_bad_arguments_are_refused(twin: Twin, argument: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        twin.pick(Worker, AsyncWorker)("dbname=nowhere", **{"handlers": {"a": print}, **options})
    assert caught.value.argument == argument


def test_bad_arguments_of_handlers_are_refused() -> None:
    for options in ({"timeout": 0}, {"retry": 3}):
        with pytest.raises(InvalidArgument):
            Handler(print, **options)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        RetryLater(-1)
