"""Workers execute tasks: with retries, one that waits for something, and one that cannot succeed.

    python examples/thumbnails.py

Uses the server in PROMIN_POSTGRES_DSN, or starts one.
"""

from promin_postgres import Handler, PgStepQueue, Retry, RetryLater, TaskContext, Worker, migrate
from promin_postgres.testing import postgres_server

uploaded = {"a teapot", "a cup"}


def resize(ctx: TaskContext) -> dict[str, str]:
    picture = ctx.input
    if picture == "a unicorn":
        raise LookupError("no picture of a unicorn")
    if picture not in uploaded:
        print(f"{picture}: not uploaded yet")
        uploaded.add(picture)
        raise RetryLater  # or RetryLater(60): in a minute
    if picture == "a cup" and ctx.attempt == 1:
        raise ConnectionError("the disk is full")
    print(f"resized {picture}" + (f", at attempt {ctx.attempt}" if ctx.attempt > 1 else ""))
    return {"thumbnail": f"small {picture}"}


def main() -> None:
    with postgres_server() as server:
        dsn = server.create_database()
        migrate(dsn)
        with PgStepQueue(dsn) as steps:
            tasks = {
                picture: steps.enqueue(f"album-7/{picture}", "resize", input=picture, priority=10 - number)
                for number, picture in enumerate(["a teapot", "a cup", "a spoon", "a unicorn"])
            }
            retry = Retry(max_attempts=2, base=0)
            Worker(dsn, handlers={"resize": Handler(resize, retry=retry)}, concurrency=1).run(drain=True)
            counts = steps.metrics()["default"]
            error = steps.get(tasks["a unicorn"]).error
        assert error is not None
        print(f"done: {counts.completed}, failed: {counts.failed} ({error.message})")


if __name__ == "__main__":
    main()
