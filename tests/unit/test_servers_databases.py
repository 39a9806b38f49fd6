"""Databases on a server: named, cloned from a template that is made once, dropped whatever happens in them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from _servers import clusters_kind, eventually, package_environment
from psycopg.conninfo import conninfo_to_dict

from promin_postgres.errors import InvalidArgument
from promin_postgres.testing import PostgresServer, postgres_server
from promin_postgres.testing._binaries import embedded_binaries, local_binaries


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server(server="own", settings={"wal_level": "logical"}) as server:
        yield server


def attached(server: PostgresServer) -> PostgresServer:
    """The same run on the same server, as another process has it."""
    facts: dict[str, Any] = {"kind": server.kind, "is_durable": server.is_durable, "run": server.run}
    return PostgresServer(server.dsn, **facts, backend=None)


def exists(server: PostgresServer, name: str) -> bool:
    with psycopg.connect(server.dsn) as connection:
        return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None


def make_table(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE marks (mark text)")
        connection.execute("INSERT INTO marks VALUES ('migrated')")


class TestAddresses:
    @pytest.mark.parametrize(
        ("dsn", "name", "expected"),
        [
            ("postgresql://a:b@h:1/postgres?sslmode=disable", "x", "postgresql://a:b@h:1/x?sslmode=disable"),
            ("postgres://h/", "x", "postgres://h/x"),
            ("postgresql://h", "x", "host=h dbname=x"),
            ("postgresql://h/db", "it's", "host=h dbname='it\\'s'"),
            ("postgresql://h/db?dbname=other", "x", "host=h dbname=x"),
            ("postgresql:///db?host=/run/postgresql", "x", "postgresql:///x?host=/run/postgresql"),
            ("host=h dbname=db", "x", "host=h dbname=x"),
        ],
    )
    def test_of_another_database(self, dsn: str, name: str, expected: str) -> None:
        server = PostgresServer(dsn, kind="external", backend=None)
        found = server.dsn_for(name)
        assert conninfo_to_dict(found) == conninfo_to_dict(expected) | {"dbname": name}
        assert ("://" in found) == ("://" in expected)


class TestCreate:
    def test_by_name(self, server: PostgresServer) -> None:
        dsn = server.create_database('It\'s 100% "mine"')
        with psycopg.connect(dsn) as connection:
            assert connection.info.dbname == 'It\'s 100% "mine"'
        server.drop_database('It\'s 100% "mine"')
        assert not exists(server, 'It\'s 100% "mine"')

    def test_names_are_taken_once(self, server: PostgresServer) -> None:
        server.create_database("twice")
        with pytest.raises(psycopg.errors.DuplicateDatabase):
            server.create_database("twice")

    def test_without_a_name_it_is_unique(self, server: PostgresServer) -> None:
        assert len({server.create_database(), server.create_database(), server.new_name(), server.new_name()}) == 4

    @pytest.mark.parametrize("name", ["", "x" * 60, "a\0b", "ü" * 30])
    def test_names_that_would_be_cut_are_refused(self, server: PostgresServer, name: str) -> None:
        with pytest.raises(InvalidArgument, match="name="):
            server.create_database(name)

    def test_after_a_restart(self, server: PostgresServer) -> None:
        # The maintenance connection is lost without the server object having been told.
        server.create_database()
        pid = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            assert connection.execute(pid, ("promin_postgres.testing",)).fetchall() == [(True,)]
            still = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
            assert eventually(
                lambda: connection.execute(still, ("promin_postgres.testing",)).fetchone() == (0,),
            )
        server.create_database()

    def test_in_a_fork(self, server: PostgresServer) -> None:
        code = (
            "import os\nfrom promin_postgres.testing import PostgresServer\n"
            f"server = PostgresServer({server.dsn!r}, kind='external', backend=None)\n"
            "server.create_database()\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    server.create_database()\n"
            "    os._exit(0)\n"
            "assert os.waitpid(child, 0)[1] == 0\n"
            "server.create_database()\n"
            "server.drop_run()\nserver.close()\n"
        )
        subprocess.run([sys.executable, "-W", "error", "-c", code], env=package_environment(), check=True, timeout=60)


class TestDrop:
    def test_ends_the_sessions_in_it(self, server: PostgresServer) -> None:
        name = server.new_name()
        with psycopg.connect(server.create_database(name)) as connection:
            connection.execute("SELECT 1")
            server.drop_database(name)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        assert not exists(server, name)

    def test_ends_a_session_that_decodes_its_changes(self, server: PostgresServer) -> None:
        if server.kind == "docker":
            pytest.skip("needs pg_recvlogical on this machine")
        binaries = embedded_binaries() if clusters_kind() == "embedded" else local_binaries()
        name = server.new_name()
        dsn = server.create_database(name)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SELECT pg_create_logical_replication_slot('watch', 'test_decoding')")
        command = [os.path.join(binaries, "pg_recvlogical"), "-d", dsn, "--slot=watch", "--start", "--no-loop", "-f-"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as reader:
            active = "SELECT active FROM pg_replication_slots WHERE slot_name = 'watch'"
            with psycopg.connect(server.dsn, autocommit=True) as connection:
                assert eventually(lambda: connection.execute(active).fetchone() == (True,))
                server.drop_database(name)
                assert connection.execute(active).fetchall() == []
            assert reader.wait(20) != 0
        assert not exists(server, name)

    def test_what_is_not_there(self, server: PostgresServer) -> None:
        server.drop_database("never_made")


class TestTemplate:
    def test_is_made_once_however_many_ask(self, server: PostgresServer) -> None:
        calls: list[str] = []

        def migrate(dsn: str) -> None:
            calls.append(dsn)
            make_table(dsn)

        def ask(other: PostgresServer) -> str:
            return other.template(migrate, name="once")

        others = [attached(server) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            names = set(pool.map(ask, others))
        for other in others:
            other.close()
        assert len(names) == len(calls) == 1
        with psycopg.connect(server.create_database(template=names.pop())) as connection:
            assert connection.execute("SELECT mark FROM marks").fetchall() == [("migrated",)]

    def test_clones_are_apart(self, server: PostgresServer) -> None:
        template = server.template(make_table, name="apart")
        one, other = server.create_database(template=template), server.create_database(template=template)
        with psycopg.connect(one) as connection:
            connection.execute("INSERT INTO marks VALUES ('one')")
        with psycopg.connect(other) as connection:
            assert connection.execute("SELECT mark FROM marks").fetchall() == [("migrated",)]

    def test_clones_are_made_side_by_side(self, server: PostgresServer) -> None:
        template = server.template(make_table, name="side")
        others = [attached(server) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            dsns = list(pool.map(lambda other: [other.create_database(template=template) for _ in range(3)], others))
        for other in others:
            other.close()
        assert len({dsn for some in dsns for dsn in some}) == 12

    def test_a_failed_migration_is_tried_again(self, server: PostgresServer) -> None:
        def fail(dsn: str) -> None:
            make_table(dsn)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            server.template(fail, name="retried")
        template = server.template(make_table, name="retried")
        with psycopg.connect(server.create_database(template=template)) as connection:
            assert connection.execute("SELECT count(*) FROM marks").fetchone() == (1,)

    def test_nobody_can_connect_to_it(self, server: PostgresServer) -> None:
        template = server.template(make_table, name="sealed")
        with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
            psycopg.connect(server.dsn_for(template)).close()

    def test_one_that_waits_does_not_hold_up_the_migration(self, server: PostgresServer) -> None:
        # CREATE INDEX CONCURRENTLY waits for older snapshots, and who waits for the template holds one.
        waiting = threading.Event()
        other = attached(server)

        def migrate(dsn: str) -> None:
            make_table(dsn)
            waiter.start()
            with psycopg.connect(server.dsn, autocommit=True) as watcher:
                blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
                assert eventually(lambda: watcher.execute(blocked, ("%lock_template%",)).fetchone() == (1,))
            waiting.set()
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("SET statement_timeout = '20s'")
                connection.execute("CREATE INDEX CONCURRENTLY ON marks (mark)")

        waiter = threading.Thread(target=other.template, args=(make_table,), kwargs={"name": "waiting"})
        server.template(migrate, name="waiting")
        waiter.join(60)
        assert waiting.is_set()
        assert not waiter.is_alive()
        other.close()


class TestRun:
    def test_what_all_processes_of_a_run_made_goes_together(self, server: PostgresServer) -> None:
        other_run = PostgresServer(server.dsn, kind="external", backend=None)
        first, second = attached(other_run), attached(other_run)
        names = [first.new_name(), second.new_name()]
        first.create_database(names[0])
        second.create_database(names[1])
        template = first.template(make_table)
        ours = server.new_name()
        server.create_database(ours)
        other_run.drop_run()
        assert [exists(server, name) for name in [*names, template, ours]] == [False, False, False, True]
        for each in (first, second, other_run):
            each.close()
