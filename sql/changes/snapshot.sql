-- What the transaction that reads the table sees.
SELECT pg_current_snapshot()::text AS snapshot
