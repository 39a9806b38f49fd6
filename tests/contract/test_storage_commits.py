"""How often what workers do to runs is written: once to start one, once for each step, or for several together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from _engine import Hand
from _storage import open_storage, query
from _twins import Twin

from promin_postgres.lookups import WorkflowStatus
from promin_postgres.migrator import migrate
from promin_postgres.testing import postgres_server
from promin_postgres.workflow.storage import StepSpec

STEPS = (
    StepSpec(step_name="a"),
    *(StepSpec(step_name=f"b{number}", depends_on=("a",)) for number in range(3)),
    StepSpec(step_name="c", depends_on=("b0", "b1", "b2")),
)
WRITTEN = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
"""A transaction that writes has a number, and nobody else is on the server."""


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with postgres_server(server="own") as server:
        dsn = server.create_database(server.new_name())
        with psycopg.connect(dsn, autocommit=True) as connection:
            migrate(connection)
        yield dsn


@pytest.mark.parametrize("batch", [1, 100])
def test_one_transaction_to_start_and_one_for_each_step(twin: Twin, dsn: str, batch: int) -> None:
    def written() -> int:
        return int(query(dsn, WRITTEN)[0][0])

    runs = 4
    hand = Hand(dsn)
    with open_storage(twin, dsn) as storage:
        names = [f"{twin.name}-{batch}-{number}" for number in range(runs)]
        before = written()
        for name in names:
            storage.start_run(name, workflow_name="n", steps=STEPS)
        assert written() - before == runs
        settled = settlements = 0
        while tasks := hand.claim(batch):
            before = written()
            assert len(storage.load_inputs([task[2:5] for task in tasks])) == len(tasks)
            assert written() == before, "reading writes nothing"
            assert storage.settle_steps([hand.done(task, "1") for task in tasks]) == set()
            assert written() - before == 1
            settled, settlements = settled + len(tasks), settlements + 1
        assert settled == runs * len(STEPS)
        assert settlements == (settled if batch == 1 else 3), "the end of a run is written with its last step"
        ended: Any = [storage.load_workflow(name).status for name in names]
        assert ended == [WorkflowStatus.COMPLETED] * runs
    hand.close()
