"""The real pgmq for tests, from the PyPI package `pgmq`: as an extension and as plain SQL, on two kinds of servers."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from _partman import CREATE, Partman, write_partman

from promin_postgres.testing import PostgresServer, postgres_server

Style = Literal["extension", "sql"]
SQL = files("pgmq").joinpath("sql/pgmq.sql").read_text(encoding="utf-8")
_VERSION = files("pgmq").joinpath("sql/VERSION").read_text(encoding="utf-8").strip()
_CONTROL = f"""comment = 'A lightweight message queue'
default_version = '{_VERSION}'
module_pathname = '$libdir/pgmq'
schema = 'pgmq'
relocatable = false
superuser = false
"""
INSTALLED = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
PLACES = [
    (kind, style) for kind in ("local", "embedded") if kind == "embedded" or INSTALLED for style in ("extension", "sql")
]


def install(dsn: str, style: Style = "sql", partman: Partman | None = None) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        if partman is not None:
            connection.execute("CREATE SCHEMA partman")
            connection.execute(CREATE[partman])
        connection.execute("CREATE EXTENSION pgmq" if style == "extension" else SQL)


@contextmanager
def server_with_pgmq(kind: Literal["local", "embedded"]) -> Iterator[PostgresServer]:
    """A server with the files of the extension: in the share directory of a copy, or in a directory of their own."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="promin-pgmq-")))
        home.chmod(0o755)  # the server may run as another user
        if kind == "embedded":
            _write_extension(home / "extension")
            settings = {"extension_control_path": f"$system:{home}"}
        else:
            version = INSTALLED[-1].split("/")[-3]
            programs, shared = f"lib/postgresql/{version}", f"share/postgresql/{version}"
            # The server finds the rest beside where its program really is.
            shutil.copytree(f"/usr/{programs}/bin", home / programs / "bin")
            (home / programs / "lib").symlink_to(f"/usr/{programs}/lib")
            shutil.copytree(f"/usr/{shared}", home / shared)
            _write_extension(home / shared / "extension")
            path = stack.enter_context(pytest.MonkeyPatch.context())
            path.setenv("PATH", f"{home / programs / 'bin'}{os.pathsep}{os.environ['PATH']}")
            settings = {}
        yield stack.enter_context(postgres_server(server=kind, settings=settings))


def _write_extension(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "pgmq.control").write_text(_CONTROL)
    (directory / f"pgmq--{_VERSION}.sql").write_text(SQL)
    write_partman(directory)


@pytest.fixture(scope="session")
def pgmq_servers() -> Iterator[dict[str, PostgresServer]]:
    with ExitStack() as stack:
        yield {kind: stack.enter_context(server_with_pgmq(kind)) for kind in dict(PLACES)}


_SHORT = {("local", "extension"), ("embedded", "sql"), PLACES[0]}  # each kind and each style once


@pytest.fixture(
    params=[
        pytest.param(place, marks=[] if place in _SHORT else pytest.mark.soak, id="-".join(place)) for place in PLACES
    ]
)
def pgmq_everywhere(request: pytest.FixtureRequest, pgmq_servers: dict[str, PostgresServer]) -> Iterator[str]:
    """A database with pgmq, of each kind in turn."""
    kind, style = request.param
    yield from _database(pgmq_servers[kind], style)


def _partitioned_places() -> Iterator[Any]:
    for kind, style in PLACES:
        marks = [] if (kind, style) in _SHORT else [pytest.mark.soak]
        yield pytest.param((kind, style, "stand-in"), marks=marks, id=f"{kind}-{style}-stand-in")
    if INSTALLED:
        files_of_it = f"/usr/share/postgresql/{INSTALLED[-1].split('/')[-3]}/extension/pg_partman.control"
        missing = pytest.mark.skipif(not Path(files_of_it).exists(), reason="needs pg_partman")
        yield pytest.param(("local", "extension", "real"), marks=missing, id="local-extension-real")


@pytest.fixture(params=_partitioned_places())
def partitioned_dsn(request: pytest.FixtureRequest, pgmq_servers: dict[str, PostgresServer]) -> Iterator[str]:
    """A database with pgmq and pg_partman, of each kind in turn."""
    kind, style, partman = request.param
    yield from _database(pgmq_servers[kind], style, partman)


@pytest.fixture
def pgmq_dsn(promin_server: PostgresServer) -> Iterator[str]:
    """A database with pgmq of the test's own."""
    yield from _database(promin_server, "sql")


@pytest.fixture
def bare_dsn(promin_server: PostgresServer) -> Iterator[str]:
    """A database without pgmq."""
    name = promin_server.new_name()
    yield promin_server.create_database(name)
    promin_server.drop_database(name)


def _database(server: PostgresServer, style: Style, partman: Partman | None = None) -> Iterator[str]:
    template = server.template(lambda dsn: install(dsn, style, partman), name=f"pgmq_{style}_{partman}")
    name = server.new_name()
    yield server.create_database(name, template=template)
    server.drop_database(name)


def query(dsn: str, text: str, *params: Any) -> list[Any]:
    """The rows of a statement of the test's own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(text, params or None)
        return cursor.fetchall() if cursor.description else []
