"""Arguments of the step queue, checked and encoded; rows decoded. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, get_args

from psycopg.sql import SQL

from promin_postgres._arguments import (
    MAX_NAME,
    check_count,
    check_optional_text,
    check_text,
    decode_optional,
    encode_optional,
)
from promin_postgres._error_record import ErrorRecord, decode_error, encode_error
from promin_postgres._statement import SqlNames
from promin_postgres._time import Seconds, check_seconds, delay_of
from promin_postgres.errors import InvalidArgument
from promin_postgres.lookups import TaskStatus
from promin_postgres.steps._fairness import HIGHEST, LOWEST
from promin_postgres.steps._records import ID, Completed, Failed, Fairness, NewTask, Outcome, StepTask, TaskRecord

MAX_LIMIT = 10_000
_POLICIES = get_args(Fairness)


def check_queue(queue: Any) -> str:
    return _check_name("queue", queue)


def _check_name(argument: str, value: Any) -> str:
    """Names are few, and checked for each task."""
    return _checked(argument, value) if type(value) is str else check_text(argument, value, limit=MAX_NAME)


@lru_cache(maxsize=1024)
def _checked(argument: str, name: str) -> str:
    return check_text(argument, name, limit=MAX_NAME)


def check_queues(queues: Any) -> list[str]:
    """Names of queues, each once, in their order."""
    # The likely types first: asking whether it is a Sequence takes longer than all the rest.
    if not isinstance(queues, list | tuple | set | frozenset | Sequence) or isinstance(queues, str):
        raise InvalidArgument("queues", queues, "must be a list of names")
    if not queues:
        raise InvalidArgument("queues", queues, "must not be empty")
    return list(dict.fromkeys([_check_name("queues", queue) for queue in queues]))


def check_limit(limit: Any) -> int:
    return check_count("limit", limit, at_least=1, at_most=MAX_LIMIT)


def check_fairness(fairness: Any) -> Fairness:
    if fairness not in _POLICIES:
        raise InvalidArgument("fairness", fairness, f"must be one of {', '.join(_POLICIES)}")
    return fairness  # type: ignore[no-any-return]


def step_names(schema: str, table_prefix: str, namespace: str | None) -> SqlNames:
    """The names of the tables, and what a claim compares with its namespace (sql/steps/parts/free.sql)."""
    return SqlNames(schema, table_prefix, {"namespace": SQL("t.namespace" if namespace else "''")})


def incarnation(worker_id: str | None) -> str:
    """A name that no other process bears, and this one only once: a restarted pod is not mistaken for the dead one."""
    token = secrets.token_hex(8)
    return token if worker_id is None else f"{worker_id}.{token}"


def encode_task(task: NewTask, namespace: str | None) -> dict[str, Any]:
    """A task as enqueue.sql takes it."""
    if not isinstance(task, NewTask):
        raise InvalidArgument("tasks", task, "must be a NewTask")
    check_text("workflow_id", task.workflow_id)
    _check_name("step_name", task.step_name)
    priority = task.priority
    if isinstance(priority, bool) or not isinstance(priority, int) or not LOWEST <= priority <= HIGHEST:
        raise InvalidArgument("priority", priority, f"must be a whole number from {LOWEST} to {HIGHEST}")
    if (task.concurrency_key is None) != (task.concurrency_limit is None):
        raise InvalidArgument(
            "concurrency_key", task.concurrency_key, "goes together with concurrency_limit: give both or neither"
        )
    if task.prev_results is not None and not isinstance(task.prev_results, Mapping):
        raise InvalidArgument("prev_results", task.prev_results, "must be a mapping")
    limit = task.concurrency_limit
    return {
        "workflow_id": task.workflow_id,
        "step_name": task.step_name,
        "run": check_count("run", task.run, at_least=1),
        "queue": check_queue(task.queue),
        "priority": priority,
        "namespace": namespace if task.namespace is None else check_text("namespace", task.namespace, limit=MAX_NAME),
        "concurrency_key": check_optional_text("concurrency_key", task.concurrency_key),
        "concurrency_limit": None if limit is None else check_count("concurrency_limit", limit, at_least=1),
        "input": _encode_payload(task, "input", task.input),
        "prev_results": None
        if task.prev_results is None
        else _encode_payload(task, "prev_results", dict(task.prev_results)),
        **delay_of(task.delay),
    }


def _encode_payload(task: NewTask, field: str, value: Any) -> str | None:
    if value is None:
        return None
    return encode_optional(value, f"{field} of task {task.step_name!r} of {task.workflow_id!r}")


_COLUMNS = {
    "run": "runs",
    "priority": "priorities",
    "concurrency_limit": "concurrency_limits",
    "delay": "delays",
    "due_at": "due_ats",
    "queue": "queues",
    "workflow_id": "workflow_ids",
    "step_name": "step_names",
    "namespace": "namespaces",
    "concurrency_key": "concurrency_keys",
    "input": "inputs",
    "prev_results": "prev_results",
}


def place(row: dict[str, Any]) -> tuple[str, int, str]:
    """What there is one unfinished task of."""
    return row["workflow_id"], row["run"], row["step_name"]


def columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Tasks as enqueue_many.sql takes them: an array for each column."""
    return {plural: [row[name] for row in rows] for name, plural in _COLUMNS.items()}


