"""A server goes with its owner, however that ends, and leaves nothing behind; meanwhile it can be restarted."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from _servers import clusters_kind, eventually, is_alive, ordinary_user, owner
from psycopg.conninfo import conninfo_to_dict

from promin_postgres.errors import ConfigurationError, InvalidArgument
from promin_postgres.testing import PostgresServer, _supervisor, postgres_server


def answers(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


@pytest.fixture
def own_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where durable servers of this test keep their data: other tests start and end servers at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


class TestEnd:
    def test_the_end_of_the_block_waits_until_nothing_is_left(self) -> None:
        with owner() as server:
            assert server.processes[:2] == [server.supervisor, server.postmaster]
            assert len(server.backends) >= 3
            assert server.end() == 0
            assert server.is_gone

    def test_an_exception_in_the_block_ends_it_too(self, own_folder: Path) -> None:
        def fail() -> None:
            with postgres_server(server=clusters_kind(), durable=True):
                assert directories(own_folder)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert not directories(own_folder)

    def test_an_open_session_does_not_delay_the_end(self) -> None:
        with postgres_server(server=clusters_kind()) as server:
            connection = psycopg.connect(server.dsn)
            sleeper = threading.Thread(target=expect_loss, args=(connection, "SELECT pg_sleep(600)"))
            sleeper.start()
            started = time.monotonic()
        sleeper.join()
        connection.close()
        assert time.monotonic() - started < 8

    def test_a_killed_owner_leaves_nothing(self) -> None:
        with owner() as server:
            server.kill()
            assert eventually(lambda: server.is_gone), server.processes

    def test_a_killed_owner_leaves_nothing_though_its_fork_lives_on(self) -> None:
        with owner(forks=True) as server:
            server.kill()
            # The fork holds the pipe to the supervisor open until the pipe to it is closed.
            assert eventually(lambda: server.is_gone), server.processes

    def test_a_killed_owner_and_supervisor_leave_no_process_and_the_next_start_takes_the_directory(self) -> None:
        with owner() as server:
            os.kill(server.supervisor, signal.SIGKILL)
            server.kill()
            assert eventually(lambda: not server.processes), server.processes
            with postgres_server(server=clusters_kind()):
                assert not server.directory.exists()

    def test_a_supervisor_that_is_asked_to_end_clears_up(self) -> None:
        with owner() as server:
            os.kill(server.supervisor, signal.SIGTERM)
            assert eventually(lambda: server.is_gone), server.processes

    def test_the_owner_is_told_when_its_supervisor_is_gone(self) -> None:
        with postgres_server(server=clusters_kind()) as server:
            os.kill(supervisor_of(server), signal.SIGKILL)
            with pytest.raises(ConfigurationError, match="supervisor of the test server has ended"):
                server.restart()

    def test_ctrl_c_in_the_terminal_is_for_the_owner_alone(self) -> None:
        with owner() as server:
            assert os.getpgid(server.supervisor) != os.getpgid(server.process.pid)
            assert os.getpgid(server.postmaster) != os.getpgid(server.process.pid)

    def test_a_start_does_not_sweep_what_is_in_use(self) -> None:
        with postgres_server(server=clusters_kind()) as first, postgres_server(server=clusters_kind()):
            assert answers(first.dsn)
            assert Path(str(first.setting("data_directory"))).exists()

    def test_a_failed_start_leaves_no_directory(self, own_folder: Path) -> None:
        with (
            pytest.raises(ConfigurationError, match="nonsense"),
            postgres_server(server=clusters_kind(), durable=True, settings={"work_mem": "nonsense"}),
        ):
            pass
        assert not directories(own_folder)


class TestParallel:
    def test_several_at_once(self) -> None:
        together = threading.Barrier(3)

        def run(_: int) -> str:
            with postgres_server(server=clusters_kind()) as server:
                together.wait(60)
                assert answers(server.dsn)
                together.wait(60)
                return str(conninfo_to_dict(server.dsn)["port"])

        with ThreadPoolExecutor(3) as pool:
            assert len(set(pool.map(run, range(3)))) == 3

    def test_a_taken_port_is_passed_by(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with postgres_server(server=clusters_kind()) as first:
            taken = int(str(conninfo_to_dict(first.dsn)["port"]))
            ports = iter([taken, taken, _supervisor.free_port()])
            monkeypatch.setattr(_supervisor, "free_port", lambda: next(ports))
            with cluster() as second:
                port = second.start()
                assert port != taken
                assert next(ports, None) is None
            assert answers(first.dsn)


class TestUsers:
    def test_root_runs_it_as_nobody(self) -> None:
        if os.geteuid() != 0:
            pytest.skip("needs root")
        with owner() as server:
            assert owner_of(f"/proc/{server.postmaster}") == 65534
            assert owner_of(server.directory / "data") == 65534
            assert (server.directory / "data").stat().st_mode & 0o077 == 0
            # The directory itself stays ours: nobody else can plant anything in it.
            assert owner_of(server.directory) == 0

    def test_an_ordinary_user_runs_it_as_itself(self) -> None:
        with owner(*ordinary_user()) as server:
            uid = owner_of(f"/proc/{server.process.pid}")
            assert uid != 0
            assert owner_of(f"/proc/{server.postmaster}") == uid
            assert answers(server.dsn)
            assert server.end() == 0
            assert server.is_gone

    def test_a_killed_ordinary_user_leaves_nothing(self) -> None:
        with owner(*ordinary_user()) as server:
            server.kill()
            assert eventually(lambda: server.is_gone), server.processes

    def test_a_killed_ordinary_user_and_supervisor_leave_no_process(self) -> None:
        with owner(*ordinary_user()) as server:
            os.kill(server.supervisor, signal.SIGKILL)
            server.kill()
            assert eventually(lambda: not server.processes), server.processes
            with owner(*ordinary_user()):
                assert not server.directory.exists()


class TestRestart:
    @pytest.fixture
    def server(self) -> Iterator[PostgresServer]:
        with postgres_server(server="own", durable=True) as server:
            yield server

    @pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
    def test_same_address_same_data_other_postmaster(
        self, server: PostgresServer, mode: Literal["fast", "immediate", "kill"]
    ) -> None:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (value int)")
            connection.execute("INSERT INTO kept VALUES (42)")
            before = connection.execute("SELECT pg_postmaster_start_time()").fetchone()
            if mode == "kill":
                server.kill()
            else:
                server.restart(mode)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        with psycopg.connect(server.dsn) as connection:
            assert connection.execute("SELECT value FROM kept").fetchall() == [(42,)]
            assert connection.execute("SELECT pg_postmaster_start_time()").fetchone() != before
        server.create_database()

    def test_a_busy_backend_does_not_keep_a_killed_server_down(self, server: PostgresServer) -> None:
        # It looks neither at its clients nor at its postmaster while it computes.
        connection = psycopg.connect(server.dsn)
        query = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
        busy = threading.Thread(target=expect_loss, args=(connection, query))
        busy.start()
        active = "SELECT count(*) FROM pg_stat_activity WHERE query = %s AND state = 'active'"
        with psycopg.connect(server.dsn, autocommit=True) as watcher:
            assert eventually(lambda: watcher.execute(active, (query,)).fetchone() == (1,))
        server.kill()
        assert answers(server.dsn)
        busy.join(60)
        connection.close()

    def test_an_unknown_mode_is_refused(self, server: PostgresServer) -> None:
        with pytest.raises(InvalidArgument, match="mode='smart'"):
            server.restart("smart")  # type: ignore[arg-type]


class TestDirectories:
    def test_who_holds_the_lock_keeps_the_directory(self, tmp_path: Path) -> None:
        path, held = _supervisor.make_directory(str(tmp_path), "x-")
        _supervisor.sweep(str(tmp_path), "x-")
        assert os.listdir(tmp_path) == [os.path.basename(path)]
        os.close(held)
        _supervisor.sweep(str(tmp_path), "x-")
        assert os.listdir(tmp_path) == []

    def test_other_names_links_and_files_are_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        (tmp_path / "x-file").touch()
        (tmp_path / "x-link").symlink_to(tmp_path / "other")
        (tmp_path / "x-old").mkdir()
        _supervisor.sweep(str(tmp_path), "x-")
        assert sorted(os.listdir(tmp_path)) == ["other", "x-file", "x-link"]

    def test_those_of_another_user_are_left_alone(self, tmp_path: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("needs root")
        (tmp_path / "x-theirs").mkdir()
        os.chown(tmp_path / "x-theirs", 65534, 65534)
        _supervisor.sweep(str(tmp_path), "x-")
        assert os.listdir(tmp_path) == ["x-theirs"]

    def test_sweepers_and_makers_do_not_meet(self, tmp_path: Path) -> None:
        made: list[tuple[str, int]] = []
        done = threading.Event()

        def sweep() -> None:
            while not done.is_set():
                _supervisor.sweep(str(tmp_path), "x-")

        with ThreadPoolExecutor(2) as pool:
            sweepers = [pool.submit(sweep) for _ in range(2)]
            made = [_supervisor.make_directory(str(tmp_path), "x-") for _ in range(300)]
            done.set()
            for sweeper in sweepers:
                sweeper.result()
        assert sorted(os.listdir(tmp_path)) == sorted(os.path.basename(path) for path, _ in made)
        for path, held in made:
            assert os.listdir(path) == ["lock"]
            os.close(held)


class _Patient:
    """An owner who waits for ever, in this process."""

    def attend(self, seconds: float) -> None:
        time.sleep(seconds)


class cluster:  # noqa: N801 - used as a block
    """The supervisor's cluster, run by this very process."""

    def __enter__(self) -> _supervisor.Cluster:
        from promin_postgres.testing._binaries import embedded_binaries, local_binaries, server_uid

        binaries = embedded_binaries() if clusters_kind() == "embedded" else local_binaries()
        spec: dict[str, Any] = {"bin": binaries, "bases": ["/tmp"], "uid": server_uid(), "timeout": 60.0}
        self._cluster = _supervisor.Cluster(_Patient(), spec)  # type: ignore[arg-type]
        self._cluster.create("unix_socket_directories = ''\n", "secret")
        return self._cluster

    def __exit__(self, *_: object) -> None:
        self._cluster.destroy()


def directories(base: Path) -> list[Path]:
    return list(base.glob(f"{_supervisor.PREFIX}*"))


def owner_of(path: str | Path) -> int:
    return os.stat(path).st_uid


def supervisor_of(server: PostgresServer) -> int:
    data = Path(str(server.setting("data_directory")))
    postmaster = (data / "postmaster.pid").read_text().split()[0]
    listing = subprocess.run(["ps", "-o", "ppid=", "-p", postmaster], capture_output=True, text=True, check=True)
    assert is_alive(int(listing.stdout))
    return int(listing.stdout)


def expect_loss(connection: psycopg.Connection[Any], query: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.execute(query.encode())
