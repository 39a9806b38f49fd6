-- Delete the messages of a queue, those that are leased included, but not its archive.
SELECT pgmq.purge_queue(%(queue)s::text) AS purged
