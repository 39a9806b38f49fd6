-- Give a session advisory lock back.
SELECT pg_advisory_unlock(%(key)s::bigint) AS unlocked
