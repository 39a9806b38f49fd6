"""The pytest plugin: a server per run, and a migrated database for each test that asks for one.

    def test_publish(promin_db):
        PgQueue(promin_db).publish("orders", {"id": 1})

pytest loads it in every run where promin-postgres is installed, so no launcher is imported before it is used.
Under xdist the process that hands out the tests owns the server, and starts it when the first worker asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from promin_postgres.database import AsyncDatabase, Database
    from promin_postgres.testing._servers import PostgresServer
    from promin_postgres.testing._sharing import Sharing

_TICKET = "promin_postgres_ticket"
_sharing_key: pytest.StashKey[Sharing] = pytest.StashKey()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give an xdist worker the ticket by which it asks for the server."""
    from promin_postgres.testing._sharing import Sharing

    stash = node.config.stash
    if _sharing_key not in stash:
        stash[_sharing_key] = Sharing()
    node.workerinput[_TICKET] = stash[_sharing_key].ticket


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server that xdist workers shared."""
    sharing = config.stash.get(_sharing_key, None)
    if sharing is not None:
        del config.stash[_sharing_key]
        sharing.close()


@pytest.fixture(scope="session")
def promin_server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole run, as `postgres_server()` finds it; xdist workers share it."""
    from promin_postgres.testing._sharing import shared_server

    worker_input = getattr(request.config, "workerinput", {})
    with shared_server(worker_input.get(_TICKET)) as server:
        yield server


@pytest.fixture(scope="session")
def promin_migrate() -> Callable[[str], object]:
    """What makes the template: called once per run, with the connection string of an empty database.

    Override it in the top conftest.py to add tables of your own.
    """
    from promin_postgres.migrator import migrate

    return migrate


@pytest.fixture(scope="session")
def promin_template(promin_server: PostgresServer, promin_migrate: Callable[[str], object]) -> str:
    """The name of the migrated database that the databases of tests are clones of."""
    return promin_server.template(promin_migrate)


@pytest.fixture
def promin_dsn(promin_server: PostgresServer, promin_template: str) -> Iterator[str]:
    """The connection string of a migrated database of the test's own, dropped after the test."""
    name = promin_server.new_name()
    dsn = promin_server.create_database(name, template=promin_template)
    yield dsn
    promin_server.drop_database(name)


@pytest.fixture
def promin_db(promin_dsn: str) -> Iterator[Database]:
    """A migrated database of the test's own, as a Database."""
    from promin_postgres.database import Database

    with Database.connect(promin_dsn) as db:
        yield db


@pytest.fixture
def promin_async_db(promin_dsn: str) -> Iterator[AsyncDatabase]:
    """A migrated database of the test's own, as an AsyncDatabase.

    It opens at its first use, on the event loop that uses it: so it needs no async plugin, and works with each of them.
    """
    from promin_postgres.testing._loops import lazy_database

    with lazy_database(promin_dsn) as db:
        yield db
