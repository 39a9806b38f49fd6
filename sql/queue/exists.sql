-- Whether the tables of a queue are there, as of now.
SELECT to_regclass(%(queue)s::text) IS NOT NULL AND to_regclass(%(archive)s::text) IS NOT NULL AS found
