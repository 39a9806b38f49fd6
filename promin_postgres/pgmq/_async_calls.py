"""AsyncPgmq: runs the statements of pgmq on a database, chosen by what its pgmq offers."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from promin_postgres._statement import Statement
from promin_postgres.database import AsyncDatabase, AsyncDatabaseSource, AsyncExecutor
from promin_postgres.errors import ConfigurationError
from promin_postgres.pgmq._features import Features
from promin_postgres.pgmq._statements import PROBE


class AsyncPgmq:
    """The pgmq of a database. What it offers is asked for once, and again before something is said to be missing."""

    def __init__(self, db: AsyncDatabase, source: object) -> None:
        self.db = db
        self._source = source

    @classmethod
    @asynccontextmanager
    async def borrow(cls, source: AsyncDatabaseSource) -> AsyncIterator[AsyncPgmq]:
        """That of `source`, for one piece of work."""
        async with AsyncDatabase.borrow(source) as db:
            yield cls(db, db if isinstance(source, str) else source)

    async def run(
        self, statement: Statement, params: Mapping[str, Any] | None = None, *, connection: Any = None
    ) -> list[dict[str, Any]]:
        """The rows of a statement.

        Raises:
            ConfigurationError: There is no pgmq here, or one too old; the statement was not sent.
        """
        features = await self._offering((statement,), connection)
        if not features.offers(statement):
            raise features.missing(statement)
        return await AsyncExecutor(self.db, features.names).fetch_all(statement, params, connection=connection)

    async def pick(self, *statements: Statement, connection: Any = None) -> Statement:
        """The first statement that can run here, newest first. Raises ConfigurationError as `run` does."""
        found = await self.find(*statements, connection=connection)
        if found is None:
            raise (await self._features(connection)).missing(statements[-1])
        return found

    async def find(self, *statements: Statement, connection: Any = None) -> Statement | None:
        """The first statement that can run here, or None."""
        features = await self._offering(statements, connection)
        return next((statement for statement in statements if features.offers(statement)), None)

    async def require(self, statement: Statement, *, given: str, connection: Any = None) -> None:
        """Raise ConfigurationError if an argument asks for what the pgmq here does not have."""
        features = await self._offering((statement,), connection)
        if not features.offers(statement):
            raise features.missing(statement, given=given)

    async def require_partman(self, connection: Any = None) -> None:
        """Raise ConfigurationError unless there is pg_partman."""
        features = await self._features(connection)
        if features.is_installed and "pg_partman" not in features.offered:
            features = await self._features(connection, again=True)
            if "pg_partman" not in features.offered:
                raise ConfigurationError("partitioned queues need pg_partman: run CREATE EXTENSION pg_partman")

    async def _offering(self, statements: tuple[Statement, ...], connection: Any) -> Features:
        """What is offered, asked for anew when none of the statements is: pgmq may have been updated meanwhile."""
        features = _FEATURES.get(self._source)
        if features is None or not any(features.offers(statement) for statement in statements):
            features = await self._features(connection, again=True)
        return features

    async def _features(self, connection: Any, *, again: bool = False) -> Features:
        features = _FEATURES.get(self._source)
        if features is None or again:
            rows = await self.db.executor().fetch_all(PROBE, connection=connection)
            features = _FEATURES[self._source] = Features.of(rows)
        return features


_FEATURES: weakref.WeakKeyDictionary[object, Features] = weakref.WeakKeyDictionary()
