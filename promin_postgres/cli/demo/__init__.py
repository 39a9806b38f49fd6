"""`promin-postgres demo`: the main job on real input, a worker killed in the middle of it, and the proof."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg

from promin_postgres.cli import _statements as statements
from promin_postgres.cli.demo._conduct import conduct, enter_files
from promin_postgres.cli.demo._files import plain_loop, source_files
from promin_postgres.cli.demo._fleet import Fleet
from promin_postgres.cli.demo._progress import show_progress
from promin_postgres.cli.demo._proof import gather, judge
from promin_postgres.cli.demo._report import report
from promin_postgres.database import Database
from promin_postgres.errors import ConfigurationError, ServerNotFound
from promin_postgres.lookups import seed_lookups
from promin_postgres.migrator import migrate
from promin_postgres.testing import PostgresServer, postgres_server

__all__ = ["run_demo"]


def run_demo(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run the demo.

    Returns:
        0 when every proof holds, else 1.

    Raises:
        InvalidArgument: PATH holds no source files.
        ServerNotFound: There is no server, and none can be started.
        psycopg.errors.DuplicateSchema: The schema exists.
    """
    if os.name != "posix":
        raise ConfigurationError("the demo stops and kills processes by POSIX signals")
    if options.keep and options.dsn is None:
        parser.error("--keep needs --dsn: a server of the demo's own is gone at its end")
    schema = options.schema or f"promin_demo_{secrets.token_hex(4)}"
    paths = source_files(options.path)[: options.limit]
    with _terminable(), _server(options.dsn) as dsn, _schema(dsn, schema, options) as db:
        executor = db.executor()
        enter_files(executor, paths)
        print(f"{len(paths):,} files, {options.workers} workers", flush=True)
        with Fleet(dsn, schema=schema, table_prefix=options.table_prefix) as fleet, show_progress(len(paths)) as bar:
            course = conduct(executor, fleet, bar, workers=options.workers, total=len(paths))
        began = time.monotonic()
        plain = plain_loop(paths)
        plain_seconds = time.monotonic() - began
        evidence = gather(executor)
        proofs = judge(evidence, plain, course)
        report(evidence, plain, plain_seconds, course, proofs)
        if options.keep:
            print(f"\nkept: schema {schema}")
    return 1 if any(proof.objections for proof in proofs) else 0


@contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGTERM clean up as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _server(dsn: str | None) -> Iterator[str]:
    """The connection string of the server: the given one, or one of our own."""
    if dsn is not None:
        yield dsn
        return
    with ExitStack() as stack:
        server = _start(stack)
        print(f"started PostgreSQL {server.version // 10_000}.{server.version % 10_000} ({server.kind})", flush=True)
        yield server.dsn


def _start(stack: ExitStack) -> PostgresServer:
    """The embedded server, unless PROMIN_POSTGRES_SERVER names another kind; where it cannot be had, any kind."""
    if not os.environ.get("PROMIN_POSTGRES_SERVER"):
        try:
            return stack.enter_context(postgres_server(server="embedded", durable=True))
        except ServerNotFound as error:
            print(f"{error}\nlooking for a server of another kind", flush=True)
    return stack.enter_context(postgres_server(server="own", durable=True))


@contextmanager
def _schema(dsn: str, schema: str, options: argparse.Namespace) -> Iterator[Database]:
    """A new schema with all tables, dropped at the end unless it is to be kept."""
    with _connected(dsn, schema, options) as db:
        db.executor().execute(statements.CREATE_SCHEMA)
        try:
            migrate(db)
            seed_lookups(db)
            yield db
        finally:
            if not options.keep:
                # On a new connection: what ends the demo early may have broken the other one.
                with _connected(dsn, schema, options) as fresh:
                    fresh.executor().execute(statements.DROP_SCHEMA)


@contextmanager
def _connected(dsn: str, schema: str, options: argparse.Namespace) -> Iterator[Database]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield Database(connection, schema=schema, table_prefix=options.table_prefix)