class Settlement(NamedTuple):
    """An outcome, ready to be written: the first columns of its task, and what became of it.

    But for the id they are None where only that is known.
    """

    id: int
    lease: int | None
    deliveries: int | None
    concurrency_key: str | None
    queue: str | None
    priority: int | None
    is_large: bool | None
    status: TaskStatus
    result: str | None
    error: str | None
    duration: int | None
    """Microseconds."""
    retry_in: timedelta | None


_COMPLETED = TaskStatus.COMPLETED
_KNOWN = 7
"""How many columns of a task are needed to settle it."""

_LARGE = 4_000
"""Characters of a result that is not kept together with others (sql/steps/parts/is_large.sql)."""

_UNKNOWN = (None,) * (_KNOWN - 1)

_PLAIN = (_COMPLETED, None, None, None, None)
"""What most outcomes say: done."""


def encode_outcomes(outcomes: Iterable[Outcome]) -> list[Settlement]:
    """Raises before anything is written, and names the task."""
    make = tuple.__new__
    return [
        make(Settlement, outcome.task[:_KNOWN] + _PLAIN)
        if type(outcome) is Completed
        and type(outcome.task) is StepTask
        and outcome.result is None
        and outcome.duration is None
        else encode_outcome(outcome)
        for outcome in outcomes
    ]


def encode_outcome(outcome: Outcome) -> Settlement:
    """As `encode_outcomes`, of any kind."""
    if isinstance(outcome, Completed):
        task, result, duration = check_task(outcome.task), outcome.result, outcome.duration
        if result is not None:
            task_id = task.id if isinstance(task, StepTask) else task
            result = encode_optional(result, f"result of task {task_id}")
        if duration is not None:
            duration = _microseconds(duration)
        return settlement(task, _COMPLETED, result=result, duration=duration)
    if not isinstance(outcome, Failed):
        raise InvalidArgument("outcomes", outcome, "must be Completed or Failed")
    return settlement(
        check_task(outcome.task),
        TaskStatus.FAILED,
        error=_encode_error(outcome.error),
        duration=None if outcome.duration is None else _microseconds(outcome.duration),
        retry_in=None if outcome.retry_in is None else timedelta(seconds=check_seconds("retry_in", outcome.retry_in)),
    )


def settlement(
    task: StepTask | int,
    status: TaskStatus = TaskStatus.PENDING,
    *,
    result: str | None = None,
    error: str | None = None,
    duration: int | None = None,
    retry_in: timedelta | None = None,
) -> Settlement:
    known: tuple[Any, ...] = (task, *_UNKNOWN) if isinstance(task, int) else task[:_KNOWN]
    # As Settlement._make, at half the price.
    return tuple.__new__(Settlement, (*known, status, result, error, duration, retry_in))


