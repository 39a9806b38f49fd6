-- Take a route back; false when there was none.
SELECT pgmq.unbind_topic(%(pattern)s::text, %(queue)s::text) AS unbound
