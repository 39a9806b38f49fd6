-- The tasks to lease: the first of each workflow, then the second of each, and so on.
SELECT p.spot
FROM walk w
CROSS JOIN LATERAL (
    SELECT c.spot, row_number() OVER () AS place
    FROM (
        SELECT t.ctid AS spot
        FROM {prefix}step_queue t
        WHERE t.gate < 1 AND t.queue COLLATE "POSIX" = w.queue AND t.lane = w.lane
          AND {{steps/parts/free}}
        ORDER BY t.queue COLLATE "POSIX", t.lane, t.priority DESC, t.id
        LIMIT (SELECT share.number FROM share)
        FOR UPDATE OF t SKIP LOCKED
    ) AS c
) AS p
WHERE w.number > 0
ORDER BY p.place, w.number
LIMIT (SELECT %(limit)s::bigint)
