"""What the pgmq of a database offers, and what each statement needs of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from psycopg import sql

from promin_postgres._statement import SqlNames, Statement
from promin_postgres.errors import ConfigurationError

LATER_COLUMNS = ("headers", "last_read_at", "queue_visible_length", "default_partition_length")
"""What older versions do not return."""

_POLL = "text, integer, integer, integer, integer"
_TZ = "timestamp with time zone"

NEEDS: Mapping[str, tuple[str, str]] = {
    "archive": ("archive(text, bigint)", "1.4"),
    "archive_batch": ("archive(text, bigint[])", "1.4"),
    "bind_topic": ("bind_topic(text, text)", "1.11"),
    "create_fifo_index": ("create_fifo_index(text)", "1.9"),
    "create_partitioned_queue": ("create_partitioned(text, text, text)", "1.4"),
    "create_queue": ("create(text)", "1.4"),
    "create_unlogged_queue": ("create_unlogged(text)", "1.4"),
    "delete_batch": ("delete(text, bigint[])", "1.4"),
    "delete_message": ("delete(text, bigint)", "1.4"),
    "detach_archive": ("detach_archive(text)", "1.4 (and none from 2.0 on)"),
    "disable_notify": ("disable_notify_insert(text)", "1.7"),
    "drop_queue": ("drop_queue(text)", "1.4"),
    "drop_queue_plain": ("drop_queue(text, boolean = false)", "1.4"),
    "enable_notify": ("enable_notify_insert(text, integer)", "1.8"),
    "enable_notify_plain": ("enable_notify_insert(text)", "1.7"),
    "list_queues": ("list_queues()", "1.4"),
    "list_topic_bindings": ("list_topic_bindings()", "1.11"),
    "mend_notify": ("enable_notify_insert(text, integer)", "1.8"),
    "metrics": ("metrics(text)", "1.4"),
    "metrics_all": ("metrics_all()", "1.4"),
    "pop": ("pop(text, integer)", "1.7"),
    "pop_one": ("pop(text)", "1.4"),
    "purge_queue": ("purge_queue(text)", "1.4"),
    "read": ("read(text, integer, integer)", "1.4"),
    "read_grouped": ("read_grouped(text, integer, integer)", "1.9"),
    "read_grouped_head": ("read_grouped_head(text, integer, integer)", "1.11.1"),
    "read_grouped_rr": ("read_grouped_rr(text, integer, integer)", "1.9"),
    "read_grouped_rr_with_poll": (f"read_grouped_rr_with_poll({_POLL})", "1.9"),
    "read_grouped_with_poll": (f"read_grouped_with_poll({_POLL})", "1.9"),
    "read_with_poll": (f"read_with_poll({_POLL})", "1.4"),
    "send": (f"send(text, jsonb, jsonb, {_TZ})", "1.5"),
    "send_batch": (f"send_batch(text, jsonb[], jsonb[], {_TZ})", "1.5"),
    "send_batch_plain": ("send_batch(text, jsonb[], integer)", "1.4"),
    "send_batch_topic": (f"send_batch_topic(text, jsonb[], jsonb[], {_TZ})", "1.11"),
    "send_plain": ("send(text, jsonb, integer)", "1.4"),
    "send_topic": ("send_topic(text, jsonb, jsonb, integer)", "1.11"),
    "set_vt": (f"set_vt(text, bigint[], {_TZ})", "1.10"),
    "set_vt_each": ("set_vt(text, bigint, integer)", "1.4"),
    "test_routing": ("test_routing(text)", "1.11"),
    "unbind_topic": ("unbind_topic(text, text)", "1.11"),
}
"""Statement -> the function that it calls, and the version of pgmq that brings that."""


@attrs.frozen
class Features:
    """What the pgmq of a database offers."""

    offered: frozenset[str]
    names: SqlNames = attrs.field(eq=False)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Features:
        """Read off the rows of sql/pgmq/probe.sql."""
        offered = set()
        for row in rows:
            if row["arguments"] is None:
                offered.add(row["name"])
                continue
            arguments = row["arguments"].split(", ") if row["arguments"] else []
            for left_out in range(row["defaults"] + 1):
                offered.add(f"{row['name']}({', '.join(arguments[: len(arguments) - left_out])})")
            if (row["name"], row["defaults"]) == ("drop_queue", 1):  # later ones have it without a default
                offered.add(NEEDS["drop_queue_plain"][0])
        columns = {name: sql.Identifier("m", name) if name in offered else sql.NULL for name in LATER_COLUMNS}
        return cls(frozenset(offered), SqlNames(extra=columns))

    @property
    def is_installed(self) -> bool:
        return "list_queues()" in self.offered

    def offers(self, statement: Statement) -> bool:
        return NEEDS[_key(statement)][0] in self.offered

    def missing(self, statement: Statement, *, given: str | None = None) -> ConfigurationError:
        """What to raise when a statement cannot run here; `given` names the argument that asks for it."""
        if not self.is_installed:
            return ConfigurationError(
                "this database has no pgmq: run CREATE EXTENSION pgmq in it; where the extension is not to be had, run "
                "its SQL file instead (pgmq.sql of https://github.com/pgmq/pgmq, which the PyPI package pgmq carries "
                "too), or use promin_postgres.queue.PgQueue, which needs no extension"
            )
        function, since = NEEDS[_key(statement)]
        what = f"pgmq.{function}" if given is None else f"{given} (pgmq.{function})"
        return ConfigurationError(
            f"{what} comes with pgmq {since}, and this database has an older one: run ALTER EXTENSION pgmq UPDATE, or "
            "the newer SQL file"
        )


def _key(statement: Statement) -> str:
    return statement.name.removeprefix("pgmq/")
