-- Drop a queue and its archive; false when there is none.
SELECT pgmq.drop_queue(%(queue)s::text) AS dropped
