-- Wait for the right to make a template; held until it is given back or the connection ends.
SELECT pg_advisory_lock(hashtextextended(%(name)s::text, 0))
