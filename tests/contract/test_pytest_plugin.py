"""The pytest plugin, as a suite of somebody else uses it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from _servers import eventually, package_environment

from promin_postgres.testing import PostgresServer, postgres_server

pytest_plugins = ["pytester"]

MIGRATE = """
    import psycopg, pytest

    @pytest.fixture(scope="session")
    def promin_migrate(tmp_path_factory):
        def migrate(dsn):
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("CREATE TABLE marks (mark text)")
            with open("migrations", "a") as file:
                file.write("migrated\\n")
        return migrate
"""
DATABASES = """
    import psycopg, pytest

    @pytest.mark.parametrize("n", range(6))
    def test_is_empty(promin_dsn, n, worker_id):
        with psycopg.connect(promin_dsn, autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM marks").fetchone() == (0,)
            connection.execute("INSERT INTO marks VALUES ('mine')")
            row = connection.execute(
                "SELECT current_database(), pg_postmaster_start_time()::text, current_setting('port')"
            ).fetchone()
        with open(f"seen-{n}", "w") as file:
            file.write(" ".join(map(str, [worker_id, *row])))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server(server="own") as server:
        yield server


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite elsewhere, on which warnings are errors. It starts a server of its own."""
    for name, value in package_environment().items():
        monkeypatch.setenv(name, value)
    for name in [name for name in os.environ if name.startswith(("PYTEST_XDIST", "PYTEST_ADDOPTS"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("PROMIN_POSTGRES_DSN", raising=False)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    return pytester


@pytest.fixture
def guest(suite: pytest.Pytester, server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.Pytester]:
    """A suite that is given a server, and leaves it as it was."""
    before = databases(server.dsn)
    with monkeypatch.context() as environment:
        environment.delenv("PROMIN_POSTGRES_SERVER", raising=False)
        environment.setenv("PROMIN_POSTGRES_DSN", server.dsn)
        yield suite
    assert databases(server.dsn) == before


def options() -> Sequence[str]:
    """What loads the plugin where the package is not installed, and leaves out what only takes time."""
    others = ["-p", "no:hypothesispytest", "-p", "no:timeout", "-p", "no:cacheprovider"]
    installed = importlib.metadata.entry_points(group="pytest11", name="promin_postgres")
    return others if installed else [*others, "-p", "promin_postgres.testing.plugin"]


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return suite.runpytest_subprocess(*options(), *arguments)


def seen(suite: pytest.Pytester) -> list[list[str]]:
    return [path.read_text().split(" ", 2) for path in sorted(suite.path.glob("seen-*"))]


class TestDatabases:
    def test_each_test_has_its_own_and_none_is_left(self, guest: pytest.Pytester) -> None:
        guest.makeconftest(MIGRATE)
        guest.makepyfile(DATABASES)
        run(guest).assert_outcomes(passed=6)
        assert len({name for _, name, _ in seen(guest)}) == 6
        assert (guest.path / "migrations").read_text() == "migrated\n"

    def test_the_database_is_dropped_though_the_test_fails_and_leaves_a_session(self, guest: pytest.Pytester) -> None:
        guest.makeconftest(MIGRATE)
        guest.makepyfile(
            """
            import psycopg
            kept = []

            def test_fails(promin_dsn):
                kept.append(psycopg.connect(promin_dsn))
                assert kept[0].execute("SELECT 1").fetchone() == (2,)

            def test_looks(promin_server):
                try:
                    name = kept[0].info.dbname
                    with psycopg.connect(promin_server.dsn) as connection:
                        query = "SELECT count(*) FROM pg_database WHERE datname = %s"
                        assert connection.execute(query, (name,)).fetchone() == (0,)
                finally:
                    kept[0].close()
            """
        )
        run(guest).assert_outcomes(passed=1, failed=1)

    def test_the_tables_of_the_library_are_there(self, guest: pytest.Pytester) -> None:
        guest.makepyfile(
            """
            import psycopg

            def test_migrated(promin_dsn):
                with psycopg.connect(promin_dsn) as connection:
                    query = "SELECT count(*) FROM pg_tables WHERE tablename = 'wf_migrations'"
                    assert connection.execute(query).fetchone() == (1,)
            """
        )
        run(guest).assert_outcomes(passed=1)

    def test_the_server_of_the_run_is_not_for_a_test_to_stop(self, guest: pytest.Pytester) -> None:
        guest.makepyfile(
            """
            import pytest
            from promin_postgres.errors import ConfigurationError

            def test_restart(promin_server):
                with pytest.raises(ConfigurationError, match='server="own"'):
                    promin_server.restart()
            """
        )
        run(guest).assert_outcomes(passed=1)

    def test_a_missing_server_is_an_error_of_the_test(
        self, suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PROMIN_POSTGRES_SERVER", "docker")
        monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        suite.makepyfile("def test_it(promin_dsn):\n    pass\n")
        for arguments in ([], ["-n1"]):
            result = run(suite, *arguments)
            result.assert_outcomes(errors=1)
            result.stdout.fnmatch_lines(["*ServerNotFound: no PostgreSQL for development and tests*", "*docker:*"])


class TestObjects:
    def test_a_database(self, guest: pytest.Pytester) -> None:
        guest.makeconftest(MIGRATE)
        guest.makepyfile(
            """
            from promin_postgres.database import Database

            def test_sync(promin_db, promin_dsn):
                assert isinstance(promin_db, Database)
                with promin_db.connection() as connection:
                    assert connection.execute("SELECT count(*) FROM marks").fetchone()
                    assert connection.info.dbname in promin_dsn
            """
        )
        run(guest).assert_outcomes(passed=1)

    def test_an_async_database_on_any_loop(self, guest: pytest.Pytester) -> None:
        guest.makeconftest(MIGRATE)
        guest.makepyfile(
            """
            import asyncio, gc, threading
            import pytest
            from promin_postgres.database import AsyncDatabase

            async def query(db):
                assert isinstance(db, AsyncDatabase)
                async with db.connection() as connection:
                    cursor = await connection.execute("SELECT count(*) AS n FROM marks")
                    assert len(await cursor.fetchall()) == 1

            async def block(db):
                async with db:
                    await query(db)

            async def together(db):
                await asyncio.gather(*(query(db) for _ in range(4)))

            @pytest.fixture(autouse=True)
            def nothing_is_left():
                yield
                gc.collect()

            @pytest.mark.parametrize("n", range(5))
            @pytest.mark.parametrize("use", [query, block, together])
            def test_run(promin_async_db, use, n):
                asyncio.run(use(promin_async_db))

            def test_one_after_the_other(promin_async_db):
                for use in (query, block, query):
                    asyncio.run(use(promin_async_db))

            def test_not_at_all(promin_async_db):
                pass

            @pytest.fixture(scope="module")
            def loop():
                loop = asyncio.new_event_loop()
                yield loop
                assert not asyncio.all_tasks(loop)
                loop.close()

            def test_that_stays(loop, promin_async_db):
                loop.run_until_complete(query(promin_async_db))
                assert asyncio.all_tasks(loop)

            @pytest.fixture(scope="module")
            def turning():
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever)
                thread.start()
                yield loop
                assert not asyncio.all_tasks(loop)
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                loop.close()

            def test_that_turns_elsewhere(turning, promin_async_db):
                asyncio.run_coroutine_threadsafe(query(promin_async_db), turning).result(20)
            """
        )
        result = run(guest)
        result.assert_outcomes(passed=19)
        assert result.stderr.str() == ""


class TestWorkers:
    def test_share_one_server_and_one_template(self, suite: pytest.Pytester) -> None:
        suite.makeconftest(MIGRATE)
        suite.makepyfile(DATABASES)
        run(suite, "-n2").assert_outcomes(passed=6)
        found = seen(suite)
        assert len({worker for worker, _, _ in found}) == 2
        assert len({name for _, name, _ in found}) == 6
        assert len({server for _, _, server in found}) == 1
        assert (suite.path / "migrations").read_text() == "migrated\n"

    def test_one_that_dies_does_not_take_the_server_along(self, suite: pytest.Pytester) -> None:
        suite.makeconftest(MIGRATE)
        suite.makepyfile(
            """
            import os, signal
            import psycopg, pytest

            def started(dsn):
                with psycopg.connect(dsn) as connection:
                    return str(connection.execute("SELECT pg_postmaster_start_time()").fetchone())

            def test_dies(promin_dsn):
                with open("server", "w") as file:
                    file.write(started(promin_dsn))
                os.kill(os.getpid(), signal.SIGKILL)

            def test_lives(promin_dsn):
                with open("server") as file:
                    assert file.read() == started(promin_dsn)
            """
        )
        run(suite, "-n1").assert_outcomes(passed=1, failed=1)

    def test_do_not_start_a_server_that_no_test_asks_for(
        self, suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Whoever started one would see this and fail.
        monkeypatch.setenv("PROMIN_POSTGRES_SERVER", "docker")
        monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        suite.makeconftest(
            """
            import sys

            def pytest_unconfigure(config):
                if not hasattr(config, "workerinput"):
                    print("imported:", *sorted({"docker", "promin_postgres.testing._launch"} & {*sys.modules}))
            """
        )
        suite.makepyfile("def test_it():\n    pass\n")
        for arguments in (["-s"], ["-s", "-n2"]):
            result = run(suite, *arguments)
            result.assert_outcomes(passed=1)
            assert result.outlines.count("imported:") == 1, result.stdout.str()

    def test_databases_on_an_external_server_are_dropped(self, guest: pytest.Pytester) -> None:
        guest.makeconftest(MIGRATE)
        guest.makepyfile(DATABASES)
        run(guest, "-n2").assert_outcomes(passed=6)
        assert (guest.path / "migrations").read_text() == "migrated\n"

    def test_a_run_that_is_killed_leaves_no_server(self, suite: pytest.Pytester) -> None:
        suite.makeconftest(MIGRATE)
        suite.makepyfile(
            """
            import json, time

            def test_waits(promin_server):
                with open("facts.new", "w") as file:
                    json.dump({"data": promin_server.setting("data_directory"), "kind": promin_server.kind}, file)
                import os
                os.rename("facts.new", "facts")
                time.sleep(600)
            """
        )
        command = [sys.executable, "-m", "pytest", *options(), "-n1"]
        with subprocess.Popen(command, cwd=suite.path, stdout=subprocess.DEVNULL) as controller:
            try:
                assert eventually((suite.path / "facts").exists, 60)
            finally:
                controller.send_signal(signal.SIGKILL)
        facts: dict[str, Any] = json.loads((suite.path / "facts").read_text())
        if facts["kind"] == "docker":
            pytest.skip("looks for the directory of a cluster on this machine")
        assert eventually(lambda: not Path(facts["data"]).parent.exists())

    def test_a_stranger_gets_no_answer(self) -> None:
        import socket

        from promin_postgres.testing._sharing import Sharing

        sharing = Sharing()
        try:
            with socket.create_connection(("127.0.0.1", sharing.ticket["port"]), 10) as stranger:
                stranger.sendall(b"guess\n")
                assert stranger.recv(1_000) == b""
        finally:
            sharing.close()


def databases(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
