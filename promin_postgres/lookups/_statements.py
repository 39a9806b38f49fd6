"""The statements of lookups."""

from promin_postgres._statement import Statement

FIND = Statement("lookups/find", idempotent=True)
ROWS = Statement("lookups/rows", idempotent=True)
READ = Statement("lookups/read", idempotent=True)
LOCK = Statement("lookups/lock")
CREATE = Statement("lookups/create", idempotent=True)
SEED = Statement("lookups/seed", idempotent=True)
