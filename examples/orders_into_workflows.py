"""Messages of a queue become runs of a workflow, each once, and are acknowledged when their run is durable.

    python examples/orders_into_workflows.py

Uses the server in PROMIN_POSTGRES_DSN, or starts one.
"""

from promin_postgres import Context, PgQueue, PostgresWorkflowStorage, migrate, trigger, workflow
from promin_postgres.testing import postgres_server


def pack(ctx: Context) -> str:
    if ctx.input["article"] == "a unicorn":
        raise LookupError("there are none")
    return f"packed {ctx.input['article']}"


def main() -> None:
    with postgres_server() as server:
        dsn = server.create_database()
        migrate(dsn)
        with PostgresWorkflowStorage.create(dsn) as storage, PgQueue.create(dsn, "orders") as orders:
            for number, article in ((1, "a teapot"), (2, "a unicorn"), (1, "a teapot")):
                orders.publish({"number": number, "article": article})
            ship = workflow("ship", storage=storage).step("pack", pack)
            pipe = trigger(workflow=ship, to_workflow_id=lambda order: f"order-{order['number']}")
            for outcome in orders.subscribe_ack(until_empty=True).through(pipe):
                print(f"{outcome.workflow_id}: {outcome.status}", outcome.result or outcome.error)
            print(f"{orders.metrics().total} messages are left")


if __name__ == "__main__":
    main()
