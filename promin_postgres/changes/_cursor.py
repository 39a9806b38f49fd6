"""Where a reader of changes stands: a pair of snapshots, and a place between them. Pure.

Numbers of sequences and times are taken before the commit, so that whoever reads "what comes after 17" never sees 16
when that commits later. Snapshots tell exactly what became visible between two looks. A batch is what `high` shows and
`low` does not, ordered by record and item in the record; (seq, item) is the first not read yet. The numbers of records
serve there, where everything has committed: of two changes to one row, the later has the higher number.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

import attrs

from promin_postgres._time import check_moment
from promin_postgres.errors import CursorInvalid, InvalidArgument

_SNAPSHOT = re.compile(r"([0-9]{1,20}):([0-9]{1,20}):((?:[0-9]{1,20}(?:,[0-9]{1,20})*)?)")
_NUMBER = re.compile(r"[0-9]{1,20}")


def is_snapshot(text: str) -> bool:
    """Whether PostgreSQL will read it as a pg_snapshot."""
    match = _SNAPSHOT.fullmatch(text)
    if match is None:
        return False
    low, high = int(match[1]), int(match[2])
    inside = [int(xid) for xid in match[3].split(",")] if match[3] else []
    return 0 < low <= high < 1 << 63 and inside == sorted(set(inside)) and all(low <= xid < high for xid in inside)


@attrs.frozen
class Cursor:
    """A place in the log. `high` is the same as `low` where nothing of the next batch was read."""

    system: str
    low: str
    high: str
    seq: int = 0
    item: int = 0

    @property
    def text(self) -> str:
        return f"log/{self.system}/{self.low}/{self.high}/{self.seq}/{self.item}"

    @property
    def is_fresh(self) -> bool:
        """Whether the next batch is still to be chosen."""
        return self.low == self.high

    @property
    def seen_below(self) -> int:
        """Everything of the transactions before this one was read."""
        return int(self.low.partition(":")[0])

    @property
    def ahead(self) -> int:
        """The first transaction that it knows nothing of."""
        return int(self.high.split(":")[1])


@attrs.frozen
class Beginning:
    """Before or amid the rows that were there: reading begins with all of them."""

    system: str

    @property
    def text(self) -> str:
        return f"start/{self.system}"


@attrs.frozen
class Polled:
    """The newest row of a table without triggers that was handed out."""

    system: str
    moment: datetime
    sequence: int

    @property
    def text(self) -> str:
        return f"poll/{self.system}/{self.moment.isoformat()}/{self.sequence}"


Place = Cursor | Beginning | Polled


def parse(text: str) -> Place:
    """A place from its text.

    Raises:
        CursorInvalid: It is not one that was made here.
    """
    kind, *parts = text.split("/")
    if kind == "start" and len(parts) == 1 and _NUMBER.fullmatch(parts[0]):
        return Beginning(parts[0])
    if kind == "poll" and len(parts) == 3 and _NUMBER.fullmatch(parts[0]):
        try:
            return Polled(parts[0], check_moment("cursor", datetime.fromisoformat(parts[1])), int(parts[2]))
        except ValueError:
            raise CursorInvalid(text, "its moment cannot be read") from None
    if (
        kind == "log"
        and len(parts) == 5
        and all(map(is_snapshot, parts[1:3]))
        and all(map(_NUMBER.fullmatch, (parts[0], *parts[3:])))
    ):
        seq, item = map(int, parts[3:])
        if max(seq, item) < 1 << 63:
            return Cursor(parts[0], parts[1], parts[2], seq, item)
    raise CursorInvalid(text, "it was not made by a change stream, or was cut")


@attrs.frozen
class Offset:
    """Where to begin: `earliest`, `latest`, `timestamp` or `cursor`."""

    kind: Literal["earliest", "latest", "timestamp", "cursor"]
    moment: datetime | None = None
    place: Place | None = None

    @classmethod
    def earliest(cls) -> Offset:
        """The rows that are there, as of one snapshot, then every change from that snapshot on: no gap, no overlap."""
        return cls("earliest")

    @classmethod
    def latest(cls) -> Offset:
        """What becomes visible from now on; now is when the stream is asked for its first value."""
        return cls("latest")

    @classmethod
    def timestamp(cls, moment: datetime) -> Offset:
        """The first change at `moment` or after it, and all that follow in the log, as far as it reaches back.

        A few may be older: those of transactions that were open at that moment.
        """
        return cls("timestamp", moment=check_moment("moment", moment))

    @classmethod
    def cursor(cls, text: str) -> Offset:
        """What comes after a change whose `position` was saved, or after what `position()` said.

        It may be kept anywhere, and holds across crashes and restores of a server that loses nothing of its WAL. After
        a failover to a standby that lacked some of it, only what was saved in the same database is right.

        Raises:
            CursorInvalid: It is no such text.
        """
        if not isinstance(text, str):
            raise InvalidArgument("text", text, "must be a string")
        return cls("cursor", place=parse(text))
