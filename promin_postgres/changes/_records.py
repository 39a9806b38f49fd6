"""What a change stream gives back, and what it knows of itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import attrs

from promin_postgres.codec import JSON
from promin_postgres.errors import CodecError

Op = Literal["insert", "update", "delete", "truncate", "notify", "read"]
"""What happened: to a row, to the table, a record of a caller's own, or a row that was there already."""


@attrs.frozen(kw_only=True)
class Lag:
    """How far a consumer is behind: `rows` changes, of which the oldest was made `seconds` ago."""

    rows: int
    seconds: float


@attrs.frozen(kw_only=True)
class ConsumerState:
    """A named consumer: where it goes on, when it last acknowledged, and who reads for it now, if anybody does."""

    consumer: str
    position: str
    acked_at: datetime | None
    holder: str | None


@attrs.frozen(kw_only=True)
class Opened:
    """What a reader learns from the server before it begins. `stream` is None for a table without our triggers."""

    system: str
    snapshot: str
    now: datetime
    stream: int | None
    channel: str | None
    key_columns: tuple[str, ...]
    columns: tuple[str, ...] | None
    condition: str | None


class Record:
    """One row of the log: changes that one statement made, and between which snapshots they were read."""

    __slots__ = ("_news", "_olds", "changed_at", "high", "low", "new", "old", "op", "seq")

    def __init__(
        self,
        op: Op,
        old: list[str] | None,
        new: list[str] | None,
        *,
        changed_at: datetime | None = None,
        seq: int = 0,
        low: str = "",
        high: str = "",
    ) -> None:
        self.op: Op = op
        self.old = old
        self.new = new
        self.changed_at = changed_at
        self.seq = seq
        self.low = low
        self.high = high
        self._olds: list[Any] | None = None
        self._news: list[Any] | None = None

    @property
    def olds(self) -> list[Any] | None:
        """The old rows decoded: all at once, which takes half the time of one by one."""
        if self._olds is None and self.old is not None:
            self._olds = _decode(self.old)
        return self._olds

    @property
    def news(self) -> list[Any] | None:
        """The new rows decoded."""
        if self._news is None and self.new is not None:
            self._news = _decode(self.new)
        return self._news

    @property
    def count(self) -> int:
        held: Any = self.old if self.new is None else self.new
        return len(held)


def _decode(texts: list[str]) -> list[Any]:
    """What the texts are; for one that does not decode, its error."""
    try:
        return JSON.decode(f"[{','.join(texts)}]")  # type: ignore[no-any-return]
    except CodecError:
        return [_decode_one(text) for text in texts]


def _decode_one(text: str) -> Any:
    try:
        return JSON.decode(text)
    except CodecError as error:
        return error
