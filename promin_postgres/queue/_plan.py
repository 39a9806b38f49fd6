"""A prepared statement whose plan suits the table as large as it is now. Pure."""

from __future__ import annotations

from itertools import count

from promin_postgres._statement import Statement

_EDITIONS = count(1)
"""Of the whole process: two queues may share a connection, and what is prepared on it."""


class SizedStatement:
    """A statement that is planned again whenever its table has doubled or halved.

    The server keeps the plan of a prepared statement: one made on an empty table scans it, and goes on scanning when
    there are a million rows. So the statement returns how large its table is, and has another text, hence another plan,
    for each power of two. A table that grows costs one execution by a plan for a smaller one.
    """

    def __init__(self, statement: Statement) -> None:
        self.statement = statement.of_edition(next(_EDITIONS))
        self._magnitude: int | None = None

    def ran(self, size: int | None) -> None:
        """What an execution told: the bytes of its table. None when it found no row to tell it by.

        The server plans again of itself when statistics change, and may just have done so at another size than before:
        that is why an execution that does not confirm the size ends its edition.
        """
        magnitude = None if size is None else size.bit_length()
        if magnitude is None or magnitude != self._magnitude:
            self._magnitude = magnitude
            self.statement = self.statement.of_edition(next(_EDITIONS))
