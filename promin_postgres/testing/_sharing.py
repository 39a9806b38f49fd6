"""One server for all workers of a pytest run.

The process that hands out the tests listens on a loopback port from the start, which costs a socket and a sleeping
thread, and starts the server when the first worker asks for it. It outlives every worker, whatever becomes of them.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from promin_postgres.errors import ServerNotFound

if TYPE_CHECKING:
    from promin_postgres.testing._servers import PostgresServer

_TOKEN_SECONDS = 5.0
_ENOUGH = 65_536


class Sharing:
    """The side that owns the server."""

    def __init__(self) -> None:
        self._token = secrets.token_hex(16)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._port: int = self._listener.getsockname()[1]
        self._is_closing = False
        self._server: dict[str, Any] | None = None
        self._resources = ExitStack()
        self._thread = threading.Thread(target=self._serve, name="promin-postgres-sharing", daemon=True)
        self._thread.start()

    @property
    def ticket(self) -> dict[str, Any]:
        """What a worker needs in order to ask; of plain types, as xdist wants it."""
        return {"port": self._port, "token": self._token}

    def close(self) -> None:
        """Stop the server, if it was ever started. A start that is under way is waited for."""
        self._is_closing = True
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self._port), _TOKEN_SECONDS).close()
        self._thread.join()
        self._resources.close()

    def _serve(self) -> None:
        # When the listener goes, those who wait for an answer are told so.
        with self._listener:
            while not self._is_closing:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(OSError):
                    self._attend(connection)

    def _attend(self, connection: socket.socket) -> None:
        connection.settimeout(_TOKEN_SECONDS)
        with connection.makefile("rb") as words:
            token = words.readline(_ENOUGH).strip()
        # Other users of this machine can connect, too: the answer holds a password.
        if hmac.compare_digest(token, self._token.encode()):
            connection.sendall(json.dumps(self._answer()).encode())

    def _answer(self) -> dict[str, Any]:
        if self._server is None:
            try:
                server = self._resources.enter_context(_own_server())
            except Exception as error:  # noqa: BLE001 - it is for the worker to raise
                return {"error": f"{error}"}
            self._server = _facts(server)
        return self._server


@contextmanager
def shared_server(ticket: Mapping[str, Any] | None) -> Iterator[PostgresServer]:
    """The server of this run: that of the process which issued the ticket, or else one of our own."""
    with ExitStack() as resources:
        facts = None if ticket is None else _ask(ticket)
        if facts is None:
            facts = _facts(resources.enter_context(_own_server()))
        from promin_postgres.testing._servers import PostgresServer

        # Without its backend: a test that stops the server of all others would fail them, under xdist by chance.
        shared = PostgresServer(**facts, backend=None)
        resources.callback(shared.close)
        yield shared


@contextmanager
def _own_server() -> Iterator[PostgresServer]:
    from promin_postgres.testing._launch import postgres_server

    with postgres_server() as server:
        try:
            yield server
        finally:
            if server.kind == "external":
                server.drop_run()


def _facts(server: PostgresServer) -> dict[str, Any]:
    return {"dsn": server.dsn, "kind": server.kind, "is_durable": server.is_durable, "run": server.run}


def _ask(ticket: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        connection = socket.create_connection(("127.0.0.1", ticket["port"]), _TOKEN_SECONDS)
    except OSError:
        return None  # a worker on another machine
    text = b""
    with connection, contextlib.suppress(ConnectionError):
        connection.settimeout(None)  # an image may have to be pulled
        connection.sendall(ticket["token"].encode() + b"\n")
        with connection.makefile("rb") as answers:
            text = answers.read()
    if not text:
        raise ServerNotFound("the process that hands out the tests did not give an answer")
    facts: dict[str, Any] = json.loads(text)
    if "error" in facts:
        raise ServerNotFound(facts["error"])
    return facts
