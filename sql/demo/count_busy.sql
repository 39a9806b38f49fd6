-- How many statements of a worker the server is still executing.
-- A stopped process sends nothing more, but what it had sent goes on: its state in the tables is final only when
-- this is zero.
SELECT count(*) AS busy
FROM pg_stat_activity
WHERE application_name = %(worker)s::text AND state <> 'idle'
