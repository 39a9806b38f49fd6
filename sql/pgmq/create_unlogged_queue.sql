-- Create a queue that is not in the WAL: faster, and empty after a crash of the server. Its archive is an ordinary table.
SELECT pgmq.create_unlogged(%(queue)s::text) AS done
