"""The settings of a queue, checked, and the names of its tables. Pure."""

from __future__ import annotations

import re
from typing import get_args

import attrs
from psycopg import sql

from promin_postgres._arguments import check_count
from promin_postgres._statement import SqlNames, check_identifier
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.bell import channel_name, door_key
from promin_postgres.errors import InvalidArgument
from promin_postgres.queue._records import AckMode

_NAME = re.compile(r"[a-z][a-z0-9_]{0,46}")
_MAX_BATCH = 100_000


def check_queue_name(name: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidArgument("name", name, "must match [a-z][a-z0-9_]{0,46}")
    return name


def check_batch(argument: str, value: int) -> int:
    return check_count(argument, value, at_least=1, at_most=_MAX_BATCH)


def queue_names(name: str, schema: str) -> SqlNames:
    """The names that the statements of a queue are rendered with."""
    check_identifier("schema", schema)
    table = f"pgq_{check_queue_name(name)}"
    return SqlNames(
        schema,
        extra={
            "queue": sql.Identifier(schema, table),
            "archive": sql.Identifier(schema, f"{table}_archive"),
            "ready_index": sql.Identifier(f"{table}_ready"),
            "due_index": sql.Identifier(f"{table}_due"),
            "dead_index": sql.Identifier(f"{table}_dead"),
        },
    )


@attrs.frozen(kw_only=True)
class QueueSettings:
    """The settings of one queue object; two processes may use the same tables with different ones."""

    name: str = attrs.field(validator=lambda _self, _field, value: check_queue_name(value))
    visibility_timeout: float
    batch_size: int
    poll_interval: float
    max_attempts: int
    ack_mode: AckMode
    notify: bool
    durable_acks: bool

    @classmethod
    def checked(
        cls,
        *,
        name: str,
        visibility_timeout: Seconds,
        batch_size: int,
        poll_interval: Seconds,
        max_attempts: int,
        ack_mode: AckMode,
        notify: bool,
        durable_acks: bool,
    ) -> QueueSettings:
        if ack_mode not in get_args(AckMode):
            raise InvalidArgument("ack_mode", ack_mode, f"must be one of {', '.join(get_args(AckMode))}")
        return cls(
            name=name,
            visibility_timeout=check_seconds("visibility_timeout", visibility_timeout, positive=True),
            batch_size=check_batch("batch_size", batch_size),
            poll_interval=check_seconds("poll_interval", poll_interval, positive=True),
            max_attempts=check_batch("max_attempts", max_attempts),
            ack_mode=ack_mode,
            notify=bool(notify),
            durable_acks=bool(durable_acks),
        )

    def bell_of(self, schema: str) -> tuple[str, int]:
        """The channel that rings for this queue, and its door."""
        channel = channel_name(schema, f"pgq_{self.name}")
        return channel, door_key(channel)
