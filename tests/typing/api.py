"""What type checkers see of the public API. Never run: mypy and pyright read it.

An ignored error is one that must be there: mypy (strict) complains of an ignore that ignores nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from enum import IntEnum
from typing import Any, assert_type

from psycopg import AsyncConnection, Connection
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from promin_postgres import (
    JSON,
    AsyncDatabase,
    AsyncPostgresWorkflowStorage,
    AsyncWorkflow,
    Codec,
    Database,
    InvalidArgument,
    NotFound,
    PostgresWorkflowStorage,
    ProminError,
    Retry,
    Workflow,
    WorkflowStatus,
    async_migrate,
    async_seed_lookups,
    async_workflow,
    define_lookup,
    migrate,
    migration_sql,
    migration_status,
    seed_lookups,
    workflow,
)
from promin_postgres.lookups import Lookup
from promin_postgres.migrator import AppliedMigration, MigrationStatus
from promin_postgres.streams import AsyncStream, Stream
from promin_postgres.testing import PostgresServer, postgres_server
from promin_postgres.workflow.storage import Lease, StepAttempt, StepState, WorkflowRun, WorkflowSignal, WorkflowState


def databases(pool: ConnectionPool[Any], connection: Connection[Any], async_pool: AsyncConnectionPool[Any]) -> None:
    for source in (pool, connection, "dbname=x", Database(pool)):
        assert_type(Database.of(source), Database)
    with Database.connect("dbname=x", schema="s", table_prefix="p_", prepare_threshold=None) as db:
        assert_type(db, Database)
        assert_type(db.conninfo, str)
    with db.transaction() as inside:
        assert_type(inside, Connection[Any])
    Database(async_pool)  # type: ignore[arg-type]
    Database(pool, "s")  # type: ignore[call-arg]


async def async_databases(pool: AsyncConnectionPool[Any], connection: AsyncConnection[Any]) -> None:
    for source in (pool, connection, "dbname=x", AsyncDatabase(pool)):
        assert_type(AsyncDatabase.of(source), AsyncDatabase)
    async with AsyncDatabase.connect("dbname=x") as db, db.connection() as inside:
        assert_type(inside, AsyncConnection[Any])
    assert_type(await db.dedicated(), AsyncConnection[Any])


async def migrations(connection: Connection[Any], db: AsyncDatabase) -> None:
    assert_type(migrate(connection, target=1), list[AppliedMigration])
    assert_type(await async_migrate(db), list[AppliedMigration])
    assert_type(migration_status("dbname=x"), MigrationStatus)
    assert_type(migration_sql(schema="s"), str)


class Colour(IntEnum):
    RED = 1


async def lookups(db: Database, async_db: AsyncDatabase) -> None:
    colours = define_lookup("colour", Colour)
    assert_type(colours, Lookup)
    seed_lookups(db, colours)
    await async_seed_lookups(async_db, colours)


def codecs() -> None:
    codec: Codec[Any] = JSON
    assert_type(codec.encode({"a": 1}, subject="it"), str)
    Retry(max_attempts=5, base=timedelta(seconds=1), cap=60)
    Retry(jitter="some")  # type: ignore[arg-type]
    Retry(5)  # type: ignore[call-arg]


def errors(error: NotFound, odd: InvalidArgument) -> None:
    one: ProminError = error
    builtin: LookupError = error
    other: ValueError = odd
    assert_type(error.kind, str)
    assert_type(odd.argument, str)
    _ = (one, builtin, other)


def storage(db: Database, state: WorkflowState) -> None:
    with PostgresWorkflowStorage.create(db, instance_id="a", lock_duration=timedelta(seconds=30)) as storage:
        assert_type(storage, PostgresWorkflowStorage)
    assert_type(storage.load_workflow("w"), WorkflowState | None)
    assert_type(storage.list_workflows(status=WorkflowStatus.FAILED), list[WorkflowState])
    assert_type(storage.try_lock("w"), Lease | None)
    assert_type(storage.load_step_attempts("w"), list[StepAttempt])
    assert_type(storage.load_signals("w"), list[WorkflowSignal])
    assert_type(storage.load_run_history("w"), list[WorkflowRun])
    assert_type(storage.purge_completed(older_than=timedelta(days=30)), int)
    assert_type(state.status, WorkflowStatus)
    assert_type(state.steps["s"], StepState)
    state.status = WorkflowStatus.FAILED  # type: ignore[misc]


async def async_storage(db: AsyncDatabase) -> None:
    storage = await AsyncPostgresWorkflowStorage.create(db)
    assert_type(storage, AsyncPostgresWorkflowStorage)
    assert_type(await storage.load_workflow("w"), WorkflowState | None)
    assert_type(await storage.try_lock("w"), Lease | None)
    await storage.close()


def workflows(storage: PostgresWorkflowStorage) -> None:
    made = workflow("onboard", storage=storage).step("fetch", lambda ctx: ctx.input["id"], timeout=timedelta(seconds=5))
    assert_type(made, Workflow)
    made.run(workflow_id="w", input={"id": 1})
    made.run("w")  # type: ignore[call-arg]


async def async_workflows(storage: AsyncPostgresWorkflowStorage) -> None:
    async def fetch(ctx: Any) -> int:
        return 1

    made = async_workflow("onboard", storage=storage).step("fetch", fetch).step("plain", lambda ctx: ctx.prev)
    assert_type(made, AsyncWorkflow)
    await made.run(workflow_id="w")


def streams(numbers: Iterator[int]) -> None:
    assert_type(Stream(numbers).map(str), Stream[str])
    assert_type(Stream(numbers).batched(10).collect(), list[list[int]])
    assert_type(Stream(numbers).first(), int | None)
    assert_type(Stream(numbers).first("none"), int | str)


async def async_streams(numbers: AsyncIterator[int]) -> None:
    assert_type(AsyncStream(numbers).filter(bool), AsyncStream[int])
    assert_type(await AsyncStream(numbers).collect(), list[int])


def servers() -> None:
    with postgres_server(server="embedded", settings={"work_mem": "8MB"}) as server:
        assert_type(server, PostgresServer)
        assert_type(server.create_database(), str)
    postgres_server(server="cloud")  # type: ignore[arg-type]
