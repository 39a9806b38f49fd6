"""Prepares the peers' environments and takes one measure of one peer at a time.

We stand beside them, as `promin` and `promin-async`: measured by the same clock, with what this Python has.
The environments live in a cache outside the checkout: one virtual environment per Python package, one folder for node.
The scripts see the repository as their working directory and nothing else of ours.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "promin-postgres" / "peers"
_NODE = CACHE / "node"
_TIMEOUT = 1200.0  # seconds for one measure, loading its backlog included

COUNTS = {
    "enqueue": 2_000,
    "bulk": 10_000,
    "drain": 10_000,
    "drain4": 10_000,
    "claim_ack_100": 20_000,
    "claim_ack_1": 1_000,
    "latency": 500,
    "workflows": 1_000,
    "workflows4": 1_000,
    "workflows_direct": 300,
}
_QUEUE = ("enqueue", "bulk", "drain", "latency")
_CLAIM = ("claim_ack_100", "claim_ack_1")


class Unavailable(Exception):
    """A peer cannot be installed, or a measure of it failed; the others can go on."""


@dataclass(frozen=True)
class Peer:
    script: str
    requires: tuple[str, ...]  # of pip, or of npm where the script is one for node
    measures: tuple[str, ...]
    python: tuple[int, int] = (3, 11)
    counts: dict[str, int] = field(default_factory=dict)  # fewer jobs for the slow

    @property
    def is_node(self) -> bool:
        return self.script.endswith(".mjs")

    @property
    def is_ours(self) -> bool:
        return self.script == "promin"

    @property
    def folder(self) -> Path:
        return _NODE if self.is_node else CACHE / self.script


_PGQUEUER = ("pgqueuer[psycopg,asyncpg]~=1.6", "psycopg[binary]~=3.3")
_PGMQ = ("pgmq~=1.1",)
# The newest majors that run on Node 20 (graphile-worker 0.18 and pg-boss 12 want 22).
_NPM = ("graphile-worker@^0.17", "pg-boss@^10.4")

PEERS = {
    "promin": Peer("promin", (), (*_QUEUE, "drain4", *_CLAIM)),
    "promin-async": Peer("promin", (), (*_QUEUE, "drain4")),
    "procrastinate": Peer(
        "procrastinate",
        ("procrastinate~=3.10", "psycopg[binary]~=3.3"),
        (*_QUEUE, "drain4", "claim_ack_1"),
        counts={"enqueue": 1_000, "drain": 3_000, "drain4": 3_000},
    ),
    "pgqueuer": Peer("pgqueuer", _PGQUEUER, (*_QUEUE, *_CLAIM)),
    "pgqueuer-asyncpg": Peer("pgqueuer", _PGQUEUER, (*_QUEUE, "drain4", *_CLAIM)),
    "chancy": Peer("chancy", ("chancy~=0.26", "psycopg[binary]~=3.3"), (*_QUEUE, "drain4", *_CLAIM)),
    "oban": Peer("oban", ("oban~=0.7",), (*_QUEUE, "drain4", *_CLAIM), python=(3, 12)),
    "pgmq": Peer("pgmq", _PGMQ, ("enqueue", "bulk", "latency", *_CLAIM)),
    "pgmq-sql": Peer("pgmq", _PGMQ, ("enqueue", "bulk", *_CLAIM)),
    "absurd": Peer(
        "absurd",
        ("absurd-sdk~=0.5", "absurdctl~=0.5"),
        ("enqueue", "drain", "drain4", "latency", *_CLAIM, "workflows", "workflows4"),
        counts={"drain": 5_000, "drain4": 5_000, "claim_ack_100": 5_000},
    ),
    "dbos": Peer(
        "dbos",
        ("dbos~=3.4",),
        ("enqueue", "drain", "latency", "workflows", "workflows_direct"),
        counts={"enqueue": 1_000, "drain": 5_000, "latency": 100},
    ),
    "graphile-worker": Peer("graphile_worker.mjs", _NPM, _QUEUE),
    "pg-boss": Peer("pg_boss.mjs", _NPM, (*_QUEUE, *_CLAIM)),
}


def prepare(names: Iterable[str], report: Callable[[str], object] = print) -> dict[str, str]:
    """Install what is not installed yet; returns the peers that cannot be had, and why."""
    problems: dict[str, str] = {}
    for name in names:
        peer = PEERS[name]
        if peer.is_ours:
            continue
        done = peer.folder / "installed.json"
        if done.exists() and json.loads(done.read_text()) == list(peer.requires):
            continue
        report(f"{name}: installing {' '.join(peer.requires)}")
        try:
            _install(peer)
        except (Unavailable, OSError) as error:
            problems[name] = str(error)
            report(f"{name}: cannot be installed: {error}")
        else:
            done.write_text(json.dumps(list(peer.requires)))
    return problems


def measure(name: str, measure: str, dsn: str, count: int | None = None) -> dict[str, Any]:
    """One measure of one peer, in a database of its own on the server of `dsn` (a URI), which is dropped afterwards.

    Raises:
        Unavailable: the peer failed; says how.
    """
    peer = PEERS[name]
    if count is None:
        count = default_count(name, measure)
    database = f"peer_{re.sub('[^a-z]', '_', name)}_{token_hex(4)}"
    identifier = sql.Identifier(database)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        try:
            arguments = ["--peer", name, "--measure", measure, "--count", str(count)]
            return _run(peer, ["--dsn", urlunsplit(urlsplit(dsn)._replace(path=f"/{database}")), *arguments])
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def default_count(name: str, measure: str) -> int:
    return PEERS[name].counts.get(measure, COUNTS[measure])


def _run(peer: Peer, arguments: list[str]) -> dict[str, Any]:
    if peer.is_node:
        command = ["node", str(Path(__file__).parent / peer.script)]
    else:
        python = sys.executable if peer.is_ours else str(peer.folder / "bin" / "python")
        command = [python, "-m", f"benchmarks.peers.{peer.script}"]
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        env=os.environ | {"NODE_PATH": str(_NODE / "node_modules"), "NO_LOG_SUCCESS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"no result after {_TIMEOUT:.0f} s") from None
    finally:
        _kill_session(process)
    lines = [line for line in output.splitlines() if line.startswith('{"peer"')]
    if process.returncode or not lines:
        raise Unavailable(" / ".join(errors.strip().splitlines()[-3:]) or f"exit code {process.returncode}")
    return dict(json.loads(lines[-1]))


def _kill_session(process: subprocess.Popen[str]) -> None:
    # Its worker processes, if it ended without ending them.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _install(peer: Peer) -> None:
    peer.folder.mkdir(parents=True, exist_ok=True)
    if peer.is_node:
        npm = shutil.which("npm")
        if npm is None:
            raise Unavailable("there is no npm here")
        (peer.folder / "package.json").write_text('{"private": true}')
        _check_call([npm, "install", "--no-fund", "--no-audit", *peer.requires], cwd=peer.folder)
    else:
        _check_call([_interpreter(peer.python), "-m", "venv", "--clear", str(peer.folder)])
        _check_call([str(peer.folder / "bin" / "pip"), "install", "--quiet", *peer.requires])


def _interpreter(oldest: tuple[int, int]) -> str:
    # Our own where it will do, so that ratios do not compare interpreters.
    if sys.version_info >= oldest:
        return sys.executable
    names = [f"python3.{minor}" for minor in range(oldest[1], oldest[1] + 4)]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [path for name in names if (path := shutil.which(name))]
    found += [str(path) for name in names for path in sorted(pyenv.glob(f"*/bin/{name}"))]
    for path in found:
        # A shim may be on the PATH for a version that is not there.
        if subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    raise Unavailable(f"needs Python {oldest[0]}.{oldest[1]}, and none was found")


def _check_call(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable((done.stderr or done.stdout).strip().splitlines()[-1])
