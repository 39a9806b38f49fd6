-- Let claims have a queue again.
DELETE FROM {prefix}paused_queues p
WHERE p.queue = %(queue)s::text
