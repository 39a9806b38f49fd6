-- Let this transaction idle, holding the lock, while a migration runs on another connection.
-- Nothing may cut it short. And it must let go of its snapshot, which CREATE INDEX CONCURRENTLY would wait for: in the
-- extended protocol the portal of the last query keeps one until the next statement, and SET is a statement without.
SET LOCAL idle_in_transaction_session_timeout = 0
