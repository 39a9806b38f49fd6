-- Create a queue and its archive, unless they are there.
SELECT pgmq."create"(%(queue)s::text) AS done
