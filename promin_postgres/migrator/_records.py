"""What the migrator reads and returns."""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs


@attrs.frozen(kw_only=True)
class Migration:
    """One file of sql/migrations.

    Attributes:
        version: The number that its file name begins with.
        name: The rest of its file name.
        checksum: SHA-256 of the file, line endings aside, in hexadecimal.
        statements: What is sent, each on its own, tokens not replaced yet. One, unless it is not transactional.
        transactional: Whether it runs in a transaction, which also records it.
        restartable: Whether it may be run again from its start after it was cut short.
    """

    version: int
    name: str
    checksum: str
    statements: tuple[str, ...] = attrs.field(repr=False)
    transactional: bool = True
    restartable: bool = False

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.version:04} ({self.name})"


@attrs.frozen(kw_only=True)
class AppliedMigration:
    """A row of the version table.

    Attributes:
        applied_at: When it was done, by the server's clock. None in a dry run, and when it was cut short.
        duration: How long it took; None likewise.
    """

    version: int
    name: str
    checksum: str
    applied_at: datetime | None
    duration: timedelta | None


@attrs.frozen(kw_only=True)
class MigrationStatus:
    """How a database stands against the code.

    Attributes:
        applied: What was applied, in order of version.
        pending: What `migrate` would apply, in order.
        problems: What keeps `migrate` from applying it, each with its mend.
    """

    applied: tuple[AppliedMigration, ...]
    pending: tuple[Migration, ...]
    problems: tuple[str, ...]

    @property
    def version(self) -> int:
        """The newest version that was applied to its end; 0 when none was."""
        return max((row.version for row in self.applied if row.applied_at is not None), default=0)

    @property
    def is_current(self) -> bool:
        """Whether the schema is exactly what the code expects."""
        return not self.pending and not self.problems
