"""`connection=` takes what callers hold: SQLAlchemy's and Django's connections, and what is written there is theirs."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from _probe import Probe, probe
from psycopg import Connection
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from promin_postgres.database import AsyncDatabase, AsyncExecutor, Database, Executor
from promin_postgres.errors import InvalidArgument

__all__ = ["probe"]

INSERT = "INSERT INTO item (n) VALUES (%(n)s::int)"


@pytest.fixture
def outside(promin_dsn: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE item (n int PRIMARY KEY)")
        yield connection


def items(outside: Connection[Any]) -> list[int]:
    return [n for (n,) in outside.execute("SELECT n FROM item ORDER BY n").fetchall()]


def url(dsn: str) -> str:
    return "postgresql+psycopg" + dsn.removeprefix("postgresql")


@pytest.fixture
def engine(promin_dsn: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url(promin_dsn))
    yield engine
    engine.dispose()


@pytest.fixture
def executor(promin_db: Database) -> Executor:
    return promin_db.executor()


@pytest.mark.parametrize("hold", [sa.Engine.connect, Session, lambda engine: scoped_session(sessionmaker(engine))])
@pytest.mark.parametrize("statement_first", [True, False])
def test_sqlalchemy(
    engine: sa.Engine, executor: Executor, probe: Probe, outside: Any, hold: Any, statement_first: bool
) -> None:
    """Also when nothing but our statement ran: SQLAlchemy would not commit a transaction it does not know of."""
    insert, held = probe(INSERT), hold(engine)
    for n in (1, 2, 3):
        if statement_first:
            held.execute(sa.text("SELECT 1"))
        executor.execute(insert, {"n": n}, connection=held)
        seen = held.execute(sa.text("SELECT count(*) FROM item")).scalar() if statement_first else None
        assert seen in (None, len(items(outside)) + 1)
        held.rollback() if n == 2 else held.commit()
    held.close()
    assert items(outside) == [1, 3]


def test_sqlalchemy_in_a_block_of_its_own(engine: sa.Engine, executor: Executor, probe: Probe, outside: Any) -> None:
    insert = probe(INSERT)
    with engine.begin() as connection:
        executor.execute(insert, {"n": 1}, connection=connection)
        savepoint = connection.begin_nested()
        executor.execute(insert, {"n": 2}, connection=connection)
        savepoint.rollback()
    assert items(outside) == [1]


def test_sqlalchemy_asynchronous(promin_dsn: str, probe: Probe, outside: Any) -> None:
    insert = probe(INSERT)

    async def write(executor: AsyncExecutor, held: Any, start: int) -> None:
        for n in range(start, start + 3):
            await executor.execute(insert, {"n": n}, connection=held)
            await (held.rollback() if n == start + 1 else held.commit())
        await held.close()

    async def main() -> None:
        engine = create_async_engine(url(promin_dsn))
        async with AsyncDatabase.connect(promin_dsn) as db:
            await write(db.executor(), await engine.connect(), 1)
            await write(db.executor(), AsyncSession(engine), 11)
            await write(db.executor(), async_scoped_session(async_sessionmaker(engine), asyncio.current_task), 21)
        await engine.dispose()

    asyncio.run(main())
    assert items(outside) == [1, 3, 11, 13, 21, 23]


def test_sqlalchemy_on_another_driver_is_refused(executor: Executor, probe: Probe) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(InvalidArgument, match="connection="):
        executor.execute(probe("SELECT 1 AS n"), connection=connection)
    engine.dispose()


@pytest.mark.parametrize("odd", [5, "dbname=x", object()])
def test_what_is_no_connection_is_refused(executor: Executor, probe: Probe, odd: Any) -> None:
    with pytest.raises(InvalidArgument, match="connection="):
        executor.execute(probe("SELECT 1 AS n"), connection=odd)


def test_nothing_is_sent_again_on_the_callers_connection(promin_dsn: str, executor: Executor, probe: Probe) -> None:
    kill = probe("SELECT pg_terminate_backend(pg_backend_pid())", idempotent=True)
    with psycopg.connect(promin_dsn) as connection, pytest.raises(psycopg.OperationalError):
        executor.execute(kill, connection=connection)


DJANGO = """
import sys
import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

given = conninfo_to_dict(sys.argv[1])
options = {"sslmode": given["sslmode"]} if "sslmode" in given else {}
settings.configure(
    USE_TZ=False,
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": given["dbname"], "USER": given["user"],
        "PASSWORD": given.get("password", ""), "HOST": given["host"], "PORT": given["port"], "OPTIONS": options,
    }},
)
django.setup()
from django.db import connection, transaction
from promin_postgres import _statement
from promin_postgres._statement import Statement
from promin_postgres.database import Database

TEXTS = {
    "test/insert": "INSERT INTO item (n) VALUES (%(n)s::int)",
    "test/read": "SELECT timestamptz '2030-01-01Z' AS at, %(span)s::interval AS span, '{\\"a\\": 1}'::json AS j",
}
_statement.read_sql = lambda name: ("", TEXTS[name])
INSERT, READ = Statement("test/insert"), Statement("test/read")
executor = Database.connect(sys.argv[1]).executor()
"""


def django(code: str, dsn: str) -> None:
    """Run code in a process of its own: Django is set up once per process."""
    script = DJANGO + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", script, dsn], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_django(promin_dsn: str, outside: Any) -> None:
    django(
        """
        executor.execute(INSERT, {"n": 1}, connection=connection)
        with transaction.atomic():
            executor.execute(INSERT, {"n": 2}, connection=connection)
        try:
            with transaction.atomic():
                executor.execute(INSERT, {"n": 3}, connection=connection)
                raise KeyError
        except KeyError:
            pass
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO item (n) VALUES (4)")
        """,
        promin_dsn,
    )
    assert items(outside) == [1, 2, 4]


def test_django_reads_types_its_own_way_and_we_ours(promin_dsn: str) -> None:
    """Django without time zones makes moments naive, and reads json as text."""
    django(
        """
        from datetime import datetime, timedelta, timezone
        row = executor.fetch_one(READ, {"span": timedelta(hours=1)}, connection=connection)
        assert row == {"at": datetime(2030, 1, 1, tzinfo=timezone.utc), "span": timedelta(hours=1), "j": {"a": 1}}, row
        with connection.cursor() as cursor:
            cursor.execute("SELECT timestamptz '2030-01-01 00:00+00'")
            assert cursor.fetchone()[0].tzinfo is None
        """,
        promin_dsn,
    )
