# Generated from _async_change.py by tools/twins.py. Do not edit: edit that and generate again.
"""Change: one change, decoded when it is looked at."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from promin_postgres.changes._cursor import Beginning, Cursor, Polled
from promin_postgres.changes._records import Op, Record
from promin_postgres.codec import JSON
from promin_postgres.errors import CodecError

if TYPE_CHECKING:
    from promin_postgres.changes._sync_core import Reader

T = TypeVar("T")


class Change(Generic[T]):
    """What happened to one row, or to the table. What it holds is decoded when it is asked for."""

    __slots__ = ("_index", "_reader", "_record", "ordinal", "place")

    def __init__(
        self,
        reader: Reader[T],
        record: Record,
        index: int,
        ordinal: int,
        place: Beginning | Cursor | Polled | None = None,
    ) -> None:
        self._reader = reader
        self._record = record
        self._index = index
        self.ordinal = ordinal
        self.place = place

    def __repr__(self) -> str:
        return f"<{self._subject}>"

    @property
    def _subject(self) -> str:
        return f"{self.op} {self._record.seq}.{self._index}"

    @property
    def op(self) -> Op:
        """What happened."""
        return self._record.op

    @property
    def changed_at(self) -> datetime | None:
        """When its statement did it, by the server's clock; None for a row that was there already."""
        return self._record.changed_at

    @property
    def old(self) -> dict[str, Any] | None:
        """The row before an update or a delete."""
        return self._picked(self._record.olds)  # type: ignore[no-any-return]

    @property
    def new(self) -> dict[str, Any] | None:
        """The row after an insert or an update, or as it was there."""
        return None if self._record.op in ("truncate", "notify") else self._content

    @property
    def _content(self) -> Any:
        return self._picked(self._record.news)

    def _picked(self, rows: list[Any] | None) -> Any:
        row = None if rows is None else rows[self._index]
        if isinstance(row, CodecError):
            raise row
        return row

    @property
    def key(self) -> dict[str, Any] | None:
        """The primary key of the row, as it was before the change. Of a truncate: the schema and name of the table."""
        if self.op == "truncate":
            return self._content  # type: ignore[no-any-return]
        row = self.new if self._record.old is None else self.old
        columns = self._reader.key_columns
        return None if row is None or not columns else {column: row.get(column) for column in columns}

    @property
    def value(self) -> T:
        """The payload column, or the row, of the new row or else of the old; what was notified; None for a truncate.

        Raises:
            CodecError: It does not decode. `error` says so without raising.
        """
        record = self._record
        if record.op == "truncate":
            return None  # type: ignore[return-value]
        texts, codec = record.old if record.new is None else record.new, self._reader.codec
        assert texts is not None
        column = None if record.op == "notify" else self._reader.payload_column
        if column is None and codec is not JSON:
            return codec.decode(texts[self._index], subject=self._subject)
        content: Any = self.old if record.new is None else self._content
        if column is not None:
            if column not in content:
                raise CodecError(f"the row has no column {column!r}", subject=self._subject)
            content = content[column]
        if codec is JSON:
            return content  # type: ignore[no-any-return]
        return codec.decode(json.dumps(content), subject=f"{self._subject}, {column!r}")

    @property
    def error(self) -> CodecError | None:
        """Why `value` does not decode, if it does not."""
        try:
            _ = self.value
        except CodecError as error:
            return error
        return None

    @property
    def position(self) -> str:
        """A text to save: `Offset.cursor(position)` goes on after this change."""
        if self.place is not None:
            return self.place.text
        record, item = self._record, self._index + 1
        seq, item = (record.seq + 1, 0) if item == record.count else (record.seq, item)
        return Cursor(self._reader.system, record.low, record.high, seq, item).text

    def ack(self, *, connection: Any = None) -> None:
        """Move the consumer to after this change, and so past all before it; one that is behind already is left.

        Args:
            connection: Write in this connection's transaction: what is done about the change and the fact that it was
                done are committed together.

        Raises:
            LeaseLost: Another process reads for this consumer now; nothing was written.
            ConfigurationError: The stream was opened without a consumer.
        """
        self._reader.ack(self, connection=connection)
