"""Migrations: plain SQL files, applied once each, recorded in a version table."""

from promin_postgres.migrator._async import async_migrate, async_migration_status
from promin_postgres.migrator._records import AppliedMigration, Migration, MigrationStatus
from promin_postgres.migrator._sync import migrate, migration_status
from promin_postgres.migrator._text import migration_sql

__all__ = [
    "AppliedMigration",
    "Migration",
    "MigrationStatus",
    "async_migrate",
    "async_migration_status",
    "migrate",
    "migration_sql",
    "migration_status",
]
