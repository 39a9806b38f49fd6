"""The version table: its name, and the lock that stands for it."""

from __future__ import annotations

import hashlib

from psycopg import sql

from promin_postgres._statement import SqlNames, check_identifier


class VersionTable:
    """Which migrations were applied to one schema and prefix."""

    def __init__(self, schema: str, table_prefix: str, migrations_table: str | None) -> None:
        self.name = (
            f"{table_prefix}migrations"
            if migrations_table is None
            else check_identifier("migrations_table", migrations_table)
        )
        self.names = SqlNames(schema, table_prefix, {"migrations": sql.Identifier(schema, self.name)})

    @property
    def schema(self) -> str:
        return self.names.schema

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.schema}.{self.name}"

    @property
    def lock_key(self) -> int:
        """The key of the advisory lock: another one for each version table of a database."""
        digest = hashlib.sha256(f"promin_postgres migrations\0{self.schema}\0{self.name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)
