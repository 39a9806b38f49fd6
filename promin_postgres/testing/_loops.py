"""An AsyncDatabase for synchronous fixtures: closed on the event loop that opened it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg_pool import AsyncConnectionPool

from promin_postgres.database import AsyncDatabase

_CLOSE_SECONDS = 10.0
_POOL_LOGGER = logging.getLogger("psycopg.pool")


class _LoopDatabase(AsyncDatabase):
    """Closes itself when its event loop ends, and can be opened again on another one.

    An event loop ends by cancelling its tasks and waiting for them. The workers of a pool outlive being cancelled while
    they open a connection: `asyncio.run` would wait for a pool that was left open for ever.
    """

    loop: asyncio.AbstractEventLoop | None = None
    _keeper: asyncio.Task[None] | None = None

    async def _open(self) -> AsyncConnectionPool[Any]:
        loop = asyncio.get_running_loop()
        if self.loop is not loop:
            self.loop = loop
            self._keeper = loop.create_task(self._keep(loop), name="promin-postgres-keeper")
        return await super()._open()

    async def _keep(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            await loop.create_future()
        finally:
            # Workers that were cancelled, too, make this one think that it was; by then the others know to stop.
            with contextlib.suppress(asyncio.CancelledError):
                await self._forget_loop()

    async def close(self) -> None:
        keeper = self._keeper
        await self._forget_loop()
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])

    async def _forget_loop(self) -> None:
        if self.loop is not None:
            self.loop = self._keeper = None
            await super().close()


def _forget_frames(record: logging.LogRecord) -> bool:
    # The pool logs that it was cancelled in the middle of a log-in. pytest keeps what was logged: the exception, its
    # frames, the half-open connection. The server would wait for the rest of it, and DROP DATABASE for the server.
    for argument in record.args if isinstance(record.args, tuple) else ():
        if isinstance(argument, asyncio.CancelledError):
            argument.__traceback__ = argument.__context__ = None
    return True


@contextmanager
def lazy_database(dsn: str) -> Iterator[AsyncDatabase]:
    """An AsyncDatabase that opens at its first use, and is closed afterwards if it was left open."""
    db = _LoopDatabase.connect(dsn)
    assert isinstance(db, _LoopDatabase)
    _POOL_LOGGER.addFilter(_forget_frames)
    try:
        yield db
    finally:
        _POOL_LOGGER.removeFilter(_forget_frames)
        loop = db.loop
        if loop is not None and loop.is_running():
            asyncio.run_coroutine_threadsafe(db.close(), loop).result(_CLOSE_SECONDS)
        elif loop is not None and not loop.is_closed():
            loop.run_until_complete(db.close())
