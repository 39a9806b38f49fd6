"""What becomes of a task that is enqueued: once, in whose transaction, with which values."""

from __future__ import annotations

import math
import threading
from datetime import datetime

import psycopg
import pytest
import sqlalchemy as sa
from _tasks import from_start, new_steps, some, steps, watch
from psycopg import sql as composed
from sqlalchemy.ext.asyncio import create_async_engine

from promin_postgres.errors import CodecError, ConfigurationError, InvalidArgument
from promin_postgres.steps import AsyncPgStepQueue, Completed, Failed, NewTask, PgStepQueue

__all__ = ["new_steps", "steps", "watch"]

DEFAULT = ["default"]


def test_one_unfinished_task_for_each_workflow_run_and_step(steps):
    first = steps.enqueue("w", "s", input=1)
    assert steps.enqueue("w", "s", input=2, queue="other") == first
    others = [steps.enqueue("w", "s", run=2), steps.enqueue("w", "t"), steps.enqueue("x", "s")]
    assert len({first, *others}) == 4
    (task,) = steps.claim(queues=DEFAULT)
    assert (task.id, task.input) == (first, 1)
    assert steps.enqueue("w", "s") == first
    steps.complete(task)
    assert steps.enqueue("w", "s") != first


def test_ids_of_a_batch_come_in_its_order(steps):
    known = steps.enqueue("w", "s1")
    assert steps.enqueue_many([]) == []
    ids = steps.enqueue_many([*some(3), *some(2), NewTask(workflow_id="x", step_name="s1")])
    assert ids[1] == ids[4] == known
    assert ids[0] == ids[3]
    assert len(set(ids)) == 4
    assert steps.metrics()["default"].pending == 4
    fresh = steps.enqueue_many(iter(some(50, run=2)))
    assert fresh == sorted(set(fresh))


