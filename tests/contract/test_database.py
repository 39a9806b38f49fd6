"""A database is whatever the caller has, and what runs on it commits, joins and rolls back as it should."""

import asyncio
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from _probe import Probe, probe
from _twins import Twin
from psycopg import AsyncConnection, Connection
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from promin_postgres.database import AsyncDatabase, Database
from promin_postgres.errors import ConfigurationError, InvalidArgument

__all__ = ["probe"]


@pytest.fixture
def outside(promin_dsn: str) -> Iterator[Connection[Any]]:
    """Another session, which sees only what was committed."""
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE item (n int PRIMARY KEY)")
        yield connection


def items(outside: Connection[Any]) -> list[int]:
    return [n for (n,) in outside.execute("SELECT n FROM item ORDER BY n").fetchall()]


@pytest.fixture
def kinds(twin: Twin) -> Any:
    """Database, pool and connection of the twin at hand."""

    class Kinds:
        database = twin.pick(Database, AsyncDatabase)
        pool = twin.pick(ConnectionPool, AsyncConnectionPool)
        connection = twin.pick(Connection, AsyncConnection)

    return Kinds


INSERT = "INSERT INTO item (n) VALUES (%(n)s::int)"


def test_a_statement_gives_rows_and_counts(twin_db: Any, probe: Probe, outside: Any) -> None:
    executor = twin_db.executor()
    assert executor.execute(probe("INSERT INTO item (n) SELECT generate_series(1, 3)")) == 3
    assert executor.fetch_all(probe("SELECT n FROM item ORDER BY n DESC")) == [{"n": 3}, {"n": 2}, {"n": 1}]
    find = probe("SELECT n FROM item WHERE n = %(n)s::int")
    assert executor.fetch_one(find, {"n": 2}) == {"n": 2}
    assert executor.fetch_one(find, {"n": 4}) is None


@pytest.mark.parametrize("given", [None, {}, {"n": 1, "m": 2}, {"m": 1}])
def test_parameters_match_the_file_exactly(twin_db: Any, probe: Probe, given: Any) -> None:
    with pytest.raises(TypeError, match=r"test/0 takes \['n'\]"):
        twin_db.executor().execute(probe("SELECT %(n)s::int"), given)


def test_names_are_those_of_the_database_unless_given(kinds: Any, probe: Probe, promin_dsn: str) -> None:
    shown = probe("SELECT '{prefix}' AS text")
    with kinds.database.connect(promin_dsn, schema="s", table_prefix="p_") as db:
        names = [
            db.executor(**given).fetch_one(shown)["text"]
            for given in ({}, {"schema": "t"}, {"table_prefix": "q_"}, {"schema": "t", "table_prefix": "q_"})
        ]
    assert names == ['"s".p_', '"t".p_', '"s".q_', '"t".q_']


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_borrowed_pool_commits_each_statement(
    kinds: Any, probe: Probe, promin_dsn: str, outside: Any, autocommit: bool
) -> None:
    with kinds.pool(promin_dsn, min_size=1, open=False, kwargs={"autocommit": autocommit}) as pool:
        db = kinds.database.of(pool)
        db.executor().execute(probe(INSERT), {"n": 1})
        assert items(outside) == [1]
        db.close()
        assert not pool.closed, "what was borrowed is not closed"
        db.executor().execute(probe(INSERT), {"n": 2})
    assert items(outside) == [1, 2]


@pytest.mark.parametrize("autocommit", [True, False])
def test_an_idle_borrowed_connection_commits_each_statement(
    kinds: Any, probe: Probe, promin_dsn: str, outside: Any, autocommit: bool
) -> None:
    with kinds.connection.connect(promin_dsn, autocommit=autocommit) as connection:
        db = kinds.database.of(connection)
        assert db.is_connection
        db.executor().execute(probe(INSERT), {"n": 1})
        assert items(outside) == [1]
        with pytest.raises(psycopg.errors.UniqueViolation):
            db.executor().execute(probe(INSERT), {"n": 1})
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        db.close()
        assert not connection.closed


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_connection_in_a_transaction_keeps_it(
    kinds: Any, probe: Probe, promin_dsn: str, outside: Any, autocommit: bool
) -> None:
    with kinds.connection.connect(promin_dsn, autocommit=autocommit) as connection:
        connection.execute("BEGIN" if autocommit else "SELECT 1")
        db = kinds.database.of(connection)
        db.executor().execute(probe(INSERT), {"n": 1})
        with db.transaction() as inner:
            inner.execute("INSERT INTO item (n) VALUES (2)")
        assert items(outside) == []
        connection.rollback()
        assert items(outside) == []
        connection.execute("BEGIN" if autocommit else "SELECT 1")
        db.executor().execute(probe(INSERT), {"n": 3})
        connection.commit()
    assert items(outside) == [3]


