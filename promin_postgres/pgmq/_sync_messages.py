# Generated from _async_messages.py by tools/twins.py. Do not edit: edit that and generate again.
"""The functions of pgmq that send, read and settle messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from promin_postgres._statement import Statement
from promin_postgres._time import Seconds
from promin_postgres.codec import JSON, Codec
from promin_postgres.database import DatabaseSource
from promin_postgres.errors import CodecError
from promin_postgres.pgmq import _statements as sql
from promin_postgres.pgmq._sync_calls import Pgmq
from promin_postgres.pgmq._records import PgmqMessage
from promin_postgres.pgmq._settings import (
    Headers,
    ReadMode,
    check_ids,
    check_qty,
    check_queue_name,
    delay_of,
    encode_batch,
    whole_seconds,
)


def send(
    db: DatabaseSource,
    queue: str,
    message: Any,
    *,
    delay: Seconds | datetime = 0,
    headers: Headers = None,
    codec: Codec[Any] = JSON,
    connection: Any = None,
) -> int:
    """Append a message; returns its id.

    Args:
        message: What the codec takes. pgmq keeps it as jsonb, which forgets the order of keys and that 1e16 was a
            float.
        delay: Seconds or a timedelta to wait before it is visible, or the aware moment to wait for (pgmq 1.5; before
            that in whole seconds, rounded up).
        headers: A JSON object that travels with it (pgmq 1.5).

    Raises:
        CodecError: The message or its headers do not encode.
    """
    batch = encode_batch([message], [headers], codec, f"queue {queue!r}")
    one = {"message": batch["messages"][0], "headers": batch["headers"] and batch["headers"][0]}
    rows = _send(db, (sql.SEND, sql.SEND_PLAIN), queue, one, delay, connection)
    return int(rows[0]["id"])


def send_batch(
    db: DatabaseSource,
    queue: str,
    messages: Iterable[Any],
    *,
    delay: Seconds | datetime = 0,
    headers: Headers | Sequence[Headers] = None,
    codec: Codec[Any] = JSON,
    connection: Any = None,
) -> list[int]:
    """Append messages in one statement, all or none; returns their ids in the order of `messages`. As `send`.

    Args:
        headers: A mapping for all of them, or a sequence with the headers of each.
    """
    batch = encode_batch(list(messages), headers, codec, f"queue {queue!r}")
    if not batch["messages"]:
        check_queue_name("queue", queue)
        return []
    rows = _send(db, (sql.SEND_BATCH, sql.SEND_BATCH_PLAIN), queue, batch, delay, connection)
    return [row["id"] for row in rows]


def _send(
    db: DatabaseSource,
    statements: tuple[Statement, Statement],
    queue: str,
    content: dict[str, Any],
    delay: Seconds | datetime,
    connection: Any,
) -> list[dict[str, Any]]:
    params = {"queue": check_queue_name("queue", queue), **content, **delay_of("delay", delay)}
    with Pgmq.borrow(db) as pgmq:
        statement = pgmq.pick(*statements, connection=connection)
        if statement is statements[1]:
            if params.pop("headers") is not None:
                pgmq.require(statements[0], given="headers", connection=connection)
            if isinstance(delay, datetime):
                pgmq.require(statements[0], given="delay as a datetime", connection=connection)
            else:
                params["seconds"] = whole_seconds("delay", delay)
            del params["due_at"], params["delay"]
        return pgmq.run(statement, params, connection=connection)


def read(
    db: DatabaseSource,
    queue: str,
    *,
    vt: Seconds = 30,
    qty: int = 1,
    mode: ReadMode | None = None,
    codec: Codec[Any] = JSON,
    connection: Any = None,
) -> list[PgmqMessage]:
    """Lease messages: nobody else sees them for `vt`, unless they are deleted or archived by then.

    Args:
        vt: Seconds or a timedelta, more than 0; pgmq counts in whole seconds, rounded up.
        qty: At most so many; 1 to 100,000.
        mode: How to read: by default the oldest ones. What it says of `vt` and `qty` goes first.
        connection: Without one, the read itself does not wait for the disk: a crash of the server, though not of a
            process, may make the messages visible again.

    Raises:
        CodecError: A message does not decode. All of them stay leased for `vt`.
    """
    rows = read_rows(db, queue, (mode or ReadMode.standard()).completed(vt, qty), connection=connection)
    return _messages(rows, codec)


def read_rows(
    db: DatabaseSource, queue: str, mode: ReadMode, *, connection: Any = None
) -> list[dict[str, Any]]:
    """As `read`, before anything is decoded."""
    with Pgmq.borrow(db) as pgmq:
        params: dict[str, Any] = {
            "queue": check_queue_name("queue", queue),
            "durable": connection is not None or pgmq.db.is_connection,
            **mode.params,
        }
        return pgmq.run(sql.READS[mode.function], params, connection=connection)


def pop(
    db: DatabaseSource, queue: str, *, qty: int = 1, codec: Codec[Any] = JSON, connection: Any = None
) -> list[PgmqMessage]:
    """Take messages out of a queue, oldest first: delivered at most once.

    Args:
        qty: At most so many; more than 1 needs pgmq 1.7.

    Raises:
        CodecError: A message does not decode. None was taken out, unless `connection` commits by itself.
    """
    params: dict[str, Any] = {"queue": check_queue_name("queue", queue), "qty": check_qty(qty)}
    with Pgmq.borrow(db) as pgmq:
        statement = pgmq.pick(sql.POP, sql.POP_ONE, connection=connection)
        if statement is sql.POP_ONE and params.pop("qty") != 1:
            pgmq.require(sql.POP, given="qty", connection=connection)
        if connection is not None:
            return _messages(pgmq.run(statement, params, connection=connection), codec)
        with pgmq.db.transaction() as own:  # what does not decode would be lost otherwise, and all beside it
            return _messages(pgmq.run(statement, params, connection=own), codec)


def delete_message(db: DatabaseSource, queue: str, msg_id: int, *, connection: Any = None) -> bool:
    """Delete a message, whoever holds it; False when it is gone already."""
    return _settle(db, sql.DELETE_MESSAGE, queue, msg_id, connection)


def delete_batch(
    db: DatabaseSource, queue: str, msg_ids: Iterable[int], *, connection: Any = None
) -> list[int]:
    """Delete messages, whoever holds them; returns the ids that were there."""
    return _settle_batch(db, sql.DELETE_BATCH, queue, msg_ids, connection)


def archive(db: DatabaseSource, queue: str, msg_id: int, *, connection: Any = None) -> bool:
    """Move a message to the archive, whoever holds it; False when it is gone already."""
    return _settle(db, sql.ARCHIVE, queue, msg_id, connection)


def archive_batch(
    db: DatabaseSource, queue: str, msg_ids: Iterable[int], *, connection: Any = None
) -> list[int]:
    """Move messages to the archive, whoever holds them; returns the ids that were there."""
    return _settle_batch(db, sql.ARCHIVE_BATCH, queue, msg_ids, connection)


def set_vt(
    db: DatabaseSource,
    queue: str,
    msg_ids: int | Iterable[int],
    vt: Seconds | datetime,
    *,
    codec: Codec[Any] = JSON,
    connection: Any = None,
) -> list[PgmqMessage]:
    """Let messages become visible after `vt` from now on, whoever holds them; returns those that were there.

    Args:
        msg_ids: One, or several.
        vt: Seconds or a timedelta, 0 for at once (before pgmq 1.10 in whole seconds, rounded up), or an aware moment
            (pgmq 1.10).
    """
    ids = check_ids("msg_ids", [msg_ids] if isinstance(msg_ids, int) else msg_ids)
    return _messages(set_vt_rows(db, queue, ids, vt, connection=connection), codec)


def set_vt_rows(
    db: DatabaseSource, queue: str, ids: list[int], vt: Seconds | datetime, *, connection: Any = None
) -> list[dict[str, Any]]:
    """As `set_vt`, before anything is decoded."""
    params: dict[str, Any] = {"queue": check_queue_name("queue", queue), "ids": ids}
    moment = delay_of("vt", vt)
    if not ids:
        return []
    with Pgmq.borrow(db) as pgmq:
        statement = pgmq.pick(sql.SET_VT, sql.SET_VT_EACH, connection=connection)
        if statement is sql.SET_VT:
            params |= moment
        elif isinstance(vt, datetime):
            pgmq.require(sql.SET_VT, given="vt as a datetime", connection=connection)
        else:
            params |= {"seconds": whole_seconds("vt", vt)}
        return pgmq.run(statement, params, connection=connection)


def _settle(db: DatabaseSource, statement: Statement, queue: str, msg_id: int, connection: Any) -> bool:
    params = {"queue": check_queue_name("queue", queue), "id": check_ids("msg_id", [msg_id])[0]}
    with Pgmq.borrow(db) as pgmq:
        return bool((pgmq.run(statement, params, connection=connection))[0]["settled"])


def _settle_batch(
    db: DatabaseSource, statement: Statement, queue: str, msg_ids: Iterable[int], connection: Any
) -> list[int]:
    params = {"queue": check_queue_name("queue", queue), "ids": check_ids("msg_ids", msg_ids)}
    if not params["ids"]:
        return []
    with Pgmq.borrow(db) as pgmq:
        return [row["id"] for row in pgmq.run(statement, params, connection=connection)]


def _messages(rows: list[dict[str, Any]], codec: Codec[Any]) -> list[PgmqMessage]:
    return [
        PgmqMessage(
            msg_id=row["msg_id"],
            read_ct=row["read_ct"],
            enqueued_at=row["enqueued_at"],
            last_read_at=row["last_read_at"],
            vt=row["vt"],
            message=value,
            headers=None
            if row["headers"] is None
            else JSON.decode(row["headers"], subject=f"message {row['msg_id']}, headers"),
        )
        for row, value in zip(rows, _values(rows, codec), strict=True)
    ]


def _values(rows: list[dict[str, Any]], codec: Codec[Any]) -> list[Any]:
    if codec is JSON:
        # One text is read three times as fast as a hundred; when one message is at fault, each by itself says which.
        with suppress(CodecError):
            return list(JSON.decode(f"[{','.join([row['message'] or 'null' for row in rows])}]"))
    return [
        None if row["message"] is None else codec.decode(row["message"], subject=f"message {row['msg_id']}")
        for row in rows
    ]
