-- Let one process at a time declare schedules of a namespace: what it compares with does not change meanwhile. One that is
-- stopped in the middle is put out by the server (see lock_due.sql), unless the transaction is a caller's.
SELECT CASE
           WHEN %(patience)s::text IS NOT NULL
               THEN set_config('idle_in_transaction_session_timeout', %(patience)s::text, true)
       END AS patience,
       pg_advisory_xact_lock(%(key)s::bigint) AS locked
