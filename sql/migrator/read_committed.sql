-- Let each statement of this transaction see what was committed before it.
-- Under a stricter default the version table would be read as it was before the lock was granted, and a transaction that
-- merely holds the lock would keep a snapshot that CREATE INDEX CONCURRENTLY waits for.
SET TRANSACTION ISOLATION LEVEL READ COMMITTED
