-- Let only one session at a time look for a queue and make it.
SELECT pg_advisory_xact_lock(%(key)s::bigint) AS done
