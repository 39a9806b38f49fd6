"""Renewing leases from the keeper's thread, for both twins."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

from promin_postgres._statement import SqlNames
from promin_postgres.database import Database
from promin_postgres.workflow.storage._statements import EXTEND_LEASE


class LeaseRenewal:
    """Renews leases on a connection of its own, so that neither a busy pool nor a blocked event loop can starve it."""

    def __init__(self, conninfo: str, names: SqlNames, duration: timedelta) -> None:
        self._db = Database.connect(conninfo, max_size=1)
        self._sql = self._db.executor(schema=names.schema, table_prefix=names.table_prefix)
        self._duration = duration

    def __call__(self, leases: Mapping[str, str]) -> Collection[str]:
        params = {"tokens": list(leases), "duration": self._duration}
        return [row["token"] for row in self._sql.fetch_all(EXTEND_LEASE, params)]

    def close(self) -> None:
        self._db.close()
