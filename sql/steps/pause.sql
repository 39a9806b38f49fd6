-- Keep claims away from a queue.
INSERT INTO {prefix}paused_queues (queue)
VALUES (%(queue)s::text)
ON CONFLICT (queue) DO NOTHING
