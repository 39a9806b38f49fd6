"""`migrate` and `status`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from promin_postgres.database import Database
from promin_postgres.lookups import seed_lookups
from promin_postgres.migrator import migrate, migration_sql, migration_status


def migrate_command(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Apply what is pending, or only tell."""
    if options.sql:
        print(migration_sql(schema=options.schema, table_prefix=options.table_prefix, target=options.target), end="")
        return 0
    with _connected(options, parser) as db:
        applied = migrate(db, target=options.target, dry_run=options.dry_run)
        if options.target is None and not options.dry_run:
            seed_lookups(db)
    for migration in applied:
        print(f"{'would apply' if options.dry_run else 'applied'} {migration.version:04} {migration.name}")
    if not applied:
        print("nothing to apply")
    return 0


def status_command(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Show what was applied, what is pending and what is wrong."""
    with _connected(options, parser) as db:
        status = migration_status(db)
    for row in status.applied:
        when = "cut short" if row.applied_at is None else f"applied {row.applied_at:%Y-%m-%d %H:%M:%S %Z}"
        print(f"{row.version:04} {row.name:<24} {when}")
    for migration in status.pending:
        print(f"{migration.version:04} {migration.name:<24} pending")
    for problem in status.problems:
        print(f"problem: {problem}")
    return 0 if status.is_current else 1


@contextmanager
def _connected(options: argparse.Namespace, parser: argparse.ArgumentParser) -> Iterator[Database]:
    if options.dsn is None:
        parser.error("which database? Give --dsn, or set PROMIN_POSTGRES_DSN")
    # A connection and not a pool, which would go on trying for half a minute before it says what is wrong.
    with psycopg.connect(options.dsn, autocommit=True) as connection:
        yield Database(connection, schema=options.schema, table_prefix=options.table_prefix)
