"""A process dies in the middle of a workflow; another one goes on where it stopped.

    python examples/crash_and_resume.py

Uses the server in PROMIN_POSTGRES_DSN, or starts one.
"""

import os
import subprocess
import sys

from promin_postgres import Context, PostgresWorkflowStorage, migrate, workflow
from promin_postgres.testing import postgres_server


def reserve(ctx: Context) -> dict[str, str]:
    print(f"  reserving {ctx.input['article']}")
    return {"reservation": "R-1"}


def charge(ctx: Context) -> dict[str, str]:
    print(f"  charging {ctx.input['cents']} cents for {ctx.prev['reservation']}")
    return {"payment": "P-1"}


def ship(ctx: Context) -> str:
    if os.environ.get("POWER") == "fails":
        print("  the power fails", flush=True)
        os._exit(1)
    print("  shipping")
    return f"shipped, paid by {ctx.prev['payment']}"


def process_order(dsn: str) -> None:
    with PostgresWorkflowStorage.create(dsn) as storage:
        order = workflow("order", storage=storage).step("reserve", reserve).step("charge", charge).step("ship", ship)
        print(f"  {order.run(workflow_id='order-17', input={'article': 'a teapot', 'cents': 2400})}")


def main() -> None:
    with postgres_server() as server:
        dsn = server.create_database()
        migrate(dsn)
        for power in ("fails", "holds"):
            print(f"a process, whose power {power}:", flush=True)
            subprocess.run(
                [sys.executable, "-u", __file__, dsn], env=os.environ | {"POWER": power}, check=power == "holds"
            )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        process_order(sys.argv[1])
    else:
        main()
