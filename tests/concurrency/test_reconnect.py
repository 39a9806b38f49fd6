"""When connections break: what may be sent again is, what may not raises, and a dead one is noticed without asking."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from _probe import Probe, probe
from _twins import Twin
from _waiting import until
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from promin_postgres.database import AsyncDatabase, Database
from promin_postgres.database._loss import RETRY_FOR, is_connection_loss, may_be_dead, retry_pause
from promin_postgres.testing import postgres_server

__all__ = ["probe"]

PID = "SELECT pg_backend_pid() AS pid"
DIE_ONCE = """
SELECT CASE WHEN nextval('deaths') = 1 THEN pg_terminate_backend(pg_backend_pid()) END AS died, %(n)s::int AS n
"""


def deaths(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        (count,) = connection.execute("SELECT last_value FROM deaths").fetchone() or (0,)
        return count


@pytest.fixture
def dying(promin_dsn: str) -> str:
    """A database where DIE_ONCE kills the first connection that runs it."""
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE deaths")
    return promin_dsn


def test_an_idempotent_statement_goes_on_when_its_connection_dies(twin_db: Any, probe: Probe, dying: str) -> None:
    row = twin_db.executor().fetch_one(probe(DIE_ONCE, idempotent=True), {"n": 7})
    assert (row["died"], row["n"]) == (None, 7)
    assert deaths(dying) == 2


def test_another_statement_raises_and_is_not_sent_again(twin_db: Any, probe: Probe, dying: str) -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        twin_db.executor().fetch_one(probe(DIE_ONCE), {"n": 7})
    assert is_connection_loss(caught.value)
    assert deaths(dying) == 1
    assert twin_db.executor().fetch_one(probe(DIE_ONCE), {"n": 7})["n"] == 7, "the pool has another connection"


def test_on_a_borrowed_connection_nothing_is_sent_again(probe: Probe, dying: str) -> None:
    with psycopg.connect(dying, autocommit=True) as connection, pytest.raises(psycopg.OperationalError):
        Database(connection).executor().fetch_one(probe(DIE_ONCE, idempotent=True), {"n": 7})
    assert deaths(dying) == 1


def test_a_stale_pooled_connection_costs_nobody_an_error(twin: Twin, probe: Probe, promin_dsn: str) -> None:
    """Not even the caller of a statement that may not be sent again."""
    pid = probe(PID)
    with twin.pick(Database, AsyncDatabase).connect(promin_dsn, max_size=1) as db:
        before = db.executor().fetch_one(pid)["pid"]
        with psycopg.connect(promin_dsn, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 10000)", [before])
        assert db.executor().fetch_one(pid)["pid"] != before


def test_a_dead_connection_is_told_from_a_live_one_without_asking(promin_dsn: str) -> None:
    with psycopg.connect(promin_dsn, autocommit=True) as admin:
        last_words = "SELECT state_change FROM pg_stat_activity WHERE pid = %s"
        connection = psycopg.connect(promin_dsn, autocommit=True)
        pid = connection.info.backend_pid
        before = admin.execute(last_words, [pid]).fetchone()
        assert not may_be_dead(connection)
        assert admin.execute(last_words, [pid]).fetchone() == before, "the server was asked"
        admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        until(lambda: may_be_dead(connection))
        connection.close()
        assert may_be_dead(connection)


def test_a_notification_is_no_death(twin: Twin, probe: Probe, promin_dsn: str) -> None:
    """Something waits on the socket of a healthy connection: it is asked, answers, and stays."""
    pid = probe(PID)
    with twin.pick(Database, AsyncDatabase).connect(promin_dsn, max_size=1) as db:
        db.executor().execute(probe("LISTEN news"))
        before = db.executor().fetch_one(pid)["pid"]
        with psycopg.connect(promin_dsn, autocommit=True) as other:
            other.execute("NOTIFY news")
        assert db.executor().fetch_one(pid)["pid"] == before


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_statements_go_on_while_the_server_restarts(twin: Twin, probe: Probe, how: str) -> None:
    statement = probe("SELECT %(n)s::int AS n", idempotent=True)
    seen: list[int] = []
    stop = threading.Event()
    with (
        postgres_server(server="own") as server,
        twin.pick(Database, AsyncDatabase).connect(server.dsn, max_size=2) as db,
    ):
        executor = db.executor()

        def work() -> None:
            while not stop.is_set():
                seen.append(executor.fetch_one(statement, {"n": len(seen)})["n"])

        worker = threading.Thread(target=work)
        worker.start()
        try:
            until(lambda: len(seen) > 20)
            server.restart() if how == "restart" else server.kill()
            after = len(seen)
            until(lambda: len(seen) > after + 20 or not worker.is_alive())
        finally:
            stop.set()
            worker.join()
    assert len(seen) > after + 20
    assert seen == list(range(len(seen)))


def test_a_closed_pool_raises_at_once(twin: Twin, probe: Probe, promin_dsn: str) -> None:
    """Also for an idempotent statement: waiting does not open it."""
    pool = twin.pick(ConnectionPool, AsyncConnectionPool)(promin_dsn, open=False)
    with pytest.raises(PoolClosed):
        twin.pick(Database, AsyncDatabase)(pool).executor().execute(probe("SELECT 1 AS n", idempotent=True))


def test_a_pool_waits_for_as_long_as_it_was_told_to(twin: Twin, probe: Probe, promin_dsn: str) -> None:
    with (
        twin.pick(Database, AsyncDatabase).connect(promin_dsn, max_size=1, timeout=0.1) as db,
        db.connection(),
        pytest.raises(PoolTimeout),
    ):
        db.executor().execute(probe("SELECT 1 AS n", idempotent=True))


def error(sqlstate: str) -> psycopg.Error:
    return psycopg.errors.lookup(sqlstate)()


LOST = ["57P01", "57P02", "57P03", "57P05", "08006"]
LOSSES = [psycopg.OperationalError(), psycopg.InterfaceError(), *map(error, LOST)]
ROLLED_BACK = [error("40001"), error("40P01")]
OTHERS = ["23505", "42601", "57014", "53300", "55P03", "25P03"]
FINAL = [psycopg.DataError(), PoolClosed(), TooManyRequests(), *map(error, OTHERS)]


@pytest.mark.parametrize("failure", LOSSES, ids=repr)
def test_a_loss_allows_another_try_to_what_is_idempotent(failure: psycopg.Error) -> None:
    assert is_connection_loss(failure)
    assert retry_pause(failure, idempotent=True, attempt=1, elapsed=0) is not None
    assert retry_pause(failure, idempotent=False, attempt=1, elapsed=0) is None


@pytest.mark.parametrize("failure", ROLLED_BACK, ids=repr)
def test_a_rollback_allows_another_try_to_everything(failure: psycopg.Error) -> None:
    assert not is_connection_loss(failure)
    assert retry_pause(failure, idempotent=False, attempt=1, elapsed=0) is not None


@pytest.mark.parametrize("failure", FINAL, ids=repr)
def test_another_error_is_final(failure: psycopg.Error) -> None:
    assert not is_connection_loss(failure)
    assert retry_pause(failure, idempotent=True, attempt=1, elapsed=0) is None


@pytest.mark.parametrize("failure", [*LOSSES, *ROLLED_BACK], ids=repr)
def test_trying_ends_at_the_deadline(failure: psycopg.Error) -> None:
    late = RETRY_FOR - 0.01
    pause = retry_pause(failure, idempotent=True, attempt=50, elapsed=late)
    assert pause is not None
    assert late + pause <= RETRY_FOR
    assert retry_pause(failure, idempotent=True, attempt=50, elapsed=RETRY_FOR) is None


def test_a_deadlock_costs_nobody_an_error(twin_db: Any, probe: Probe, promin_dsn: str) -> None:
    """Two statements lock two rows crosswise; the server ends one of them, and it goes again."""
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE tries")
        connection.execute("CREATE TABLE item (n int PRIMARY KEY, hits int NOT NULL DEFAULT 0)")
        connection.execute("INSERT INTO item (n) SELECT generate_series(1, 2)")
        hit = probe(
            "WITH one AS MATERIALIZED (SELECT nextval('tries') FROM item WHERE n = %(a)s::int FOR UPDATE),"
            " pause AS MATERIALIZED (SELECT pg_sleep(0.3) FROM one)"
            " UPDATE item SET hits = hits + 1 FROM pause WHERE n = %(b)s::int"
        )
        with ThreadPoolExecutor() as threads:
            pairs = [{"a": 1, "b": 2}, {"a": 2, "b": 1}]
            assert list(threads.map(lambda pair: twin_db.executor().execute(hit, pair), pairs)) == [1, 1]
        assert connection.execute("SELECT sum(hits) FROM item").fetchone() == (2,)
        assert connection.execute("SELECT last_value FROM tries").fetchone() == (3,)
