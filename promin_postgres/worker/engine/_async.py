"""AsyncEngine: the steps of runs, as a worker executes them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta

import psycopg

from promin_postgres._retry import jittered
from promin_postgres._statement import SqlNames
from promin_postgres.database import AsyncDatabase, AsyncExecutor
from promin_postgres.errors import DeadlineExceeded, DefinitionChanged, LeaseLost, NotFound, WorkflowCancelled
from promin_postgres.lookups import StepStatus
from promin_postgres.steps import StepTask
from promin_postgres.steps._settings import settlement
from promin_postgres.worker._context import TaskContext
from promin_postgres.worker._desk import Closed, Ended, unfit
from promin_postgres.worker._settings import Settings
from promin_postgres.worker.engine._async_end import AsyncRunEnd
from promin_postgres.worker.engine._async_step import AsyncStepExecution
from promin_postgres.worker.engine._outcomes import check_step, failed, lease_on, unexecuted
from promin_postgres.worker.engine._statements import FIND_UNWANTED
from promin_postgres.workflow.definition import Fate
from promin_postgres.workflow.runner import AsyncStepRunner
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, StepInput, StepSettlement

logger = logging.getLogger(__name__)

_ADOPT_EVERY = 5.0
"""Seconds between two looks for runs that were driven inline, and were left behind."""

_LOOK_EVERY = 1.0
"""Seconds between two looks at what became of the runs whose steps are executed."""

_AFTER_TROUBLE = timedelta(seconds=1)
_AFTER_CHANGE = timedelta(seconds=10)
"""How long a task is left alone that could not be executed here."""


class AsyncEngine:
    """Executes tasks that are steps of runs. One for each worker."""

    def __init__(self, db: AsyncDatabase, settings: Settings, names: SqlNames) -> None:
        self._storage = AsyncPostgresWorkflowStorage(
            db,
            owns_db=False,
            table_prefix=names.table_prefix,
            schema=names.schema,
            instance_id="worker",
            use_advisory_locks=False,  # what is left behind is taken up in an instant: no connection is kept for that
            lock_duration=30.0,
        )
        self._sql = AsyncExecutor(db, names)
        self._max_deliveries = settings.max_deliveries
        self._runners = {
            key: AsyncStepRunner(self._storage, definition) for key, definition in settings.definitions.items()
        }
        self._inputs: dict[int, StepInput] = {}
        self._adopt_at = 0.0
        self._look_at = 0.0

    def live(self, me: str) -> None:
        """From now on under this name, with nothing claimed."""
        self._storage.instance_id = me
        self._inputs.clear()

    async def close(self) -> None:
        await self._storage.close()

    # -- what the claimer does

    async def load(self, tasks: Iterable[StepTask]) -> None:
        """Load what those of the tasks that are steps of runs are executed with, all at once."""
        steps = {(task.workflow_id, task.run, task.step_name): task.id for task in tasks if task.definition is not None}
        if steps:
            with suppress(psycopg.Error):  # each is loaded alone then, when its turn comes
                for given in await self._storage.load_inputs(list(steps)):
                    self._inputs[steps[given.workflow_id, given.run, given.step_name]] = given

    def forget(self, tasks: Iterable[StepTask]) -> None:
        """These are not executed here."""
        for task in tasks:
            self._inputs.pop(task.id, None)

    async def settle(self, checkpoints: Sequence[StepSettlement]) -> set[int]:
        """Write what became of steps; returns the ids of the tasks that were not ours any more."""
        return await self._storage.settle_steps(checkpoints)

    @property
    def attends_in(self) -> float:
        """Seconds until `attend` has something to do."""
        return max(min(self._adopt_at, self._look_at) - time.monotonic(), 0.0)

    async def attend(self, running: Iterable[TaskContext]) -> bool:
        """Tell steps whose runs have ended, and take up runs that were left behind; whether there were any."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            await self._tell(running, now)
        if now < self._adopt_at:
            return False
        self._adopt_at = now + jittered(_ADOPT_EVERY)
        known = [(runner.definition.name, runner.definition.version) for runner in self._runners.values()]
        return await self._storage.adopt_runs(known) > 0

    async def _tell(self, running: Iterable[TaskContext], now: float) -> None:
        watched = {one.task.id: one for one in list(running) if one.fate is not None and one.began < now - _LOOK_EVERY}
        if not watched:
            return
        rows = await self._sql.fetch_tuples(FIND_UNWANTED, {"ids": list(watched), "me": self._storage.instance_id})
        gone = {row[0] for row in rows}
        for task_id, context in watched.items():
            if context.fate is not None and (task_id in gone or now >= context.deadline):
                context.fate.cancelled = True

    # -- what its handlers do

    async def execute(self, task: StepTask, context: TaskContext) -> Ended:
        """Execute the step of a task, or end its run."""
        try:
            given = self._inputs.pop(task.id, None) or await self._load(task)
            if given is None:
                return unexecuted(task)
            return await self._execute(task, given, context)
        except LeaseLost:
            return Closed(task.id, task.lease, "lost")
        except (WorkflowCancelled, NotFound):
            return unexecuted(task)
        except DefinitionChanged as error:
            logger.error("worker: %s", error)
            return settlement(task, retry_in=_AFTER_CHANGE)
        except psycopg.Error as error:
            if unfit(error) and task.step_name:
                return failed(task, error)
            logger.warning("worker: %r cannot be executed now: %s", task, error)
            return settlement(task, retry_in=_AFTER_TROUBLE)
        except Exception:
            logger.exception("worker: %r cannot be executed", task)
            return settlement(task, retry_in=_AFTER_CHANGE)

    async def _load(self, task: StepTask) -> StepInput | None:
        return next(iter(await self._storage.load_inputs([(task.workflow_id, task.run, task.step_name)])), None)

    async def _execute(self, task: StepTask, given: StepInput, context: TaskContext) -> Ended:
        if given.status.is_final or not given.is_current:
            return unexecuted(task)
        runner = self._runners[task.definition or ""]
        context.fate = Fate(lambda: not context.lost)
        if given.deadline_in is not None:
            context.deadline = context.began + given.deadline_in.total_seconds()
        lease = lease_on(task, lambda: not context.lost)
        if not task.step_name:
            end = AsyncRunEnd(self._storage, runner.definition, task, lease)
            return await end.end(is_overdue=context.deadline <= context.began)
        if given.ending:
            return unexecuted(task)
        if given.step_status is StepStatus.COMPLETED or given.step_status is StepStatus.SKIPPED:
            return unexecuted(task, given.step_status)  # its transaction did that; what depends on it does not know yet
        if context.deadline <= context.began:
            return failed(task, DeadlineExceeded(workflow_id=task.workflow_id))
        step = check_step(runner.definition, task, given)
        execution = AsyncStepExecution(runner, step, task, lease, context.fate)
        if task.deliveries > self._max_deliveries:
            return await execution.give_up(given)
        return await execution.execute(given)
