-- Let one process at a time create queues: CREATE TABLE IF NOT EXISTS fails when two do it at once.
SELECT pg_advisory_xact_lock(%(key)s::bigint) AS locked
