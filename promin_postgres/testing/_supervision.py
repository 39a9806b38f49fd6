"""The owner's side of a supervisor: starts it, speaks with it, ends it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from promin_postgres.errors import ConfigurationError

_PATIENCE = 30.0


class Supervisor:
    """A process that outlives this one, however that ends, and clears up behind it."""

    def __init__(self, program: str = "_supervisor.py") -> None:
        if not sys.executable:
            raise ConfigurationError("sys.executable is not set: no supervisor can be started")
        self._owner = os.getpid()
        self._pending = b""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", os.path.join(os.path.dirname(os.path.abspath(__file__)), program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # Ctrl-C in the terminal is for the owner: the supervisor goes when the owner goes.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions = self._process.stdin
        self._answers = self._process.stdout

    def tell(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._questions.write(json.dumps(message).encode() + b"\n")
            self._questions.flush()

    def ask(self, question: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        """Send a question and wait for the answer. Raises ConfigurationError when it is an error or fails to come."""
        deadline = time.monotonic() + seconds + _PATIENCE
        self.tell(question)
        answers = select.poll()
        answers.register(self._answers, select.POLLIN | select.POLLHUP)
        while b"\n" not in self._pending:
            readable = answers.poll(max(0.0, deadline - time.monotonic()) * 1_000)
            data = os.read(self._answers.fileno(), 65_536) if readable else b""
            if not data:
                raise ConfigurationError("the supervisor of the test server has ended, and the server with it")
            self._pending += data
        line, self._pending = self._pending.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ConfigurationError(answer["error"])
        return answer

    def close(self) -> None:
        """End the supervisor, and wait until everything that it holds is gone."""
        if os.getpid() != self._owner:
            return  # a fork of the owner
        with contextlib.suppress(BrokenPipeError):
            self._questions.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._answers.close()