def test_a_block_commits_as_one_and_rolls_back_as_one(twin_db: Any, probe: Probe, outside: Any) -> None:
    executor = twin_db.executor()
    insert = probe(INSERT)
    with twin_db.transaction() as connection:
        executor.execute(insert, {"n": 1}, connection=connection)
        executor.execute(insert, {"n": 2}, connection=connection)
        assert items(outside) == []
    assert items(outside) == [1, 2]

    def fail() -> None:
        with twin_db.transaction() as connection:
            executor.execute(insert, {"n": 3}, connection=connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert items(outside) == [1, 2]


def test_a_thread_may_nest_blocks_and_others_wait(probe: Probe, promin_dsn: str, outside: Any) -> None:
    insert = probe(INSERT)
    with psycopg.connect(promin_dsn) as connection:
        db = Database(connection)
        with db.transaction():
            other = threading.Thread(target=db.executor().execute, args=(insert, {"n": 2}))
            other.start()
            db.executor().execute(insert, {"n": 1})
            with pytest.raises(psycopg.errors.UniqueViolation), db.transaction():
                db.executor().execute(insert, {"n": 1})
            assert db.executor().fetch_all(probe("SELECT n FROM item")) == [{"n": 1}]
        other.join()
    assert items(outside) == [1, 2]


def test_a_task_may_nest_blocks_and_others_wait(probe: Probe, promin_dsn: str, outside: Any) -> None:
    insert = probe(INSERT)

    async def main() -> None:
        async with await AsyncConnection.connect(promin_dsn) as connection:
            db = AsyncDatabase(connection)
            async with db.transaction():
                other = asyncio.create_task(db.executor().execute(insert, {"n": 2}))
                await db.executor().execute(insert, {"n": 1})
                with pytest.raises(psycopg.errors.UniqueViolation):
                    async with db.transaction():
                        await db.executor().execute(insert, {"n": 1})
                assert await db.executor().fetch_all(probe("SELECT n FROM item")) == [{"n": 1}]
            await other

    asyncio.run(main())
    assert items(outside) == [1, 2]


def test_an_error_does_not_cost_the_connection_its_prepared_statements(
    kinds: Any, probe: Probe, promin_dsn: str
) -> None:
    prepared = probe("SELECT count(*) AS n FROM pg_prepared_statements WHERE statement LIKE '/* test/%%'")
    with kinds.database.connect(promin_dsn, max_size=1, prepare_threshold=0) as db:
        executor = db.executor()
        executor.fetch_one(probe("SELECT %(n)s::int AS n"), {"n": 1})
        before = executor.fetch_one(prepared)["n"]
        assert before >= 1
        with pytest.raises(psycopg.errors.DivisionByZero):
            executor.execute(probe("SELECT 1 / %(n)s::int"), {"n": 0})
        assert executor.fetch_one(prepared)["n"] >= before


def test_without_a_threshold_nothing_is_prepared(kinds: Any, probe: Probe, promin_dsn: str) -> None:
    statement = probe("SELECT count(*) AS n FROM pg_prepared_statements WHERE %(n)s::int = 1")
    with kinds.database.connect(promin_dsn, max_size=1, prepare_threshold=None) as db:
        assert [db.executor().fetch_one(statement, {"n": 1})["n"] for _ in range(10)] == [0] * 10


def test_values_read_the_same_whatever_the_connection_is_set_to(kinds: Any, probe: Probe, promin_dsn: str) -> None:
    with kinds.connection.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("SET datestyle = 'German'")
        connection.execute("SET intervalstyle = 'sql_standard'")
        row = (
            kinds.database(connection)
            .executor()
            .fetch_one(probe("SELECT timestamptz '2030-01-02 03:04:05+00' AS at, interval '3 days 02:00' AS span"))
        )
    assert row == {"at": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), "span": timedelta(days=3, hours=2)}


def test_another_encoding_is_noticed(kinds: Any, probe: Probe, promin_dsn: str) -> None:
    measure = probe("SELECT length(%(text)s::text), length((%(texts)s::text[])[1])")
    with kinds.connection.connect(promin_dsn, autocommit=True) as connection:
        executor = kinds.database.of(connection).executor()
        for encoding in ("UTF8", "LATIN1", "UTF8"):
            connection.execute(f"SET client_encoding TO {encoding}")
            assert executor.fetch_tuples(measure, {"text": "für", "texts": ["für"]}) == [(3, 3)]


