-- The queues that are not paused, and the workers that are alive.
open AS MATERIALIZED (
    SELECT s.queue, s.number
    FROM unnest((SELECT %(queues)s::text[])) WITH ORDINALITY AS s (queue, number)
    WHERE NOT EXISTS (SELECT FROM {prefix}paused_queues p WHERE p.queue = s.queue)
), alive AS MATERIALIZED (
    SELECT w.id
    FROM {prefix}workers w
    WHERE w.expires_at > clock_timestamp()
)
