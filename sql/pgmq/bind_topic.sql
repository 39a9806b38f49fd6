-- Route the messages whose key matches a pattern to a queue.
SELECT pgmq.bind_topic(%(pattern)s::text, %(queue)s::text) AS done
