"""Cursors are kept for one statement of one open connection each, and lent to one at a time."""

from types import SimpleNamespace

from promin_postgres.database._cursors import Cursors


class Connection:
    """What is asked of one."""

    def __init__(self) -> None:
        self.closed = False
        self.settings = {b"client_encoding": b"UTF8"}
        self.pgconn = SimpleNamespace(parameter_status=self.settings.get)


def test_who_takes_a_cursor_has_it_alone() -> None:
    cursors, connection = Cursors[str](), Connection()
    assert cursors.take(connection, "steps/claim") is None
    cursors.keep(connection, "steps/claim", "kept", rows=1)
    assert cursors.take(Connection(), "steps/claim") is None
    assert cursors.take(connection, "steps/settle") is None
    assert cursors.take(connection, "steps/claim") == "kept"
    assert cursors.take(connection, "steps/claim") is None


def test_another_encoding_needs_another_cursor() -> None:
    cursors, connection = Cursors[str](), Connection()
    cursors.keep(connection, "steps/claim", "kept", rows=1)
    connection.settings[b"client_encoding"] = b"LATIN1"
    assert cursors.take(connection, "steps/claim") is None


def test_a_large_result_is_not_kept_in_memory() -> None:
    cursors, connection = Cursors[str](), Connection()
    cursors.keep(connection, "steps/claim", "kept", rows=1_001)
    assert cursors.take(connection, "steps/claim") is None


def test_closed_connections_are_forgotten() -> None:
    cursors, connections = Cursors[str](), [Connection() for _ in range(3)]
    for connection in connections[:2]:
        cursors.keep(connection, "steps/claim", "kept", rows=1)
    connections[0].closed = True
    cursors.keep(connections[2], "steps/claim", "kept", rows=1)
    assert list(cursors._kept) == connections[1:]
