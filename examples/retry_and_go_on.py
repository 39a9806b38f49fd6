"""A step that fails is tried again; one that fails for good is gone on with by the next run.

    python examples/retry_and_go_on.py

Uses the server in PROMIN_POSTGRES_DSN, or starts one.
"""

from promin_postgres import Context, PostgresWorkflowStorage, Retry, StepFailed, migrate, workflow
from promin_postgres.testing import postgres_server

bank_is_open = False


def fetch_rate(ctx: Context) -> float:
    print(f"fetching the rate, attempt {ctx.attempt}")
    if ctx.attempt < 3:
        raise ConnectionError("no answer")
    return 1.25


def transfer(ctx: Context) -> str:
    if not bank_is_open:
        raise RuntimeError("the bank is closed")
    return f"transferred {ctx.input['amount'] * ctx.prev:.2f}"


def main() -> None:
    global bank_is_open
    with postgres_server() as server:
        dsn = server.create_database()
        migrate(dsn)
        with PostgresWorkflowStorage.create(dsn) as storage:
            payment = (
                workflow("payment", storage=storage)
                .step("fetch_rate", fetch_rate, retry=Retry(max_attempts=5, base=0.01))
                .step("transfer", transfer)
            )
            try:
                payment.run(workflow_id="payment-1", input={"amount": 100})
            except StepFailed as error:
                print(error)
            bank_is_open = True
            print(payment.run(workflow_id="payment-1"))  # the rate is not fetched again


if __name__ == "__main__":
    main()
