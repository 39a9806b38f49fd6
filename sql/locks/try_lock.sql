-- Take a session advisory lock, if it is free. It is held until it is given back or the connection ends.
SELECT pg_try_advisory_lock(%(key)s::bigint) AS locked
