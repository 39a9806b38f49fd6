"""The statements of the migrator."""

from promin_postgres._statement import Statement

FIND = Statement("migrator/find", idempotent=True)
LOAD = Statement("migrator/load", idempotent=True)
READ_COMMITTED = Statement("migrator/read_committed")
TRY_LOCK = Statement("migrator/try_lock")
SETTINGS = Statement("migrator/settings")
IDLE = Statement("migrator/idle")
CREATE_SCHEMA = Statement("migrator/create_schema")
CREATE_TABLE = Statement("migrator/create_table")
START = Statement("migrator/start")
RECORD = Statement("migrator/record")
