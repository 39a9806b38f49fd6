"""Cursors kept for the next time.

What psycopg finds out about the values of a statement it keeps for as long as a cursor sends nothing else. Where a
statement is small, finding it out anew each time takes as long as everything else here.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

C = TypeVar("C")

_MANY = 1_000
"""Rows that are not kept in memory, as the result of a cursor is until the next one."""


class Cursors(Generic[C]):
    """The cursors of some connections, one for each statement. Who takes one has it alone until he gives it back."""

    def __init__(self) -> None:
        self._kept: dict[Any, dict[str, tuple[bytes | None, C]]] = {}

    def take(self, connection: Any, statement: str) -> C | None:
        """The one that is kept, if what it knows still holds: the encoding of a connection may be changed."""
        encoding, cursor = self._kept.get(connection, {}).pop(statement, (None, None))
        return cursor if encoding == _encoding(connection) else None

    def keep(self, connection: Any, statement: str, cursor: C, *, rows: int) -> None:
        if rows > _MANY:
            return
        kept = self._kept.get(connection)
        if kept is None:
            for other in [other for other in list(self._kept) if other.closed]:
                self._kept.pop(other, None)
            kept = self._kept[connection] = {}
        kept[statement] = _encoding(connection), cursor

    def clear(self) -> None:
        self._kept.clear()


def _encoding(connection: Any) -> bytes | None:
    found: bytes | None = connection.pgconn.parameter_status(b"client_encoding")
    return found
