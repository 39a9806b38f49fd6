"""What type checkers know of workers."""

from typing import assert_type

from promin_postgres import AsyncWorker, Handler, Retry, RetryLater, StepTask, TaskContext, Worker
from promin_postgres.worker import WorkerHealth


def resize(context: TaskContext) -> dict[str, int]:
    assert_type(context.task, StepTask)
    assert_type(context.attempt, int)
    assert_type(context.cancelled, bool)
    assert_type(context.lost, bool)
    context.extend(60)
    context.logger.info("resizing")
    raise RetryLater(5)


async def fetch(context: TaskContext) -> str:
    return str(context.input)


def sync(dsn: str) -> None:
    worker = Worker(dsn, handlers={"resize": resize, "again": Handler(resize, retry=Retry(), timeout=5)})
    worker.run(drain=True)
    with worker as running:
        assert_type(running, Worker)
        assert_type(running.health(), WorkerHealth)
    worker.stop(timeout=5)
    Worker(dsn, handlers={"length": len})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    Worker(dsn, handlers={"resize": resize}, fairness="best")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def asynchronous(dsn: str) -> None:
    worker = AsyncWorker(dsn, handlers={"fetch": fetch, "resize": resize})
    await worker.run()
    async with worker as running:
        assert_type(running, AsyncWorker)
        assert_type(running.health(), WorkerHealth)
    await worker.start()
    await worker.stop()