def test_what_was_added_and_finished_at_once_is_not_added_again(steps, watch):
    """A batch with a known task is looked up; what it added may be finished by then."""
    steps.enqueue("w", "s0")
    watch.execute("CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                  "DELETE FROM wf_step_queue WHERE id = NEW.id; RETURN NULL; END $$")  # fmt: skip
    watch.execute("CREATE CONSTRAINT TRIGGER gone AFTER INSERT ON wf_step_queue DEFERRABLE INITIALLY DEFERRED "
                  "FOR EACH ROW EXECUTE FUNCTION gone()")  # fmt: skip
    assert len(set(steps.enqueue_many(some(3)))) == 3
    watch.execute("DROP TRIGGER gone ON wf_step_queue")
    (tasks,) = watch.execute("SELECT nextval(pg_get_serial_sequence('wf_step_queue', 'id'))").fetchone()
    assert tasks <= 1 + 3 + 1, "one known, one conflict and two new ones took numbers, and none a second time"


def test_many_who_enqueue_the_same_get_the_same(steps):
    ids = []

    def enqueue():
        ids.append(tuple(steps.enqueue_many(some(50))))

    threads = [threading.Thread(target=enqueue) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1
    assert steps.metrics()["default"].pending == 50


def test_enqueueing_joins_the_callers_transaction(steps, twin, promin_dsn):
    connection = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect(promin_dsn)
    steps.enqueue("w", "one", connection=connection)
    steps.enqueue_many(some(2), connection=connection)
    assert steps.claim(queues=DEFAULT, limit=9) == []
    connection.rollback()
    assert from_start(steps).claim(queues=DEFAULT, limit=9) == []
    again = steps.enqueue("w", "one", connection=connection)
    assert steps.enqueue("w", "one", connection=connection) == again
    connection.commit()
    assert [task.id for task in from_start(steps).claim(queues=DEFAULT, limit=9)] == [again]
    connection.close()


def test_enqueueing_on_sqlalchemy(steps, twin, promin_dsn):
    url = "postgresql+psycopg" + promin_dsn.removeprefix("postgresql")
    engine = twin.pick(sa.create_engine, create_async_engine)(url)
    held = engine.connect()  # the stand-in of the async one has started it
    for number in (1, 2):
        steps.enqueue("w", f"s{number}", connection=held)
        held.rollback() if number == 1 else held.commit()
    held.close()
    engine.dispose()
    assert [task.step_name for task in steps.claim(queues=DEFAULT, limit=9)] == ["s2"]


HOSTILE = ["a" * 10_000, "'; DROP TABLE wf_step_queue; --", "%s %(id)s %%", '{"}\\', "é🚀\u202e", " ", "NULL", "\n\t"]


def test_hostile_names_and_payloads(new_steps):
    steps = new_steps(worker_id="it's %s {x}", namespace="n'%")
    tasks = [
        NewTask(
            workflow_id=text, step_name=text[:255], queue=text[:255], input={text: text}, prev_results={text: [text]},
            concurrency_key=text[:255], concurrency_limit=2**31 - 1,
        )
        for text in HOSTILE
    ]  # fmt: skip
    ids = steps.enqueue_many(tasks)
    assert steps.enqueue_many(tasks) == ids
    assert [steps.enqueue(text, text[:255]) for text in HOSTILE] == ids
    queues = [text[:255] for text in HOSTILE]
    claimed = steps.claim(queues=queues, limit=99)
    assert [(task.workflow_id, task.step_name, task.queue) for task in claimed] == [
        (text, text[:255], text[:255]) for text in HOSTILE
    ]
    assert [task.input for task in claimed] == [{text: text} for text in HOSTILE]
    assert [task.prev_results for task in claimed] == [{text: [text]} for text in HOSTILE]
    steps.complete_many(Completed(task, result={"r": text}) for task, text in zip(claimed, HOSTILE, strict=True))
    assert [steps.get(task_id).result for task_id in ids] == [{"r": text} for text in HOSTILE]
    assert set(steps.metrics()) == set(queues)


@pytest.mark.parametrize("value", [math.nan, math.inf, "\x00", "\ud800", object(), {1, 2}, [[math.nan]]])
@pytest.mark.parametrize("field", ["input", "prev_results"])
def test_payloads_that_do_not_encode(steps, field, value):
    given = {field: {"key": value} if field == "prev_results" else value}
    with pytest.raises(CodecError):
        steps.enqueue("w", "s", **given)
    with pytest.raises(CodecError):
        steps.enqueue_many([*some(2), NewTask(workflow_id="w", step_name="s", **given)])
    assert steps.metrics() == {}


def deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


def test_what_is_nested_too_deep_is_a_codec_error(steps):
    with pytest.raises(CodecError):
        steps.enqueue("w", "s", input=deep())
    steps.enqueue("w", "s")
    (task,) = steps.claim(queues=DEFAULT)
    with pytest.raises(CodecError):
        steps.complete(task, result=deep())
    steps.complete(task)


LONG = "q" * 256
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - refused is the point
BAD = {
    "workflow_id": ["", None, 1, "a\x00", "\ud800"],
    "step_name": ["", None, LONG, "a\x00"],
    "queue": ["", LONG, None, 7, "\ud800"],
    "priority": [-1, 11, True, 5.0, "5", None],
    "run": [0, -1, 2**31, True, "1", None],
    "namespace": ["", LONG, 5, "\x00"],
    "delay": [-1, math.nan, math.inf, NAIVE, "1", True, None],
    "prev_results": [[1], "x"],
    "concurrency_key": ["", LONG, 5],
    "concurrency_limit": [0, -1, 2**31, True, "1"],
}


@pytest.mark.parametrize(("argument", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_bad_tasks_are_refused_before_anything_is_sent(argument, value):
    given = {"workflow_id": "w", "step_name": "s"}
    if argument.startswith("concurrency"):
        given |= {"concurrency_key": "k", "concurrency_limit": 1}
    given[argument] = value
    queue = PgStepQueue("host=/nowhere")
    with pytest.raises(InvalidArgument) as one:
        queue.enqueue(**given)
    with pytest.raises(InvalidArgument) as many:
        queue.enqueue_many([*some(1), NewTask(**given)])
    assert one.value.argument == many.value.argument == argument
    assert repr(value)[:10] in str(one.value)


@pytest.mark.parametrize("given", [{"concurrency_key": "k"}, {"concurrency_limit": 1}])
def test_a_key_and_its_limit_go_together(given):
    with pytest.raises(InvalidArgument, match="both or neither"):
        PgStepQueue("host=/nowhere").enqueue("w", "s", **given)


CALLS = [
    (lambda q: q.claim(queues=[]), "queues"),
    (lambda q: q.claim(queues="default"), "queues"),
    (lambda q: q.claim(queues=None), "queues"),
    (lambda q: q.claim(queues=["a", ""]), "queues"),
    (lambda q: q.claim(queues=[LONG]), "queues"),
    (lambda q: q.claim(queues=["a"], limit=0), "limit"),
    (lambda q: q.claim(queues=["a"], limit=10_001), "limit"),
    (lambda q: q.claim(queues=["a"], limit=True), "limit"),
    (lambda q: q.claim(queues=["a"], limit=1.5), "limit"),
    (lambda q: q.claim(queues=["a"], fairness="fair"), "fairness"),
    (lambda q: q.claim(queues=["a"], fairness=None), "fairness"),
    (lambda q: q.claim(queues=["a"], fairness=["weighted"]), "fairness"),
    (lambda q: q.settle_and_claim([], queues=[]), "queues"),
    (lambda q: q.settle_and_claim([Completed(1)], queues=["a"], limit=0), "limit"),
    (lambda q: q.settle_and_claim([1], queues=["a"]), "outcomes"),
    (lambda q: q.complete("1"), "task"),
    (lambda q: q.complete(0), "task"),
    (lambda q: q.complete(2**63), "task"),
    (lambda q: q.complete(True), "task"),
    (lambda q: q.complete(1, duration=-1), "duration"),
    (lambda q: q.complete(1, duration=math.nan), "duration"),
    (lambda q: q.complete_many([Completed(1), 2]), "outcomes"),
    (lambda q: q.complete_many([Failed(1, error=5)]), "error"),
    (lambda q: q.fail(1, error=None), "error"),
    (lambda q: q.fail(1, error="e", retry_in=-1), "retry_in"),
    (lambda q: q.fail(None, error="e"), "task"),
    (lambda q: q.release(1, "2"), "task"),
    (lambda q: q.requeue_stuck(stale_timeout=-1), "stale_timeout"),
    (lambda q: q.requeue_stuck(claimed_by=""), "claimed_by"),
    (lambda q: q.redrive(limit=0), "limit"),
    (lambda q: q.redrive(queue=""), "queue"),
    (lambda q: q.pause(LONG), "queue"),
    (lambda q: q.resume(None), "queue"),
    (lambda q: q.prune(older_than=-1), "older_than"),
    (lambda q: q.prune(older_than=1, batch=0), "batch"),
    (lambda q: q.get("1"), "task"),
    (lambda q: q.get(0), "task"),
    (lambda q: q.enqueue_many([{"workflow_id": "w"}]), "tasks"),
]


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_bad_arguments_are_named(twin, number):
    call, argument = CALLS[number]
    with pytest.raises(InvalidArgument) as error:
        call(twin.pick(PgStepQueue, AsyncPgStepQueue)("host=/nowhere"))
    assert error.value.argument == argument


@pytest.mark.parametrize(
    "option",
    [
        {"worker_id": ""}, {"worker_id": LONG}, {"namespace": ""}, {"max_deliveries": 0}, {"max_deliveries": True},
        {"lease": 0}, {"lease": math.inf}, {"schema": "\x00"},
    ],
)  # fmt: skip
def test_bad_settings_are_refused(option):
    with pytest.raises(InvalidArgument) as error:
        PgStepQueue("host=/nowhere", **option)
    assert error.value.argument == next(iter(option))


def test_the_tables_under_names_that_need_quoting(twin, promin_dsn, watch):
    schema, prefix = 'we"ird %s', "odd_"
    watch.execute(composed.SQL("CREATE SCHEMA {}").format(composed.Identifier(schema)))
    kind = twin.pick(PgStepQueue, AsyncPgStepQueue)
    with kind(promin_dsn, schema=schema, table_prefix=prefix, namespace="n") as queue:
        queue.ensure_table()
        queue.ensure_table()
        queue.enqueue("w", "s")
        for fairness in ("strict-priority", "round-robin", "weighted"):
            (task,) = queue.claim(queues=DEFAULT, fairness=fairness)
            queue.release(task)
    with pytest.raises(ConfigurationError):
        kind(promin_dsn, table_prefix="Bad-")


def test_the_tables_as_text(promin_server):
    name = promin_server.new_name()
    with psycopg.connect(promin_server.create_database(name), autocommit=True) as connection:
        text = PgStepQueue.schema_sql(table_prefix="mine_")
        assert text == AsyncPgStepQueue.schema_sql(table_prefix="mine_")
        connection.execute(text)
        queue = PgStepQueue(connection, table_prefix="mine_")
        queue.enqueue("w", "s")
        queue.complete(queue.claim(queues=DEFAULT)[0])
    promin_server.drop_database(name)
