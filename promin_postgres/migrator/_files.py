"""The migrations as files: `sql/migrations/NNNN_name.sql`.

A file is one script in one transaction, unless its opening comment says otherwise:

    -- promin: no-transaction   each statement runs and is committed on its own, as CREATE INDEX CONCURRENTLY must.
                                Statements are separated by a line `-- promin: next`.
    -- promin: restartable      running it again from its start is right wherever it was cut short. So a file that
                                creates an index begins with DROP INDEX CONCURRENTLY IF EXISTS.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources.abc import Traversable

from promin_postgres._statement import sql_root
from promin_postgres.errors import MigrationError
from promin_postgres.migrator._records import Migration

_FILE_NAME = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
_DIRECTIVE = re.compile(r"^--\s*promin:\s*(.*?)\s*$", re.MULTILINE)
_OPENING_COMMENT = re.compile(r"(?:[^\S\n]*\n|--[^\n]*(?:\n|\Z))*")
_NEXT = re.compile(r"^--\s*promin:\s*next\s*$", re.MULTILINE)


def migrations_folder() -> Traversable:
    """Where the files are."""
    return sql_root() / "migrations"


def read_migrations() -> tuple[Migration, ...]:
    """Every migration that the code knows, in order of version."""
    found: dict[int, Migration] = {}
    for file in migrations_folder().iterdir():
        if not file.name.endswith(".sql"):
            continue
        migration = parse_migration(file.name, file.read_text(encoding="utf-8"))
        twin = found.setdefault(migration.version, migration)
        if twin is not migration:
            raise MigrationError(
                f"two migrations have version {migration.version}: {twin.name} and {migration.name}; renumber one",
                version=migration.version,
            )
    return tuple(found[version] for version in sorted(found))


def parse_migration(file_name: str, text: str) -> Migration:
    """One file.

    Raises:
        MigrationError: Its name or its directives are malformed.
    """
    match = _FILE_NAME.fullmatch(file_name)
    if match is None:
        raise MigrationError(f"{file_name}: a migration is named NNNN_name.sql, of lower-case letters, digits and _")
    version = int(match[1])
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    opening = _OPENING_COMMENT.match(text)
    assert opening is not None
    directives = set(_DIRECTIVE.findall(opening[0]))
    body = text[opening.end() :]
    allowed = {"no-transaction"} | ({"restartable"} if "no-transaction" in directives else set())
    wrong = directives - allowed
    inside = set(_DIRECTIVE.findall(body)) - ({"next"} if "no-transaction" in directives else set())
    if wrong or inside:
        raise MigrationError(
            f"{file_name}: '-- promin: {min(wrong | inside)}' is unknown, or has no meaning where it stands",
            version=version,
        )
    statements = tuple(part.strip() for part in _NEXT.split(body))
    if not all(statements):
        raise MigrationError(f"{file_name}: holds an empty statement", version=version)
    return Migration(
        version=version,
        name=match[2],
        checksum=hashlib.sha256(text.encode()).hexdigest(),
        statements=statements,
        transactional="no-transaction" not in directives,
        restartable="restartable" in directives,
    )
