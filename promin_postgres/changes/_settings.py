"""The settings of a change stream, checked, and the identifiers that its statements are rendered with. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import attrs
from psycopg import sql

from promin_postgres._arguments import check_count
from promin_postgres._statement import SqlNames, check_identifier
from promin_postgres._time import Seconds, check_seconds
from promin_postgres.bell import channel_name, door_key
from promin_postgres.changes._records import Opened
from promin_postgres.errors import InvalidArgument

OPERATIONS = ("insert", "update", "delete", "truncate")
MAX_BYTES = 16 * 1024 * 1024
"""Of rows in one batch, so that rows of a megabyte do not add up."""

_MAX_BATCH = 100_000
TAG = "$promin$"
"""Around the body of the trigger function."""

_IMAGE = sql.SQL("pg_catalog.to_json(promin_row.*)")
_PICKED = sql.SQL("(SELECT pg_catalog.to_json(promin_picked.*) FROM (VALUES ({})) AS promin_picked ({}))")
_ABSENT = {
    "old": sql.SQL("LEFT JOIN new_rows AS old ON false"),
    "new": sql.SQL("LEFT JOIN old_rows AS new ON false"),
}
_NOTHING = sql.SQL("")


@attrs.frozen(kw_only=True)
class ChangeSettings:
    """The settings of one stream object, and where our own tables are."""

    schema: str
    table_prefix: str
    table_schema: str
    table_name: str
    channel: str
    payload_column: str | None
    timestamp_column: str | None
    sequence_column: str | None
    poll_interval: float
    overlap: float
    lease: float
    batch_size: int

    @classmethod
    def checked(
        cls,
        *,
        schema: str,
        table_prefix: str,
        table: str,
        channel: str | None,
        payload_column: str | None,
        timestamp_column: str | None,
        sequence_column: str | None,
        poll_interval: Seconds,
        overlap: Seconds,
        lease: Seconds,
        batch_size: int,
    ) -> ChangeSettings:
        if not isinstance(table, str):
            raise InvalidArgument("table", table, "must be a string")
        before, dot, after = table.partition(".")
        table_schema, table_name = (before, after) if dot else (schema, table)
        check_identifier("table", table_schema)
        check_identifier("table", table_name)
        columns = {
            "payload_column": payload_column,
            "timestamp_column": timestamp_column,
            "sequence_column": sequence_column,
        }
        for argument, column in columns.items():
            if column is not None:
                check_identifier(argument, column)
        return cls(
            schema=schema,
            table_prefix=table_prefix,
            table_schema=table_schema,
            table_name=table_name,
            channel=channel_name(table_schema, table_name) if channel is None else check_identifier("channel", channel),
            **columns,
            poll_interval=check_seconds("poll_interval", poll_interval, positive=True),
            overlap=check_seconds("overlap", overlap),
            lease=check_seconds("lease", lease, positive=True),
            batch_size=check_count("batch_size", batch_size, at_least=1, at_most=_MAX_BATCH),
        )

    @property
    def label(self) -> str:
        """How messages call the table."""
        return f"{self.table_schema}.{self.table_name}"

    @property
    def where(self) -> dict[str, str]:
        return {"table_schema": self.table_schema, "table_name": self.table_name}

    @property
    def configured(self) -> list[str]:
        """The columns that the table must have."""
        given = (self.payload_column, self.timestamp_column, self.sequence_column)
        return [column for column in given if column is not None]

    def _names(self, **extra: sql.Composable) -> SqlNames:
        table = sql.Identifier(self.table_schema, self.table_name)
        return SqlNames(self.schema, self.table_prefix, {"table": table, **extra})

    @property
    def function(self) -> str:
        """The name of the trigger function."""
        digest = blake2b(f"{self.table_schema}.{self.table_name}".encode(), digest_size=8).hexdigest()
        return f"{self.table_prefix}log_{digest}"

    def function_names(self, stream: int, columns: Sequence[str] | None, condition: str | None) -> SqlNames:
        """For the trigger function, whose body stands between tags that nothing in it may hold."""
        for argument, text in (("schema", self.schema), ("when", condition), *(("columns", c) for c in columns or ())):
            if text is not None and TAG in text:
                raise InvalidArgument(argument, text, f"must not contain {TAG}")
        return self._names(
            function=sql.Identifier(self.schema, self.function),
            stream=sql.Literal(stream),
            image=_image(columns),
            condition=_condition(condition),
            no_old=_ABSENT["old"] if condition else _NOTHING,
            no_new=_ABSENT["new"] if condition else _NOTHING,
            channel_text=sql.Literal(self.channel),
            door=sql.Literal(door_key(self.channel)),
        )

    def trigger(self, operation: str) -> str:
        """The name of a trigger. Two installations of ours may watch one table: the schema tells them apart."""
        digest = blake2b(self.schema.encode(), digest_size=4).hexdigest()
        return f"{self.table_prefix}log_{operation}_{digest}"

    def trigger_names(self, operation: str, schema: str, name: str) -> SqlNames:
        return self._names(
            function=sql.Identifier(self.schema, self.function),
            trigger=sql.Identifier(self.trigger(operation)),
            relation=sql.Identifier(schema, name),
        )

    def reading_names(self, opened: Opened, count: int) -> SqlNames:
        """For reading the rows of the table as the triggers record them."""
        return self._names(
            image=_image(opened.columns),
            row=sql.SQL("promin_row.*"),
            condition=_condition(opened.condition),
            count=sql.Literal(count),
        )

    def check_names(self, condition: str) -> SqlNames:
        return self._names(condition=_condition(condition))

    def poll_names(self) -> SqlNames:
        assert self.timestamp_column is not None
        assert self.sequence_column is not None
        return self._names(
            image=_IMAGE,
            timestamp=sql.Identifier(self.timestamp_column),
            sequence=sql.Identifier(self.sequence_column),
        )


def first_count(batch_size: int) -> int:
    """How many rows to fetch while nothing is known of their size."""
    return min(16, batch_size)


def next_count(count: int, size: int, batch_size: int) -> int:
    """How many rows to fetch when the last `count` of them came to `size` characters: more by degrees."""
    return max(1, min(4 * count, count * MAX_BYTES // max(1, size), batch_size))


def check_operations(operations: Sequence[str]) -> list[str]:
    given = [operations] if isinstance(operations, str) else list(operations)
    for operation in given:
        if operation not in OPERATIONS:
            raise InvalidArgument("operations", operation, f"must be one of {', '.join(OPERATIONS)}")
    return [operation for operation in OPERATIONS if operation in given]


def check_columns(columns: Sequence[str] | None) -> list[str] | None:
    if columns is None:
        return None
    if isinstance(columns, str) or not columns:
        raise InvalidArgument("columns", columns, "must be a sequence of at least one name, or None for all")
    return [check_identifier("columns", column) for column in columns]


def check_consumer(consumer: str | None) -> str | None:
    if consumer is None or (isinstance(consumer, str) and consumer and "\x00" not in consumer):
        return consumer
    raise InvalidArgument("consumer", consumer, "must be a non-empty string without NUL")


def _image(columns: Sequence[str] | None) -> sql.Composable:
    """The JSON of a row: of all its columns, also those that are added later, or of some."""
    if columns is None:
        return _IMAGE
    values = sql.SQL(", ").join(sql.Identifier("promin_row", column) for column in columns)
    return _PICKED.format(values, sql.SQL(", ").join(map(sql.Identifier, columns)))


def _condition(condition: str | None) -> sql.Composable:
    # The line break ends a comment that the condition may end with. It is the caller's own SQL, as that of a view is.
    return sql.SQL("true") if condition is None else sql.SQL("({}\n)").format(_raw(condition))


def _raw(text: Any) -> sql.Composable:
    return sql.SQL(text)
