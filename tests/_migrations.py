"""Migrations of a test's own, in a folder that takes the place of sql/migrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from promin_postgres.migrator import _files

INDEX = """-- promin: no-transaction
-- promin: restartable
DROP INDEX CONCURRENTLY IF EXISTS {schema}.{bare}a_by_x;
-- promin: next
CREATE INDEX CONCURRENTLY {bare}a_by_x ON {prefix}a (x);
"""
"""How an index is made without blocking writers."""


class Folder:
    """A folder of migrations. `Folder(path).use()` makes the migrator of this process read it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        (self.path / f"{name}.sql").write_text(text)

    def use(self, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
        """With a monkeypatch until the test ends, else for as long as the process lives."""
        (monkeypatch or pytest.MonkeyPatch()).setattr(_files, "migrations_folder", lambda: self.path)
