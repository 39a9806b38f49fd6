"""Each tick of a schedule starts a run of a workflow, in the transaction that makes the tick.

    python examples/scheduled_reports.py

Uses the server in PROMIN_POSTGRES_DSN, or starts one.
"""

import time

from promin_postgres import Context, PostgresWorkflowStorage, Worker, create_durable_scheduler, migrate, workflow
from promin_postgres.testing import postgres_server


def write(ctx: Context) -> str:
    return f"report {ctx.input}"


def main() -> None:
    with postgres_server() as server:
        dsn = server.create_database()
        migrate(dsn)
        with PostgresWorkflowStorage.create(dsn) as storage, create_durable_scheduler(dsn) as scheduler:
            report = workflow("report", storage=storage).step("write", write)
            scheduler.register("reports", interval=0.1, max_fires=3, overlap_policy="queue")
            scheduler.bind(
                "reports",
                workflow=report,
                to_input=lambda tick: tick.tick_number,
                to_workflow_id=lambda tick: f"report-{tick.tick_number}",
            )
            scheduler.start()
            with Worker(dsn, workflows=[report]):
                while [tick.status for tick in scheduler.history("reports")] != ["settled"] * 3:
                    time.sleep(0.1)
            for tick in reversed(scheduler.history("reports")):
                state = storage.load_workflow(tick.workflow_id)
                print(f"tick {tick.tick_number} started {tick.workflow_id}: {state.result}")


if __name__ == "__main__":
    main()
