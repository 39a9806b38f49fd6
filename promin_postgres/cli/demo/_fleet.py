"""The worker processes of the demo, seen by their parent."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from types import TracebackType
from typing import Self

import attrs


@attrs.frozen(kw_only=True)
class Worker:
    """One worker process."""

    name: str
    application_name: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Hold it where it is; nothing more happens in it."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> int:
        """kill -9, and wait until it is gone; returns its exit code, negative for a signal."""
        self.process.kill()
        return self.process.wait()


class Fleet:
    """Starts workers; none of them outlives the block, or this process."""

    def __init__(self, dsn: str, *, schema: str, table_prefix: str) -> None:
        # The same modules as here, and not those of the current directory.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._environment = os.environ | {"PROMIN_POSTGRES_DSN": dsn, "PYTHONPATH": path}
        self._names = (schema, table_prefix)
        self._run = secrets.token_hex(4)
        self._started = 0
        self._lifeline = os.pipe()  # nothing is ever written: its end tells the workers that we are gone
        self.living: list[Worker] = []

    def start(self) -> Worker:
        """Start one worker more."""
        self._started += 1
        name = f"worker-{self._started}"
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "promin_postgres.cli.demo._worker", name, self._run, *self._names],
            env=self._environment,
            stdin=self._lifeline[0],
            stdout=subprocess.DEVNULL,
            # Ctrl-C goes to us alone; and should we die while a worker is stopped, the kernel ends an orphaned group.
            process_group=0,
        )
        worker = Worker(name=name, application_name=f"{name} {self._run}", process=process)
        self.living.append(worker)
        return worker

    def bury(self) -> list[Worker]:
        """Take out those that have ended, and return them."""
        ended = [worker for worker in self.living if worker.process.poll() is not None]
        self.living = [worker for worker in self.living if worker not in ended]
        return ended

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.living:
            worker.kill()
        for end in self._lifeline:
            os.close(end)
