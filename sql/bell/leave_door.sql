-- Leave the door, and ring once, so that another listener who waits takes it.
SELECT pg_advisory_unlock(%(door)s::bigint) AS unlocked, pg_notify(%(channel)s::text, '') AS rung
