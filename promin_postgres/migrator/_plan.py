"""What is to be applied, and what forbids it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import psycopg

from promin_postgres.errors import InvalidArgument, MigrationError
from promin_postgres.migrator._records import AppliedMigration, Migration


@attrs.frozen(kw_only=True)
class Plan:
    """What `migrate` has to do."""

    pending: tuple[Migration, ...]
    problems: tuple[MigrationError, ...]

    def check(self) -> None:
        """Raise the problems, if there are any."""
        if len(self.problems) == 1:
            raise self.problems[0]
        if self.problems:
            raise MigrationError("\n".join(str(problem) for problem in self.problems), version=self.problems[0].version)


def make_plan(known: Sequence[Migration], applied: Sequence[AppliedMigration], *, target: int | None = None) -> Plan:
    """Compare the code's migrations with the rows of the version table, and stop at version `target`."""
    rows = {row.version: row for row in applied}
    files = {migration.version: migration for migration in known}
    newest = max(rows, default=0)
    problems = []
    for version in sorted(rows.keys() | files.keys()):
        problem = _problem(version, files.get(version), rows.get(version), newest)
        if problem is not None:
            problems.append(MigrationError(problem, version=version))
    pending = [
        migration
        for migration in known
        if (migration.version not in rows or rows[migration.version].applied_at is None)
        and (target is None or migration.version <= target)
    ]
    return Plan(pending=tuple(pending), problems=tuple(problems))


def _problem(version: int, file: Migration | None, row: AppliedMigration | None, newest: int) -> str | None:
    if file is None:
        assert row is not None
        return (
            f"migration {version:04} ({row.name}) was applied to this database and is not known to this code: "
            "the database is newer; upgrade promin_postgres"
        )
    if row is None:
        if version > newest:
            return None
        return (
            f"migration {file.label} was not applied, though {newest:04} was: the version table was edited; "
            "restore its row, or start from an empty schema"
        )
    if row.applied_at is None:
        if file.restartable:
            return None
        return (
            f"migration {file.label} is half-applied: it cannot run in a transaction, and it is running now or was "
            "cut short. When nothing runs it any more, undo what it did and delete its row from the version table, "
            "or finish it by hand and set applied_at in its row; then migrate again"
        )
    if row.checksum != file.checksum:
        return (
            f"migration {file.label} was changed after it was applied: restore the file as it was, "
            "and put the change into a new migration"
        )
    return None


def check_target(known: Sequence[Migration], target: int | None) -> None:
    """Refuse a version that is not there."""
    if target is not None and target not in {migration.version for migration in known}:
        raise InvalidArgument("target", target, "is no version of a migration")


def failure_note(migration: Migration, error: psycopg.Error) -> str:
    """What the error of a failed migration leaves unsaid."""
    if not migration.transactional:
        after = (
            "the next migrate runs it again from its start"
            if migration.restartable
            else "it is half-applied: finish or undo it by hand"
        )
        return f"migration {migration.label} failed outside of a transaction; {after}"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return (
            f"migration {migration.label} gave up waiting for a lock that another transaction holds, so as not to "
            "block everybody behind it; nothing of it was applied. Migrate again when that transaction has ended"
        )
    return f"migration {migration.label} failed and was rolled back; nothing of it was applied"
