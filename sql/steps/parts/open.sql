-- The queues that are not paused.
open AS MATERIALIZED (
    SELECT s.queue, s.number
    FROM unnest((SELECT %(queues)s::text[])) WITH ORDINALITY AS s (queue, number)
    WHERE NOT EXISTS (SELECT FROM {prefix}paused_queues p WHERE p.queue = s.queue)
)
