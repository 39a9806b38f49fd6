"""What type checkers know of change streams. Never run: mypy and pyright read it.

An ignored error is one that must be there: mypy (strict) complains of an ignore that ignores nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from psycopg import Connection

from promin_postgres import (
    AsyncChange,
    AsyncDatabase,
    AsyncPgChangeStream,
    AsyncStream,
    Change,
    CursorInvalid,
    Database,
    Offset,
    PgChangeStream,
    ProminError,
    Stream,
    codec_for,
)
from promin_postgres.changes import ConsumerState, Lag, Op
from promin_postgres.errors import CodecError
from promin_postgres.streams import AsyncReplayable, AsyncStreamable, Replayable, Streamable


@dataclass
class Order:
    total: int


def sync(db: Database, connection: Connection[Any], error: CursorInvalid) -> None:
    source = PgChangeStream(
        db, table="orders", payload_column="body", codec=codec_for(Order), poll_interval=timedelta(seconds=1)
    )
    assert_type(source, PgChangeStream[Order])
    source.install_trigger(operations=["insert", "delete"], columns=["total"], when="new.total > 1")
    assert_type(source.subscribe(), Stream[Order])
    assert_type(source.subscribe_from(Offset.earliest(), consumer="billing"), Stream[Order])
    assert_type(source.changes(), Stream[Change[Order]])
    for change in source.changes(Offset.timestamp(datetime.now(UTC)), consumer="billing"):
        change_of_rows(change)
        change.ack(connection=connection)
    source.notify(Order(1), connection=connection)
    source.notify("text")  # type: ignore[arg-type]
    source.changes("earliest")  # type: ignore[arg-type]
    assert_type(Offset.cursor(source.position()), Offset)
    assert_type(source.lag("billing"), Lag)
    assert_type(source.consumers(), list[ConsumerState])
    assert_type(source.prune(timedelta(days=1), force=True), int)
    rows: PgChangeStream[Any] = PgChangeStream("dbname=x", table="orders")
    rows.notify({"any": "JSON"})
    _: tuple[Streamable[Order], Replayable[Order], ProminError] = (source, source, error)


def change_of_rows(change: Change[Order]) -> None:
    assert_type(change.op, Op)
    assert_type(change.value, Order)
    assert_type(change.error, CodecError | None)
    assert_type(change.old, dict[str, Any] | None)
    assert_type(change.key, dict[str, Any] | None)
    assert_type(change.changed_at, datetime | None)
    assert_type(change.position, str)
    change.value = Order(1)  # type: ignore[misc]


async def asynchronous(db: AsyncDatabase) -> None:
    async with AsyncPgChangeStream(db, table="orders", codec=codec_for(Order)) as source:
        assert_type(source, AsyncPgChangeStream[Order])
        await source.install_trigger()
        assert_type(source.subscribe(), AsyncStream[Order])
        assert_type(source.changes(Offset.latest()), AsyncStream[AsyncChange[Order]])
        async for change in source.changes(consumer="billing"):
            assert_type(change.value, Order)
            await change.ack()
        assert_type(await source.position(), str)
        assert_type(await source.prune(60), int)
        _: tuple[AsyncStreamable[Order], AsyncReplayable[Order]] = (source, source)
    AsyncPgChangeStream(Database.connect("dbname=x"), table="orders")  # type: ignore[arg-type]
