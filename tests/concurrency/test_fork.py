"""Across processes: a fork does not share connections, and a process ends quietly with a database left open."""

import subprocess
import sys
import textwrap

import pytest

COMMON = """
import asyncio, os, sys, threading
import psycopg
from psycopg import AsyncConnection, Connection
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from promin_postgres import _statement
from promin_postgres._statement import Statement
from promin_postgres.database import AsyncDatabase, Database
from promin_postgres.errors import ConfigurationError

_statement.read_sql = lambda name: ("", "SELECT pg_backend_pid() AS pid")
PID = Statement("test/pid")
dsn = sys.argv[1]

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "see above for what the child said"
"""


def run(code: str, dsn: str, *options: str) -> None:
    """Run code in a process of its own, which must say nothing."""
    done = subprocess.run(
        [sys.executable, *options, "-c", COMMON + textwrap.dedent(code), dsn],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def fork(code: str, dsn: str) -> None:
    # From 3.12 on Python warns of every fork beside threads: a pool has threads, and forking then is the point here.
    run(code, dsn, "-W", "ignore::DeprecationWarning")


def test_an_owned_pool_opens_anew_in_the_child(promin_dsn: str) -> None:
    fork(
        """
        db = Database.connect(dsn, min_size=1, max_size=1)
        def pid(): return db.executor().fetch_one(PID)["pid"]
        mine = pid()

        def child():
            found = []
            threads = [threading.Thread(target=lambda: found.append(pid())) for _ in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            assert len(set(found)) == 1, "one pool, made once"
            assert mine not in found
            db.close()

        in_child(child)
        assert pid() == mine, "the child did not touch the connection of its parent"
        db.close()
        """,
        promin_dsn,
    )


def test_an_owned_pool_opens_anew_in_the_child_of_an_event_loop(promin_dsn: str) -> None:
    fork(
        """
        db = AsyncDatabase.connect(dsn, min_size=1, max_size=1)
        async def pid(): return (await db.executor().fetch_one(PID))["pid"]
        async def child():
            assert await pid() != mine
            await db.close()

        loop = asyncio.new_event_loop()
        mine = loop.run_until_complete(pid())
        in_child(lambda: asyncio.run(child()))
        assert loop.run_until_complete(pid()) == mine
        loop.run_until_complete(db.close())
        loop.close()
        """,
        promin_dsn,
    )


def test_what_was_borrowed_is_refused_in_the_child(promin_dsn: str) -> None:
    fork(
        """
        pool = ConnectionPool(dsn, min_size=1, open=True)
        connection = psycopg.connect(dsn)
        databases = Database(pool), Database(connection)
        before = [db.executor().fetch_one(PID) for db in databases]

        def child():
            for db in databases:
                for use in (lambda: db.executor().fetch_one(PID), lambda: db.connection().__enter__()):
                    try:
                        use()
                    except ConfigurationError as error:
                        assert "forked" in str(error)
                    else:
                        raise AssertionError(db)
                db.close()

        in_child(child)
        assert [db.executor().fetch_one(PID) for db in databases] == before
        pool.close()
        connection.close()
        """,
        promin_dsn,
    )


@pytest.mark.parametrize("close", ["db.close()", "pass"])
def test_a_process_ends_quietly(promin_dsn: str, close: str) -> None:
    """Also when nobody closed the database: no hanging, no warning."""
    run(
        f"""
        db = Database.connect(dsn, min_size=2)
        db.executor().fetch_one(PID)
        {close}
        """,
        promin_dsn,
        *("-X", "dev", "-W", "error"),
    )


def test_an_event_loop_ends_quietly(promin_dsn: str) -> None:
    run(
        """
        async def main():
            async with AsyncDatabase.connect(dsn, min_size=2) as db:
                await db.executor().fetch_one(PID)
            assert asyncio.all_tasks() == {asyncio.current_task()}
        asyncio.run(main())
        """,
        promin_dsn,
        *("-X", "dev", "-W", "error"),
    )


def test_an_event_loop_ends_with_a_database_left_open(promin_dsn: str) -> None:
    run(
        """
        async def main():
            await AsyncDatabase.connect(dsn).executor().fetch_one(PID)
        asyncio.run(main())
        """,
        promin_dsn,
    )


def test_closing_leaves_no_thread_and_no_session(promin_dsn: str) -> None:
    run(
        """
        db = Database.connect(dsn, min_size=4)
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        with psycopg.connect(dsn, autocommit=True) as admin:
            for _ in range(3):
                db.executor().fetch_one(PID)
                db.close()
                assert threading.active_count() == 1, threading.enumerate()
                while admin.execute(sessions).fetchone() != (1,):
                    pass
        """,
        promin_dsn,
        *("-X", "dev", "-W", "error"),
    )


def test_nothing_connects_before_it_is_used(promin_dsn: str) -> None:
    run(
        """
        Connection.connect = AsyncConnection.connect = None
        for kind in (Database, AsyncDatabase):
            kind.connect(dsn).executor()
            kind.of(dsn)
        assert threading.active_count() == 1
        """,
        promin_dsn,
        *("-X", "dev", "-W", "error"),
    )
