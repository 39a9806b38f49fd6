-- Move to the archive messages; returns the ids that were there.
SELECT d.id
FROM pgmq.archive(%(queue)s::text, %(ids)b::bigint[]) AS d (id)
ORDER BY d.id