def _microseconds(duration: Seconds) -> int:
    return round(check_seconds("duration", duration) * 1_000_000)


def _encode_error(error: Any) -> str:
    if isinstance(error, str):
        return encode_error(ErrorRecord(error_type="Error", message=error))
    if not isinstance(error, BaseException | ErrorRecord):
        raise InvalidArgument("error", error, "must be an exception, an ErrorRecord or a text")
    return encode_error(error)


def check_task(task: Any) -> StepTask | int:
    if isinstance(task, StepTask) or (isinstance(task, int) and not isinstance(task, bool) and 0 < task < 2**63):
        return task
    raise InvalidArgument("task", task, "must be a task or its id")


def check_tasks(tasks: Iterable[Any]) -> list[StepTask | int]:
    return [check_task(task) for task in tasks]


def task_record(row: dict[str, Any]) -> TaskRecord:
    subject = f"task {row['id']}"
    return TaskRecord(
        **row
        | {
            "status": TaskStatus(row["status"]),
            "input": decode_optional(row["input"], f"input of {subject}"),
            "prev_results": decode_optional(row["prev_results"], f"prev_results of {subject}") or {},
            "result": decode_optional(row["result"], f"result of {subject}"),
            "error": decode_error(row["error"]),
        }
    )


def split(settlements: Sequence[Settlement]) -> tuple[Sequence[Settlement], Sequence[Settlement]]:
    """Those that are settled while the next are claimed: completed, not large, and without a seat; and the rest."""
    rest = [
        one
        for one in settlements
        if one.status is not _COMPLETED
        or one.concurrency_key is not None
        or one.is_large is not False
        or (one.result is not None and len(one.result) > _LARGE)
    ]
    if not rest:
        return settlements, ()
    apart = set(map(id, rest))
    return [one for one in settlements if id(one) not in apart], rest


def each_once(settlements: Sequence[Settlement]) -> tuple[list[Settlement], list[int]]:
    """In the order of their ids, as the statements want them; and the ids of what was given twice: the first counts.

    Of several leases of one task only the last can be ours still.
    """
    if len(set(map(ID, settlements))) == len(settlements):
        return sorted(settlements, key=ID), []
    kept: dict[int, Settlement] = {}
    for one in settlements:
        other = kept.get(one.id)
        if other is None or (one.lease or 0) > (other.lease or 0):
            kept[one.id] = one
    return [kept[task_id] for task_id in sorted(kept)], [one.id for one in settlements if kept[one.id] is not one]


def fence(settlements: Sequence[Settlement]) -> dict[str, Any]:
    """What shows that tasks are ours, as settle.sql takes it."""
    return {"ids": [one.id for one in settlements], "leases": [one.lease for one in settlements]}


def outcomes(settlements: Sequence[Settlement]) -> dict[str, Any]:
    """What became of tasks, as settle.sql takes it."""
    told = [one for one in settlements if one[_KNOWN:] != _PLAIN]
    return {
        "told_ids": [one.id for one in told] or None,
        "statuses": _unless_none([None if one.status is _COMPLETED else int(one.status) for one in told]),
        "results": _unless_none([one.result for one in told]),
        "errors": _unless_none([one.error for one in told]),
        "durations": _unless_none([one.duration for one in told]),
    }


def completions(settlements: Sequence[Settlement]) -> dict[str, Any]:
    """What became of tasks that are completed, as settle_and_claim.sql takes it."""
    return {
        "results": _unless_none([one.result for one in settlements]),
        "durations": _unless_none([one.duration for one in settlements]),
    }


def _unless_none(values: list[Any]) -> list[Any] | None:
    """The array, or None if it holds nothing else: unnest takes that for an empty one, and fills up with NULL.

    None costs nothing; an array takes microseconds to encode.
    """
    return None if values.count(None) == len(values) else values


def missing(settlements: Sequence[Settlement], settled: set[int]) -> list[int]:
    """The ids of those that were not settled, each once."""
    return list(dict.fromkeys(one.id for one in settlements if one.id not in settled))
