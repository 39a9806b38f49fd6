-- List the routes that a key would take.
SELECT r.pattern, r.queue_name AS queue
FROM pgmq.test_routing(%(routing_key)s::text) AS r
ORDER BY r.pattern, r.queue_name
