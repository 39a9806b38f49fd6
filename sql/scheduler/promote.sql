-- Let the first of the queued ticks be handed out, of each schedule where none is: of one schedule, or of all.
--
-- The schedules with queued ticks are found by jumping from one to the next in the index. Two promotions at once pick
-- the same tick, and the second finds it ready by then.
WITH RECURSIVE waiting AS (
    (
        SELECT q.schedule
        FROM {prefix}schedule_ticks q
        WHERE q.namespace = %(namespace)s::text AND q.status = 'queued'
          AND q.schedule >= COALESCE(%(schedule)s::bigint, 0)
        ORDER BY q.schedule
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT q.schedule
        FROM {prefix}schedule_ticks q
        WHERE q.namespace = %(namespace)s::text AND q.status = 'queued' AND q.schedule > w.schedule
          AND %(schedule)s::bigint IS NULL
        ORDER BY q.schedule
        LIMIT 1
    )
    FROM waiting w
    WHERE w.schedule IS NOT NULL
), promoted AS (
    UPDATE {prefix}schedule_ticks t
    SET status = 'ready'
    WHERE t.status = 'queued' AND t.ctid = ANY (ARRAY(
        SELECT head.ctid
        FROM waiting w
        CROSS JOIN LATERAL (
            SELECT q.ctid
            FROM {prefix}schedule_ticks q
            WHERE q.namespace = %(namespace)s::text AND q.status = 'queued' AND q.schedule = w.schedule
            ORDER BY q.number
            LIMIT 1
        ) AS head
        WHERE (%(schedule)s::bigint IS NULL OR w.schedule = %(schedule)s::bigint) AND NOT EXISTS (
            SELECT FROM {prefix}schedule_ticks r
            WHERE r.schedule = w.schedule AND r.status IN ('ready', 'queued') AND r.status = 'ready'
        )
    ))
    RETURNING t.number
)
SELECT p.number
FROM promoted p
WHERE (SELECT CASE
                  WHEN NOT %(ring)s::boolean AND pg_try_advisory_xact_lock_shared(%(door)s::bigint) THEN true
                  ELSE pg_notify(%(channel)s::text, '') IS NOT NULL
              END)
