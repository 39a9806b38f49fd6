"""The command `promin-postgres`: demo, migrate, status, serve."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import psycopg

from promin_postgres.cli._parser import build_parser
from promin_postgres.errors import ProminError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Those of the command line by default, without the name of the program.

    Returns:
        The exit code: 0; 1 when it failed, or a proof of the demo did; 130 after Ctrl-C. Usage errors exit with 2.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        code: int = options.command(options, parser)
    except (ProminError, psycopg.Error) as error:
        notes = getattr(error, "__notes__", [])
        print(f"{parser.prog}: {'; '.join([str(error).strip(), *notes])}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output has had enough, as head does. What is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130
    return code
