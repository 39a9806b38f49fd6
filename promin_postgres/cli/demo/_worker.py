"""A worker process of the demo: claims files and runs their workflows until none is left.

    python -m promin_postgres.cli.demo._worker NAME RUN SCHEMA TABLE_PREFIX

The server is in PROMIN_POSTGRES_DSN. It ends at once when its standard input does: its parent is gone then.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence

from psycopg.conninfo import make_conninfo

from promin_postgres._wait import sleep
from promin_postgres.cli import _statements as statements
from promin_postgres.cli.demo._job import file_workflow
from promin_postgres.database import Database
from promin_postgres.errors import StepFailed, WorkflowInFlight
from promin_postgres.workflow import Workflow
from promin_postgres.workflow.storage import PostgresWorkflowStorage

_BATCH = 10
_PATIENCE = 30.0


def main(arguments: Sequence[str]) -> None:
    """Work until no file is unclaimed."""
    name, run, schema, table_prefix = arguments
    threading.Thread(target=_end_with_parent, daemon=True).start()
    conninfo = make_conninfo(os.environ["PROMIN_POSTGRES_DSN"], application_name=f"{name} {run}")
    with (
        Database.connect(conninfo, schema=schema, table_prefix=table_prefix) as db,
        PostgresWorkflowStorage.create(db, instance_id=name) as storage,
    ):
        executor = db.executor()
        flow = file_workflow(executor, storage, worker=name)
        while claimed := executor.fetch_all(statements.CLAIM_FILES, {"worker": name, "limit": _BATCH}):
            for file in claimed:
                _run(flow, file["workflow_id"], file["path"])


def _run(flow: Workflow, workflow_id: str, path: str) -> None:
    """Bring one run to its end, from wherever an earlier worker left it."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            flow.run(workflow_id=workflow_id, input={"path": path})
        except StepFailed:
            return  # the file cannot be read; it is in the database, and looked at there
        except WorkflowInFlight:
            # The server has not noticed yet that the worker who had it is dead.
            if time.monotonic() > deadline:
                raise
            sleep(0.02)
        else:
            return


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
