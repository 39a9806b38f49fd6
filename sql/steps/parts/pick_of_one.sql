-- As pick, of one queue: there is nothing to be merged. How a level is bounded: see behind_mark.
SELECT c.spot
FROM unnest('{10,9,8,7,6,5,4,3,2,1,0}'::smallint[], (SELECT %(after)s::bigint[])) AS l (priority, after)
CROSS JOIN LATERAL (
    SELECT t.ctid AS spot
    FROM {prefix}step_queue t
    WHERE t.gate < 1 AND t.queue = (SELECT (%(queues)s::text[])[1]) AND t.priority <= l.priority
      AND (t.priority, t.id) > (l.priority, l.after)
      AND {{steps/parts/free}}
    ORDER BY t.queue, t.priority, t.id
    LIMIT (SELECT %(limit)s::bigint)
    FOR UPDATE OF t SKIP LOCKED
) AS c
WHERE NOT EXISTS (SELECT FROM {prefix}paused_queues p WHERE p.queue = (%(queues)s::text[])[1])
LIMIT (SELECT %(limit)s::bigint)
