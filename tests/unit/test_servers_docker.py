"""Containers: what Docker is asked for, and that none outlives its owner. The daemon is a stand-in: see there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from _docker_daemon import Daemon
from _servers import clusters_kind, eventually, family_of, package_environment
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from promin_postgres.errors import ServerNotFound
from promin_postgres.testing import PostgresTestContainer, postgres_server

pytest.importorskip("docker", reason="needs the Python package docker")

OWNER = """
import sys
from promin_postgres.testing import postgres_server
with postgres_server() as server:
    print(server.kind, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def other_superuser() -> Iterator[str]:
    """A server behind the containers, as a superuser whose password they leave alone."""
    with postgres_server(server=clusters_kind()) as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("CREATE ROLE other LOGIN SUPERUSER PASSWORD 'secret'")
        yield make_conninfo(server.dsn, user="other", password="secret")


@pytest.fixture
def docker(other_superuser: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, other_superuser) as daemon:
        monkeypatch.setenv("DOCKER_HOST", daemon.host)
        monkeypatch.delenv("PROMIN_POSTGRES_DSN", raising=False)
        monkeypatch.delenv("PROMIN_POSTGRES_SERVER", raising=False)
        yield daemon
    assert guards() == []


@pytest.fixture
def owner(docker: Daemon) -> Iterator[subprocess.Popen[str]]:
    """Another process with a container of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=package_environment(),
        text=True,
        cwd="/",
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "docker\n"
            yield process
        finally:
            process.kill()


def guards() -> list[Path]:
    return [*Path(tempfile.gettempdir()).glob("promin-docker-*")]


def answers(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


class TestContainer:
    def test_is_asked_for_with_settings_label_and_a_loopback_port(self, docker: Daemon) -> None:
        with PostgresTestContainer(settings={"work_mem": "8MB"}) as container:
            (made,) = docker.containers.values()
            port = str(conninfo_to_dict(container.dsn)["port"])
            assert made["Config"]["Image"] == "postgres:17"
            assert made["HostConfig"]["PortBindings"] == {"5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]}
            assert made["Config"]["Cmd"][0] == "postgres"
            assert {"fsync=off", "work_mem=8MB", "max_connections=200"} <= {*made["Config"]["Cmd"]}
            host, _, directory = made["Config"]["Labels"]["promin_postgres.testing"].partition(":")
            assert (host, directory) == (socket.gethostname(), str(guards()[0]))
            assert answers(container.dsn)
        assert docker.containers == {}

    def test_the_password_it_was_started_with_is_replaced_by_its_verifier(self, docker: Daemon) -> None:
        with PostgresTestContainer() as container, psycopg.connect(container.dsn) as connection:
            row = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'").fetchone()
            assert row is not None
            assert row[0].startswith("SCRAM-SHA-256$1:")

    def test_an_image_that_is_not_there_is_pulled(self, docker: Daemon) -> None:
        with PostgresTestContainer("registry:5000/pg"):
            assert "registry:5000/pg:latest" in docker.images
        with PostgresTestContainer("pgvector/pgvector:pg17"):
            assert "pgvector/pgvector:pg17" in docker.images

    def test_a_taken_port_is_passed_by(self, docker: Daemon) -> None:
        docker.ports_taken = 2
        with PostgresTestContainer() as container:
            assert answers(container.dsn)
            assert docker.requests.count("POST /containers/create") == 3
            assert len(docker.containers) == 1

    @pytest.mark.parametrize(("mode", "number"), [("fast", "SIGINT"), ("immediate", "SIGQUIT"), ("kill", "SIGKILL")])
    def test_restarts_at_the_same_address(self, docker: Daemon, mode: str, number: str) -> None:
        with PostgresTestContainer() as container, psycopg.connect(container.dsn) as connection:
            if mode == "kill":
                container.kill()
            else:
                container.restart(mode)  # type: ignore[arg-type]
            assert docker.signals == [number]
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            assert answers(container.dsn)
            assert len(docker.containers) == 1

    def test_one_that_never_answers_shows_its_log(self, docker: Daemon) -> None:
        container = PostgresTestContainer(settings={"fsync": "broken"}, start_timeout=0.5)
        with pytest.raises(ServerNotFound, match=r"does not answer at 127.0.0.1:\d+(.|\n)*FATAL: as you wish"):
            container.start()
        assert docker.containers == {}

    def test_starts_once_and_stops_once(self, docker: Daemon) -> None:
        container = PostgresTestContainer()
        container.stop()
        assert container.start().start().dsn == container.dsn
        assert len(docker.containers) == 1
        container.stop()
        container.stop()
        assert docker.containers == {}

    def test_one_that_somebody_removed_does_not_disturb_the_end(self, docker: Daemon) -> None:
        with PostgresTestContainer():
            docker.containers.clear()


class TestServer:
    def test_docker_comes_before_what_is_installed(self, docker: Daemon) -> None:
        with postgres_server() as server:
            assert server.kind == "docker"
            assert answers(server.create_database())
            server.restart("immediate")
            assert answers(server.create_database())

    def test_the_image_is_configurable(self, docker: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PROMIN_POSTGRES_IMAGE", "postgres:14")
        with postgres_server():
            assert [made["Config"]["Image"] for made in docker.containers.values()] == ["postgres:14"]
        with postgres_server(image="postgres:18"):
            assert [made["Config"]["Image"] for made in docker.containers.values()] == ["postgres:18"]

    def test_what_is_installed_comes_next_when_the_container_fails(self, docker: Daemon) -> None:
        docker.ports_taken = 100
        with postgres_server() as server:
            assert server.kind in ("local", "embedded")
            assert docker.containers == {}


class TestEnd:
    def test_a_killed_owner_leaves_no_container(self, docker: Daemon, owner: subprocess.Popen[str]) -> None:
        assert len(docker.containers) == 1
        owner.kill()
        assert eventually(lambda: not docker.containers and not guards())

    def test_the_next_start_takes_what_a_killed_guard_left(self, docker: Daemon, owner: subprocess.Popen[str]) -> None:
        (left,) = docker.containers
        for guard in family_of(owner.pid):
            os.kill(guard, signal.SIGKILL)
        owner.kill()
        owner.wait()
        docker.add("elsewhere", f"other-{socket.gethostname()}:/tmp/promin-docker-0")
        docker.add("strange", f"{socket.gethostname()}:/tmp")
        docker.add("gone", f"{socket.gethostname()}:/tmp/promin-docker-0")
        with PostgresTestContainer():
            assert eventually(lambda: not {left, "gone"} & {*docker.containers})
            assert eventually(lambda: len(guards()) == 1)
            assert {"elsewhere", "strange"} < {*docker.containers}
        assert Path("/tmp").is_dir()
