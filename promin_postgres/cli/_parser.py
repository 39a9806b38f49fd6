"""What may stand on the command line."""

from __future__ import annotations

import argparse
import os
from importlib.metadata import version
from pathlib import Path

from promin_postgres.cli import _schema
from promin_postgres.cli._serve import serve_command
from promin_postgres.cli.demo import run_demo

_DSN = "PROMIN_POSTGRES_DSN"


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command. `options.command(options, parser)` runs what was asked for."""
    parser = argparse.ArgumentParser(
        prog="promin-postgres", description="Durable workflows, queues and schedules on nothing but PostgreSQL."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('promin-postgres')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_migrate(commands)
    _add_status(commands)
    _add_serve(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="kill a worker in the middle of durable workflows, and prove that nothing was lost or done twice",
        description="Puts every source file below PATH through a durable workflow (read, measure, record) on several "
        "worker processes, kills one of them with -9, and proves the outcome from the database. Exits with 1 when any "
        "proof fails. Without a server it starts one of its own.",
    )
    demo.add_argument("path", nargs="?", type=Path, metavar="PATH", help="default: Python's standard library")
    _add_dsn(demo, "the server to use")
    demo.add_argument("--workers", type=_positive, default=4, metavar="N", help="worker processes (%(default)s)")
    demo.add_argument("--limit", type=_positive, metavar="N", help="take the first N files only")
    demo.add_argument("--schema", help="a schema to create and to drop at the end; default: a name of its own")
    demo.add_argument("--table-prefix", default="wf_", metavar="PREFIX", help="default: %(default)s")
    demo.add_argument("--keep", action="store_true", help="leave the schema there, to look at (needs a server)")
    demo.set_defaults(command=run_demo)


def _add_migrate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    migrate = commands.add_parser(
        "migrate",
        help="bring the schema to what the code expects",
        description="Applies the migrations that are missing, and writes the lookup rows when it went to the newest.",
    )
    _add_dsn(migrate, "the database")
    _add_names(migrate)
    migrate.add_argument("--target", type=int, metavar="VERSION", help="stop at this version; default: the newest")
    only = migrate.add_mutually_exclusive_group()
    only.add_argument("--dry-run", action="store_true", help="only say what would be applied")
    only.add_argument("--sql", action="store_true", help="only print a script for psql; needs no server")
    migrate.set_defaults(command=_schema.migrate_command)


def _add_status(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    status = commands.add_parser(
        "status",
        help="show which migrations were applied",
        description="Shows which migrations were applied. Exits with 1 when the schema is not what the code expects.",
    )
    _add_dsn(status, "the database")
    _add_names(status)
    status.set_defaults(command=_schema.status_command)


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser(
        "serve",
        help="start a PostgreSQL to try things on, until Ctrl-C",
        description="Starts a PostgreSQL (Docker, installed or embedded), prints its connection string, and runs until "
        "Ctrl-C. What was written is gone then.",
    )
    serve.set_defaults(command=serve_command)


def _add_dsn(parser: argparse.ArgumentParser, what: str) -> None:
    # An empty variable is how CI systems spell an unset one.
    default = os.environ.get(_DSN) or None
    parser.add_argument("--dsn", default=default, help=f"{what}, as a libpq connection string; default: ${_DSN}")


def _add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--schema", default="public", help="where the tables are (%(default)s)")
    parser.add_argument("--table-prefix", default="wf_", metavar="PREFIX", help="how they begin (%(default)s)")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)
