"""A workflow that is a function: it waits for an approval on a worker, without a thread, and goes on where it stood.

    python examples/wait_for_approval.py

Uses the server in PROMIN_POSTGRES_DSN, or starts one.
"""

from typing import Any

from promin_postgres import DurableContext, PostgresWorkflowStorage, StepFailed, Worker, durable, migrate
from promin_postgres.testing import postgres_server


def reserve(article: str) -> str:
    print(f"reserving {article}")
    return "R-1"


def charge(reservation: str, cents: int) -> str:
    print(f"charging {cents} cents for {reservation}")
    if cents > 100_000:
        raise ValueError("too much")
    return "P-1"


def release(reservation: str) -> None:
    print(f"releasing {reservation}")


def main() -> None:
    with postgres_server() as server:
        dsn = server.create_database()
        migrate(dsn)
        with PostgresWorkflowStorage.create(dsn) as storage:

            @durable("buy", storage=storage, version="1")
            def buy(ctx: DurableContext, order: dict[str, Any]) -> str:
                reservation = ctx.step("reserve", reserve, order["article"])
                answer = ctx.wait_for_signal("approval", timeout=86_400, on_timeout="skip")
                if answer != "yes":
                    ctx.step("release", release, reservation)
                    return "not approved"
                try:
                    return ctx.step("charge", charge, reservation, order["cents"])
                except StepFailed as error:
                    ctx.step("release", release, reservation)
                    return f"not paid: {error.error_message}"

            worker = Worker(dsn, workflows=[buy])
            for number, cents in enumerate((1_900, 190_000)):
                order = buy.start(workflow_id=f"order-{number}", input={"article": "a teapot", "cents": cents})
                worker.run(drain=True)
                print(f"order {number} is {order.status().name.lower()}")
                order.signal("approval", "yes")
                worker.run(drain=True)  # the function is called again; what it reserved stays reserved
                print(f"order {number}: {order.result()}")
            print(order.to_mermaid().split("classDef")[0].rstrip())


if __name__ == "__main__":
    main()
