"""Owns one PostgreSQL cluster for another process, and takes it down when that process ends, however it ends.

Run by its path (`python -I -S _supervisor.py`), with the standard library only: it starts in milliseconds, from any
directory, and needs nothing of the package around it. The owner speaks first (one JSON line on stdin: the spec), then
sends commands; every line is answered by one JSON line on stdout. The end of stdin means that the owner is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

PREFIX = "promin-pg-"
_LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None, use_errno=True) if _LINUX else None
_PR_SET_PDEATHSIG = 1
_POLL = 0.01
_STOP_SECONDS = 10.0
_PORTS = (20_000, 12_000)


class Failed(Exception):
    """The cluster does not come up; the text is for the user."""


class OwnerGone(Exception):
    """Nobody is left to serve."""


def make_directory(base: str, prefix: str = PREFIX) -> tuple[str, int]:
    """A new directory in `base`, and the descriptor that locks it: who cannot get the lock knows that it is in use."""
    while True:
        path = os.path.join(base, prefix + os.urandom(8).hex())
        os.mkdir(path, 0o700)
        # A sweeper may see the directory before the lock is held, and remove it: then another one is made.
        held = lock(path)
        if held is not None:
            return path, held


def sweep(base: str, prefix: str = PREFIX) -> None:
    """Remove what dead owners left in `base`. The lock tells, never a process id: those are used again."""
    with contextlib.suppress(OSError):
        for name in os.listdir(base):
            path = os.path.join(base, name)
            if not name.startswith(prefix) or not _is_ours(path):
                continue
            held = lock(path)
            if held is not None:
                discard(path)
                os.close(held)


def discard(path: str) -> None:
    """Remove a directory that somebody else might be about to lock: it goes in one step, so that nobody can."""
    base, name = os.path.split(path)
    doomed = os.path.join(base, name[: name.rindex("-") + 1] + os.urandom(8).hex())
    with contextlib.suppress(OSError):
        os.rename(path, doomed)
        remove(doomed)


def remove(path: str) -> None:
    """Remove a directory, patiently: a dying server may still be creating files in it."""
    deadline = time.monotonic() + 5.0
    while os.path.lexists(path) and time.monotonic() < deadline:
        shutil.rmtree(path, ignore_errors=True)
        if os.path.lexists(path):
            time.sleep(0.05)


def _is_ours(path: str) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def lock(path: str) -> int | None:
    """Lock a directory; None when somebody holds it, or it is gone."""
    file = os.path.join(path, "lock")
    try:
        held = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(held), os.lstat(file)):
            return held
    except OSError:
        pass
    os.close(held)
    return None


class Owner:
    """The process at the other end of stdin."""

    def __init__(self) -> None:
        self._pending = b""
        self._pid = os.getppid()
        self._process: int | None = None
        with contextlib.suppress(AttributeError, OSError):
            self._process = os.pidfd_open(self._pid)

    def attend(self, seconds: float) -> None:
        """Wait up to `seconds` for a word. Raises OwnerGone.

        The pipe alone would not do: a child that the owner forked holds its write end open after the owner's death.
        """
        watched = [0] if self._process is None else [0, self._process]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._process in ready or os.getppid() != self._pid:
            raise OwnerGone
        if 0 in ready:
            data = os.read(0, 65_536)
            if not data:
                raise OwnerGone
            self._pending += data

    def receive(self) -> dict[str, Any]:
        while b"\n" not in self._pending:
            self.attend(0.5)
        line, self._pending = self._pending.split(b"\n", 1)
        command: dict[str, Any] = json.loads(line)
        return command

    def answer(self, **values: object) -> None:
        try:
            os.write(1, json.dumps(values).encode() + b"\n")
        except OSError:
            raise OwnerGone from None


class Cluster:
    """One data directory and the postmaster on it."""

    def __init__(self, owner: Owner, spec: dict[str, Any]) -> None:
        self._owner = owner
        self._bin: str = spec["bin"]
        self._uid: int | None = spec["uid"]
        self._timeout: float = spec["timeout"]
        self._port: int | None = None
        self._postgres: subprocess.Popen[bytes] | None = None
        for base in spec["bases"]:
            sweep(base)
        self.directory, self._held = make_directory(spec["bases"][0])
        self._data = os.path.join(self.directory, "data")
        self._config = os.path.join(self.directory, "postgresql.conf")
        self._log = os.path.join(self.directory, "log")

    def create(self, settings: str, password: str) -> None:
        """Run initdb. `password` is a SCRAM verifier, which the server stores as it is."""
        secret = os.path.join(self.directory, "password")
        _write(secret, password + "\n")
        os.mkdir(self._data, 0o700)
        # ALTER SYSTEM writes to the data directory and still wins over this file.
        _write(self._config, f"include '{_quoted(self._data)}/postgresql.conf'\n{settings}")
        if self._uid is not None:
            os.chmod(self.directory, 0o711)  # noqa: S103 - to be entered, not to be listed
            for path in (secret, self._data, self._config):
                os.chown(path, self._uid, self._uid)
        arguments = ["-A", "scram-sha-256", "-U", "postgres", f"--pwfile={secret}", "-E", "UTF8", "--locale=C"]
        process = self._spawn("initdb", "-D", self._data, *arguments, "--no-sync", "--no-instructions")
        deadline = time.monotonic() + self._timeout
        try:
            while process.poll() is None and time.monotonic() < deadline:
                self._owner.attend(_POLL)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode != 0:
            raise Failed(f"initdb failed ({process.returncode}):\n{self._tail(0)}")
        os.unlink(secret)

    def start(self) -> int:
        """Start the postmaster, wait until it takes connections and return its port."""
        deadline = time.monotonic() + self._timeout
        moves = self._port is None
        while True:
            if self._port is None:
                self._port = free_port()
            offset = os.path.getsize(self._log)
            self._postgres = self._spawn(
                "postgres", "-D", self._data, "-p", str(self._port), "-c", f"config_file={self._config}"
            )
            while self._postgres.poll() is None and time.monotonic() < deadline:
                if self._is_ready(self._postgres.pid):
                    return self._port
                self._owner.attend(_POLL)
            self.stop("immediate")
            said = self._tail(offset)
            port_taken = "could not bind" in said
            # Backends of a killed postmaster hold its shared memory until they have noticed.
            if time.monotonic() < deadline and (port_taken or "still in use" in said or "already exists" in said):
                if port_taken and moves:
                    self._port = None
                self._owner.attend(_POLL * 5)
                continue
            raise Failed(f"postgres did not start within {self._timeout:g} seconds or gave up:\n{said}")

    def stop(self, mode: str) -> None:
        """Stop the postmaster: "fast", "immediate" or "kill". What does not end in time is killed."""
        postgres = self._postgres
        if postgres is None:
            return
        for number in {"fast": (signal.SIGINT, signal.SIGQUIT), "immediate": (signal.SIGQUIT,)}.get(mode, ()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                postgres.send_signal(number)
                postgres.wait(_STOP_SECONDS)
                break
        if postgres.poll() is None:
            backends = _children(postgres.pid)
            postgres.kill()
            postgres.wait()
            for pid in backends:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._postgres = None

    def destroy(self) -> None:
        self.stop("immediate")
        remove(self.directory)
        os.close(self._held)

    def _is_ready(self, pid: int) -> bool:
        try:
            with open(os.path.join(self._data, "postmaster.pid"), encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                [os.path.join(self._bin, program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment | {"LC_ALL": "C"},
                start_new_session=True,
                user=self._uid,
                group=self._uid,
                extra_groups=None if self._uid is None else (),
                # Runs after the change of user, which would clear the signal. This process has but one thread: the
                # signal goes out when the thread that forked ends, not when the process does.
                preexec_fn=_die_with_parent(os.getpid()) if _LINUX else None,
            )
        except OSError as error:
            raise Failed(f"{program} of {self._bin} cannot be run: {error}") from None
        finally:
            os.close(log)

    def _tail(self, offset: int) -> str:
        with open(self._log, encoding="utf-8", errors="replace") as file:
            file.seek(offset)
            return file.read()[-4_000:]


def _die_with_parent(parent: int) -> Callable[[], None]:
    def prepare() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _children(pid: int) -> Sequence[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return ()


def free_port() -> int:
    # Not from the system's ephemeral range: while the server restarts, any outgoing connection could take such a port,
    # even a client that tries to reach this very server (a TCP self-connect).
    first, count = _PORTS
    while True:
        port = first + int.from_bytes(os.urandom(4), "big") % count
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _serve(owner: Owner, spec: dict[str, Any]) -> None:
    cluster = Cluster(owner, spec)
    try:
        cluster.create(spec["settings"], spec["password"])
        owner.answer(port=cluster.start(), directory=cluster.directory)
        while True:
            command = owner.receive()
            cluster.stop(command["stop"])
            owner.answer(port=cluster.start())
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        cluster.destroy()


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def run(serve: Callable[[Owner, dict[str, Any]], None]) -> None:
    """Serve the process that started this one, and nobody after it."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _end)
    os.umask(0o077)
    owner = Owner()
    with contextlib.suppress(OwnerGone):
        try:
            serve(owner, owner.receive())
        except (Failed, OSError) as error:
            owner.answer(error=str(error))


if __name__ == "__main__":
    run(_serve)
