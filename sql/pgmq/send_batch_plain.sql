-- Append messages with the function of pgmq 1.4, which knows neither headers nor fractions of a second.
SELECT s.id
FROM pgmq.send_batch(%(queue)s::text, %(messages)b::text[]::jsonb[], %(seconds)s::integer) AS s (id)
ORDER BY s.id
