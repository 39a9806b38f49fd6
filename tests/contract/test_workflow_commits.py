"""How often a run waits for the disk: once to start, and at most once for each step, whoever drives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from _runs import Runs
from _twins import Twin
from _waiting import until

from promin_postgres import Context, PostgresWorkflowStorage
from promin_postgres.migrator import migrate
from promin_postgres.testing import postgres_server

STEPS = 10
# What need not be durable is written by the WAL writer, after a while of its own.
SETTINGS = {"wal_writer_delay": "10s", "autovacuum": "off", "checkpoint_timeout": "1h"}

OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture(scope="module")
def durable_dsn() -> Iterator[str]:
    with postgres_server(server="own", durable=True, settings=SETTINGS) as server:
        dsn = server.create_database(server.new_name())
        with psycopg.connect(dsn, autocommit=True) as connection:
            migrate(connection)
        PostgresWorkflowStorage.create(dsn).close()  # the first one writes the lookup tables
        yield dsn


@pytest.fixture
def waits(durable_dsn: str) -> Callable[[], int]:
    """How often the sessions that have ended waited for the WAL to be on the disk."""

    def count() -> int:
        with psycopg.connect(durable_dsn, autocommit=True) as connection:
            until(lambda: connection.execute(OTHERS).fetchone() == (0,))
            if connection.info.server_version >= 180_000:
                query = "SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal' AND backend_type = 'client backend'"
            else:
                query = "SELECT wal_sync FROM pg_stat_wal"
            ((number,),) = connection.execute(query.encode()).fetchall()
        return int(number)

    return count


def chain(runs: Runs, name: str) -> Any:
    def add(ctx: Context) -> int:
        return (ctx.prev if ctx.prev is not None else ctx.input) + 1

    flow = runs.workflow(name)
    for number in range(STEPS):
        flow = flow.step(f"s{number}", add)
    return flow


@pytest.mark.parametrize("driver", ["inline", "worker"])
def test_one_wait_to_start_and_one_for_each_step(
    twin: Twin, durable_dsn: str, waits: Callable[[], int], driver: str
) -> None:
    names = [f"{twin.name}-{driver}-{number}" for number in range(4)]
    before = waits()
    runs = Runs(twin, durable_dsn)
    flow = chain(runs, f"{twin.name}-{driver}")
    if driver == "inline":
        assert [flow.run(workflow_id=name, input=0) for name in names] == [STEPS] * len(names)
    else:
        for name in names:
            flow.start(workflow_id=name, input=0)
        runs.drain(flow, concurrency=1)
        assert [flow.get_handle(name).result(timeout=10) for name in names] == [STEPS] * len(names)
    runs.close()
    assert len(names) < waits() - before <= len(names) * (STEPS + 1)
