"""A running PostgreSQL for development and tests, whoever started it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Literal, Protocol

from promin_postgres.errors import ConfigurationError, InvalidArgument
from promin_postgres.testing._databases import Databases

ServerKind = Literal["external", "docker", "local", "embedded"]
_LONGEST_NAME = 59  # NAMEDATALEN less 1, and less the mark of a template that is not finished


class Backend(Protocol):
    """What holds a server of our own."""

    dsn: str

    def stop_and_start(self, mode: str) -> None: ...

    def close(self) -> None: ...


class PostgresServer:
    """A PostgreSQL for development and tests, as `postgres_server` gives it.

    `dsn` leads to its maintenance database as a role that may create databases (on servers of our own: the superuser),
    `kind` says where it came from.
    """

    def __init__(
        self, dsn: str, *, kind: ServerKind, is_durable: bool = True, run: str | None = None, backend: Backend | None
    ) -> None:
        self.dsn = dsn
        self.kind: ServerKind = kind
        self.is_durable = is_durable
        self.run = run or secrets.token_hex(8)
        self._backend = backend
        self._databases = Databases(dsn, is_durable=is_durable)
        self._named: set[str] = set()

    def __repr__(self) -> str:
        return f"<PostgresServer {self.kind} {self.run}>"

    @property
    def version(self) -> int:
        """The server's version as libpq counts it: 150004 is 15.4."""
        return self._databases.version

    def setting(self, name: str) -> str | None:
        """The value of a setting as SHOW gives it; None where there is no such setting."""
        return self._databases.setting(name)

    def dsn_for(self, database: str) -> str:
        """The connection string of another database on this server."""
        return self._databases.dsn_for(database)

    def new_name(self) -> str:
        """A name for a database that nobody has and nobody can guess."""
        return f"{self._prefix}{secrets.token_hex(8)}"

    def create_database(self, name: str | None = None, *, template: str | None = None) -> str:
        """Create a database and return its connection string.

        Args:
            name: its name; without one it gets a name that nobody can guess.
            template: the database to clone; nobody may be connected to it.

        Raises:
            psycopg.errors.DuplicateDatabase: the name is taken.
        """
        name = self.new_name() if name is None else name
        _check_name(name)
        self._databases.create(name, template)
        self._named.add(name)
        return self.dsn_for(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, if it is there, and end the sessions in it."""
        self._databases.drop(name)
        self._named.discard(name)

    def template(self, migrate: Callable[[str], object], *, name: str = "template") -> str:
        """The name of a database to clone, made once per run whichever process asks first.

        Args:
            migrate: called with the connection string of the empty database; it must leave no connection open.
            name: tells several templates of one run apart.
        """
        full_name = f"{self._prefix}{name}"
        _check_name(full_name)
        self._databases.ensure_template(full_name, migrate)
        return full_name

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server and start it again, at the same address and on the same data.

        Args:
            mode: "fast" ends sessions and writes a checkpoint, "immediate" recovers from the WAL afterwards.

        Raises:
            ConfigurationError: this server is not ours, or is shared with other tests; or it does not come up again.
        """
        if mode not in ("fast", "immediate"):
            raise InvalidArgument("mode", mode, 'must be "fast" or "immediate"')
        self._stop_and_start(mode)

    def kill(self) -> None:
        """Kill the server with SIGKILL, as a crash would, and start it again. Raises as `restart` does."""
        self._stop_and_start("kill")

    def close(self) -> None:
        """Drop what this run made on a server that stays; take a server of our own down."""
        try:
            if self._backend is None:
                for name in [*self._named]:
                    self.drop_database(name)
        finally:
            self._databases.close()
            if self._backend is not None:
                self._backend.close()

    def drop_run(self) -> None:
        """Drop every database of this run, those of other processes included."""
        for name in self._databases.starting_with(self._prefix):
            self.drop_database(name)

    @property
    def _prefix(self) -> str:
        return f"promin_{self.run}_"

    def _stop_and_start(self, mode: str) -> None:
        if self._backend is None:
            raise ConfigurationError(
                f'this {self.kind} server is not ours alone to stop: take one by postgres_server(server="own")'
            )
        self._databases.close()
        self._backend.stop_and_start(mode)


def _check_name(name: str) -> None:
    # The server would cut it, and nobody would find the database under its name.
    if not name or "\0" in name or len(name.encode()) > _LONGEST_NAME:
        raise InvalidArgument("name", name, f"must have 1 to {_LONGEST_NAME} bytes, and none of them NUL")
