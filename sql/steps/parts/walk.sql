-- The workflows whose turn it is, and the share of each.
--
-- A loose scan of the index goes from workflow to workflow (`lane`, the hash of its id), from where this claimer stopped
-- (`turn`) and round, until it has seen as many as tasks are wanted: one probe each, however many tasks they have. Queue and
-- lane are not compared as one row, because a row as the upper bound would not end a probe before the end of the queue. The
-- collation names the index.
walk (queue, lane, number, wrapped) AS (
    SELECT s.queue, %(turn)s::bigint, 0, false
    FROM open s
    UNION ALL
    SELECT w.queue, n.lane, w.number + 1, n.wrapped
    FROM walk w
    CROSS JOIN LATERAL (
        (
            SELECT t.lane, w.wrapped
            FROM {prefix}step_queue t
            WHERE t.gate < 1 AND t.queue COLLATE "POSIX" = w.queue AND t.lane > w.lane
              AND t.lane <= CASE WHEN w.wrapped THEN (SELECT %(turn)s::bigint) ELSE 9223372036854775807 END
              AND {{steps/parts/free}}
            ORDER BY t.queue COLLATE "POSIX", t.lane
            LIMIT 1
        )
        UNION ALL
        (
            SELECT t.lane, true
            FROM {prefix}step_queue t
            WHERE NOT w.wrapped AND t.gate < 1 AND t.queue COLLATE "POSIX" = w.queue AND t.lane <= (SELECT %(turn)s::bigint)
              AND {{steps/parts/free}}
            ORDER BY t.queue COLLATE "POSIX", t.lane
            LIMIT 1
        )
        LIMIT 1
    ) AS n
    WHERE w.number < %(limit)s::bigint
), share AS MATERIALIZED (
    SELECT ceil(%(limit)s::numeric / GREATEST(count(*), 1))::bigint AS number
    FROM walk w
    WHERE w.number > 0
)
