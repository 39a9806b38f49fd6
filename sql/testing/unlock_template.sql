-- Give the right to make a template back.
SELECT pg_advisory_unlock(hashtextextended(%(name)s::text, 0)) AS unlocked
