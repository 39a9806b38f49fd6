-- Let one process at a time create and fill lookup tables, until the transaction ends.
-- Of two that run CREATE TABLE IF NOT EXISTS at once one fails, on a unique index of a catalog.
SELECT pg_advisory_xact_lock(hashtextextended('promin_postgres lookups ' || %(schema)s::text, 0))
