-- The tasks to lease: of each level as many as it may give, the oldest of all queues; as many levels as it takes.
SELECT p.spot
FROM levels l
CROSS JOIN LATERAL (
    SELECT c.id, c.spot
    FROM open s
    CROSS JOIN LATERAL (
        SELECT t.id, t.ctid AS spot
        FROM {prefix}step_queue t
        WHERE {{steps/parts/behind_mark}}
          AND {{steps/parts/free}}
        ORDER BY t.queue, t.priority, t.id
        LIMIT l.share
        FOR UPDATE OF t SKIP LOCKED
    ) AS c
    ORDER BY c.id
    LIMIT l.share
) AS p
LIMIT (SELECT %(limit)s::bigint)
