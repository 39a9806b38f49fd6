-- Take the lock of one version table until the transaction ends, if it is free.
-- Tried and not waited for: CREATE INDEX CONCURRENTLY waits for every older snapshot, and a statement that waits for the
-- lock holds one, so that the two would wait for each other unseen. Bound to the transaction, so that it works behind a
-- transaction pooler.
SELECT pg_try_advisory_xact_lock(%(key)s::bigint) AS locked