def test_a_dedicated_connection_is_outside_the_pool(kinds: Any, promin_dsn: str) -> None:
    with (
        kinds.database.connect(promin_dsn, max_size=1, timeout=1) as db,
        db.dedicated() as first,
        db.dedicated() as second,
        db.connection() as pooled,
    ):
        assert first.autocommit
        assert len({connection.info.backend_pid for connection in (first, second, pooled)}) == 3


def test_listening_goes_to_the_direct_conninfo(kinds: Any, promin_dsn: str) -> None:
    direct = f"{promin_dsn}{'&' if '?' in promin_dsn else '?'}application_name=direct"
    with kinds.database.connect(promin_dsn, listen_dsn=direct) as db, db.dedicated() as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("direct",)
        assert (db.conninfo, db.listen_conninfo) == (promin_dsn, direct)


def test_the_conninfo_of_what_was_borrowed_leads_to_the_same_place(kinds: Any, promin_dsn: str) -> None:
    where = "SELECT current_database(), current_user"
    with psycopg.connect(promin_dsn) as connection:
        here = connection.execute(where).fetchone()
    sources = [
        kinds.connection.connect(promin_dsn),
        kinds.pool(promin_dsn, open=False),
        kinds.pool("", open=False, kwargs={**psycopg.conninfo.conninfo_to_dict(promin_dsn), "autocommit": True}),
    ]
    for source in sources:
        with psycopg.connect(kinds.database.of(source).conninfo) as connection:
            assert connection.execute(where).fetchone() == here
        source.close()


@pytest.mark.parametrize("source", [None, 5, object(), b"host=x", ""])
def test_what_is_no_database_is_refused(kinds: Any, source: Any) -> None:
    with pytest.raises(InvalidArgument):
        kinds.database.of(source)


def test_the_other_twins_connection_is_refused(
    twin: Twin, kinds: Any, twin_db: Any, probe: Probe, promin_dsn: str
) -> None:
    other = Twin("sync" if twin.is_async else "async")
    with other.pick(Connection, AsyncConnection).connect(promin_dsn) as connection:
        bare = getattr(connection, "_target", connection)
        with pytest.raises(InvalidArgument, match="db="):
            kinds.database.of(bare)
        with pytest.raises(InvalidArgument, match="connection="):
            twin_db.executor().execute(probe("SELECT 1 AS n"), connection=bare)
    other.close()


@pytest.mark.parametrize("prefix", ["WF_", "a-b", ""])
def test_a_malformed_prefix_is_refused_before_anything_is_opened(kinds: Any, promin_dsn: str, prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="table_prefix"):
        kinds.database.connect(promin_dsn, table_prefix=prefix)


def test_a_closed_database_opens_again_at_the_next_use(kinds: Any, probe: Probe, promin_dsn: str) -> None:
    one = probe("SELECT 1 AS one")
    db = kinds.database.connect(promin_dsn)
    db.close()
    for _ in range(2):
        assert db.executor().fetch_one(one) == {"one": 1}
        db.close()
        db.close()


SECRET = "hunter2"


@pytest.mark.parametrize(
    "conninfo",
    [
        f"host=127.0.0.1 password=my {SECRET}",
        f"postgresql://user:{SECRET}%zz@127.0.0.1/",
        f"postgresql://user:{SECRET}@[127.0.0.1/",
        f"postgresql://127.0.0.1/?password={SECRET}=x",
        f"host=127.0.0.1 pasword='{SECRET}'",
        f'passw"{SECRET}" host',
        f"password='{SECRET}",
    ],
)
def test_a_malformed_conninfo_is_refused_without_showing_it(kinds: Any, conninfo: str) -> None:
    connect = kinds.database.connect
    for make in (connect, kinds.database.of, lambda text: connect("host=127.0.0.1", listen_dsn=text)):
        with pytest.raises(ConfigurationError, match=r"(conninfo|listen_dsn) is no connection string: ") as caught:
            make(conninfo)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("odd", [f"postgresql://user:{SECRET}@127.0.0.1/", f"password={SECRET}".encode()])
def test_a_conninfo_in_the_wrong_place_is_not_shown(kinds: Any, odd: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"db=<class '(str|bytes)'>") as caught:
        kinds.database(odd)
    assert SECRET not in str(caught.value)


def test_a_server_that_does_not_answer_is_told_without_the_password(
    kinds: Any, probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    conninfo = f"postgresql://user:{SECRET}@127.0.0.1:1/nowhere"
    db = kinds.database.connect(conninfo)
    with pytest.raises(psycopg.OperationalError) as caught:
        db.executor().execute(probe("SELECT 1 AS n"))
    told = [repr(db), repr(db.executor()), caplog.text, *traceback.format_exception(caught.value)]
    assert "127.0.0.1" in str(caught.value), "the error says where nobody answered, and at once"
    assert SECRET not in "".join(told)
