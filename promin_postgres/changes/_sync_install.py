# Generated from _async_install.py by tools/twins.py. Do not edit: edit that and generate again.
"""Installing and removing the triggers of one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promin_postgres._advisory import advisory_key
from promin_postgres.bell import door_key
from promin_postgres.changes import _statements as sql
from promin_postgres.changes._settings import TAG, ChangeSettings
from promin_postgres.database import Database, Executor


class Installation:
    """The triggers of one table, inside a transaction of its own."""

    def __init__(self, db: Database, executor: Executor, settings: ChangeSettings, connection: Any) -> None:
        self._db = db
        self._sql = executor
        self._settings = settings
        self._connection = connection

    def lock(self) -> dict[str, Any] | None:
        """Wait for other installations; what the table looks like, if it is there."""
        key = advisory_key("install triggers", self._settings.schema)
        self._sql.execute(sql.LOCK_INSTALLATION, {"key": key}, connection=self._connection)
        return self._sql.fetch_one(sql.INSPECT, self._settings.where, connection=self._connection)

    def problem(self, table: dict[str, Any] | None, columns: Sequence[str] | None) -> str | None:
        """Why triggers cannot be installed."""
        if table is None:
            return f"there is no table {self._settings.label}"
        missing = [name for name in (*self._settings.configured, *(columns or ())) if name not in table["columns"]]
        if not missing:
            return None
        return (
            f"the table {self._settings.label} has no column {', '.join(map(repr, missing))}; "
            "give timestamp_column, sequence_column or payload_column, or None where there is none"
        )

    def install(
        self, table: dict[str, Any], operations: Sequence[str], columns: Sequence[str] | None, when: str | None
    ) -> None:
        settings, key = self._settings, table["key_columns"]
        needed = key if settings.payload_column is None else [*key, settings.payload_column]
        recorded = None if columns is None else list(dict.fromkeys([*columns, *needed]))
        params = {
            "channel": settings.channel,
            "door": door_key(settings.channel),
            "operations": operations,
            "key_columns": key,
            "columns": recorded,
            "condition": when,
        }
        row = self._sql.fetch_one(sql.REGISTER, settings.where | params, connection=self._connection)
        assert row is not None
        has_path = when is not None or not table["is_plain"]
        names = settings.function_names(row["id"], recorded, when)
        triggers = [
            (schema, name, operation)
            for schema, name in [(settings.table_schema, settings.table_name), *table["partitions"]]
            for operation in operations
        ]
        there = self._there()
        if there is not None:
            # Nothing to do is the rule, where every process installs as it starts: it must not wait for the table.
            body = names.render(sql.CREATE_FUNCTION).decode().split(TAG)[1]
            wanted = sorted([schema, name, settings.trigger(operation)] for schema, name, operation in triggers)
            if (there["body"], there["has_path"], sorted(there["triggers"])) == (body, has_path, wanted):
                return
        executor = Executor(self._db, names)
        executor.execute(sql.LOCK_NEW if there is None else sql.LOCK_OLD, connection=self._connection)
        executor.execute(sql.DROP_FUNCTION, connection=self._connection)
        executor.execute(sql.CREATE_FUNCTION, connection=self._connection)
        if has_path:
            executor.execute(sql.FIX_PATH, connection=self._connection)
        for schema, name, operation in triggers:
            trigger = Executor(self._db, settings.trigger_names(operation, schema, name))
            trigger.execute(sql.TRIGGERS[operation], connection=self._connection)
        if when is not None:
            self._check(when)

    def _there(self) -> dict[str, Any] | None:
        params = {"schema": self._settings.schema, "function": self._settings.function}
        return self._sql.fetch_one(sql.INSTALLED, params, connection=self._connection)

    def _check(self, condition: str) -> None:
        check = Executor(self._db, self._settings.check_names(condition))
        with self._connection.transaction(force_rollback=True):  # the search_path is the caller's again after it
            check.execute(sql.SET_SEARCH_PATH, connection=self._connection)
            check.execute(sql.CHECK_CONDITION, connection=self._connection)

    def remove(self, table: dict[str, Any] | None) -> None:
        settings = self._settings
        executor = Executor(self._db, settings.function_names(0, None, None))
        if table is not None and self._there() is not None:
            executor.execute(sql.LOCK_OLD, connection=self._connection)
        executor.execute(sql.DROP_FUNCTION, connection=self._connection)
        self._sql.execute(sql.UNREGISTER, settings.where, connection=self._connection)
