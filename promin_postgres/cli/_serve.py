"""`serve`."""

from __future__ import annotations

import argparse
import signal
from types import FrameType

from promin_postgres.testing import postgres_server


def serve_command(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run a server until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    with postgres_server(server="own") as server:
        print(server.dsn, flush=True)
        try:
            while True:
                signal.pause()
        except KeyboardInterrupt:
            return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
