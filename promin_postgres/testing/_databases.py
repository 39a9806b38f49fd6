"""Databases on a test server: made, cloned from a template, dropped."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from promin_postgres._statement import SqlNames, Statement
from promin_postgres.testing import _statements

_T = TypeVar("_T")
_FILE_COPY_SINCE = 150_000
_DROP_ATTEMPTS = 5


class Databases:
    """One connection to the maintenance database, opened when it is first needed, and again after it was lost."""

    def __init__(self, dsn: str, *, is_durable: bool) -> None:
        self.dsn = dsn
        self._is_durable = is_durable
        self._lock = threading.RLock()
        self._connection: psycopg.Connection[Any] | None = None
        self._process = os.getpid()

    @property
    def version(self) -> int:
        """The server's version as libpq counts it: 150004 is 15.4."""
        with self._lock:
            return self._connect().info.server_version

    def dsn_for(self, name: str) -> str:
        scheme, separator, rest = self.dsn.partition("://")
        address, slash, tail = rest.partition("/")
        if separator and slash and name.isidentifier() and name.isascii() and "dbname=" not in tail:
            # A URL stays a URL: other tools understand nothing else.
            _, question_mark, options = tail.partition("?")
            return f"{scheme}://{address}/{name}{question_mark}{options}"
        return make_conninfo(self.dsn, dbname=name)

    def create(self, name: str, template: str | None = None) -> None:
        if template is None:
            self.run(_statements.CREATE_DATABASE, database=name)
        elif self.version < _FILE_COPY_SINCE or self._is_durable:
            self.run(_statements.CLONE_DATABASE, database=name, template=template)
        else:
            self.run(_statements.CLONE_DATABASE_FILES, database=name, template=template)

    def drop(self, name: str) -> None:
        for attempt in range(_DROP_ATTEMPTS):
            try:
                return self.run(_statements.DROP_DATABASE, database=name)
            except psycopg.errors.ObjectInUse:
                if attempt == _DROP_ATTEMPTS - 1:
                    raise
                self.fetch(_statements.END_DECODING, database=name)
        return None

    def starting_with(self, beginning: str) -> Sequence[str]:
        return [row[0] for row in self.fetch(_statements.LIST_DATABASES, beginning=beginning)]

    def setting(self, name: str) -> str | None:
        """The value of a setting, or None where there is no such setting."""
        value: str | None = self.fetch(_statements.READ_SETTING, name=name)[0][0]
        return value

    def ensure_template(self, name: str, migrate: Callable[[str], object]) -> None:
        """Make the template `name`, unless another process made it: the others wait for the first one."""
        with self._alone(name):
            if self.fetch(_statements.FIND_DATABASE, database=name):
                return
            unfinished = name + "_new"
            self.drop(unfinished)
            self.create(unfinished)
            migrate(self.dsn_for(unfinished))
            self.run(_statements.SEAL_DATABASE, database=unfinished)
            self.run(_statements.RENAME_DATABASE, database=unfinished, new_name=name)

    def run(self, statement: Statement, **names: str) -> None:
        """Run a statement whose tokens are identifiers."""
        query = SqlNames(extra={token: sql.Identifier(name) for token, name in names.items()}).render(statement)
        self._repeated(lambda connection: connection.execute(query))

    def fetch(self, statement: Statement, **values: object) -> list[tuple[Any, ...]]:
        """Run a statement whose parameters are values."""
        query = SqlNames().render(statement)
        return self._repeated(lambda connection: connection.execute(query, values).fetchall())

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None and os.getpid() == self._process:
                connection.close()

    def _repeated(self, run: Callable[[psycopg.Connection[Any]], _T]) -> _T:
        with self._lock:
            try:
                return self._once(run)
            except psycopg.OperationalError:
                if self._connection is None or not self._connection.broken:
                    raise
                return self._once(run)

    def _once(self, run: Callable[[psycopg.Connection[Any]], _T]) -> _T:
        connection = self._connect()
        try:
            return run(connection)
        except psycopg.Error:
            raise
        except BaseException:
            connection.close()  # interrupted in the middle of a statement: nobody will read its answer
            raise

    def _connect(self) -> psycopg.Connection[Any]:
        if os.getpid() != self._process:
            self._process = os.getpid()
            self._connection = None
        if self._connection is None or self._connection.broken or self._connection.closed:
            self._connection = psycopg.connect(self.dsn, autocommit=True, application_name="promin_postgres.testing")
        return self._connection

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with self._lock:
            self.fetch(_statements.LOCK_TEMPLATE, name=name)
            try:
                yield
            finally:
                with contextlib.suppress(psycopg.OperationalError):
                    self.fetch(_statements.UNLOCK_TEMPLATE, name=name)
