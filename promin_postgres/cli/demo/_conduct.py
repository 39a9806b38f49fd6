"""The demo's course: start workers, kill one in the middle of a run, start another, wait for the end."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from promin_postgres._wait import sleep
from promin_postgres.cli import _statements as statements
from promin_postgres.cli.demo._fleet import Fleet, Worker
from promin_postgres.cli.demo._progress import Progress
from promin_postgres.database import Executor

_WATCH = 0.1
_WATCH_CLOSELY = 0.005
_MOMENT = 0.0005
_SETTLE = 5.0


@attrs.define
class Course:
    """What happened to the processes."""

    killed: list[str] = attrs.field(factory=list)
    """Workers that kill -9 ended in the middle of a run."""

    broken: dict[str, int] = attrs.field(factory=dict)
    """Workers that ended by an error of their own, and their exit codes."""

    elapsed: float = 0.0
    """Seconds until the last run ended, the start of the processes included."""


def conduct(executor: Executor, fleet: Fleet, progress: Progress, *, workers: int, total: int) -> Course:
    """Have the files worked off; returns when no worker is left."""
    course = Course()
    began = time.monotonic()
    for _ in range(workers):
        fleet.start()
    done = 0
    while True:
        for worker in fleet.bury():
            if worker.process.returncode != 0:
                course.broken[worker.name] = worker.process.returncode
                executor.execute(statements.RELEASE_FILES, {"worker": worker.name})
        ended = _one(executor.fetch_one(statements.COUNT_ENDED))["ended"]
        progress.update(ended)
        if ended != done:
            done, course.elapsed = ended, time.monotonic() - began
        if not fleet.living:
            return course
        is_time = not course.killed and ended >= total // 3
        if is_time:
            _kill_in_the_middle(executor, fleet, course, progress)
        sleep(_WATCH if course.killed else _MOMENT if is_time else _WATCH_CLOSELY)


def _kill_in_the_middle(executor: Executor, fleet: Fleet, course: Course, progress: Progress) -> None:
    """Kill a worker that is in the middle of a run, if one is just now.

    It is stopped before it is killed, to look again: the run may have ended meanwhile, and a worker that is killed
    between two runs leaves nothing to resume. Then it goes on.
    """
    living = {worker.name: worker for worker in fleet.living}
    found = executor.fetch_one(statements.FIND_UNFINISHED, {"workers": list(living)})
    if found is None:
        return
    worker = living[found["worker"]]
    worker.stop()
    run = None
    if _settled(executor, worker):
        run = executor.fetch_one(statements.FIND_UNFINISHED, {"workers": [worker.name]})
    if run is None:
        worker.go_on()
        return
    if worker.kill() != -signal.SIGKILL:
        return  # it had ended already, by itself
    fleet.bury()
    course.killed.append(worker.name)
    executor.execute(statements.RELEASE_FILES, {"worker": worker.name})
    successor = fleet.start()
    progress.note(
        f"killed {worker.name} (pid {worker.process.pid}) with -9 after {run['checkpoints']} of {run['steps']} steps "
        f"of {run['path']}; {successor.name} takes its place"
    )


def _settled(executor: Executor, worker: Worker) -> bool:
    """Wait until the server has done what the stopped worker had sent it."""
    deadline = time.monotonic() + _SETTLE
    while _one(executor.fetch_one(statements.COUNT_BUSY, {"worker": worker.application_name}))["busy"]:
        if time.monotonic() > deadline:
            return False
        sleep(_MOMENT)
    return True


def enter_files(executor: Executor, paths: Sequence[str]) -> None:
    """Write the work list."""
    width = len(str(len(paths)))
    workflow_ids = [f"file-{number:0{width}}" for number in range(1, len(paths) + 1)]
    executor.execute(statements.ADD_FILES, {"workflow_ids": workflow_ids, "paths": list(paths)})


def _one(row: Mapping[str, Any] | None) -> Mapping[str, Any]:
    assert row is not None  # an aggregate always has a row
    return row
