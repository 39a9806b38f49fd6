"""Workers: they claim tasks of the step queue and call the handlers of their steps."""

from promin_postgres.worker._async import AsyncWorker
from promin_postgres.worker._context import TaskContext
from promin_postgres.worker._health import WorkerHealth
from promin_postgres.worker._settings import Handler, RetryLater
from promin_postgres.worker._sync import Worker

__all__ = ["AsyncWorker", "Handler", "RetryLater", "TaskContext", "Worker", "WorkerHealth"]
