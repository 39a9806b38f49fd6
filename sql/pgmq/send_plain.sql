-- Append a message with the function of pgmq 1.4, which knows neither headers nor fractions of a second.
SELECT s.id
FROM pgmq.send(%(queue)s::text, %(message)s::text::jsonb, %(seconds)s::integer) AS s (id)
