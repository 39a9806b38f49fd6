"""`nox` runs what CI runs: lint, types, and the tests on every supported Python that this machine has.

Nox comes with `pip install -e ".[dev]"`, and so does all that the sessions need: they run where nox runs, but for the
tests on other Pythons.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.options.sessions = ["lint", "typing", "tests", "tests_on"]
nox.options.reuse_existing_virtualenvs = True

# Tests start hundreds of processes: not each of them is to compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

VERSIONS = ["3.11", "3.12", "3.13"]
# Many tests wait for a server or a process, not for a processor.
PARALLEL = ["-n", str(3 * (os.cpu_count() or 1)), "--dist", "worksteal"]


def starts(python: str) -> bool:
    """Whether this is an interpreter, and not a shim of pyenv for one that is switched off."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def other_pythons() -> dict[str, str]:
    """The supported Pythons of this machine, but for the one that runs nox."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for version in VERSIONS:
        candidates = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
        works = [path for path in candidates if path and starts(path)]
        if works and version != f"{sys.version_info[0]}.{sys.version_info[1]}":
            found[version] = works[0]
    return {} if os.environ.get("CI") else found  # CI has ten minutes


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """ruff and the twins."""
    session.run(sys.executable, "-m", "ruff", "check")
    session.run(sys.executable, "-m", "ruff", "format", "--check")
    session.run(sys.executable, "tools/twins.py", "--check")


@nox.session(python=False)
def typing(session: nox.Session) -> None:
    """mypy (strict) and pyright."""
    session.run(sys.executable, "-m", "mypy")
    session.run(sys.executable, "-m", "pyright", "--pythonpath", sys.executable)


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """pytest, with what follows `--`; on the server that promin_postgres.testing finds."""
    session.run(sys.executable, "-m", "pytest", *PARALLEL, *session.posargs)


@nox.session
@nox.parametrize("python", [nox.param(path, id=version) for version, path in other_pythons().items()])
def tests_on(session: nox.Session) -> None:
    """The same on another Python, in an environment of its own."""
    session.install("--quiet", "-e", ".[dev]")
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session(python=False)
def soak(session: nox.Session) -> None:
    """The long form of the proofs of which `tests` runs a short one."""
    session.run(sys.executable, "-m", "pytest", "-m", "soak", *session.posargs)


@nox.session(python=False)
def bench(session: nox.Session) -> None:
    """The benchmarks; needs `pip install -e ".[bench]"`. Their latest figures are in benchmarks/RESULTS.md."""
    for name in (
        "queue",
        "pgmq_client",
        "changes",
        "claim_ack",
        "enqueue",
        "degradation",
        "fairness",
        "drain",
        "latency",
        "memory",
        "workflows",
    ):
        session.run(sys.executable, "-m", f"benchmarks.{name}", *session.posargs)


@nox.session(python=False)
def demo(session: nox.Session) -> None:
    """The demo, with what follows `--`."""
    session.run(sys.executable, "-m", "promin_postgres", "demo", *session.posargs)
