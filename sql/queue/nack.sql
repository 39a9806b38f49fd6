-- Give messages back whose lease is still held: to wait again, after a delay if asked, or to be buried when they were
-- delivered often enough or `bury` says so. Rings like publish.
WITH nacked AS (
    UPDATE {queue} q
    SET leased_until = NULL, receipt = NULL, error = COALESCE(%(error)s::text, q.error),
        due_at = CASE WHEN NOT %(bury)s::boolean AND q.deliveries < %(max_attempts)s::integer
                      THEN clock_timestamp() + %(delay)s::interval END,
        dead_at = CASE WHEN %(bury)s::boolean OR q.deliveries >= %(max_attempts)s::integer
                       THEN clock_timestamp() END
    WHERE q.ctid = ANY (ARRAY(
        SELECT held.ctid
        FROM unnest(%(ids)s::text::bigint[], %(receipts)s::text::bigint[]) AS a (id, receipt)
        CROSS JOIN LATERAL (
            SELECT m.ctid
            FROM {queue} m
            WHERE m.id = a.id AND m.receipt = a.receipt AND m.due_at IS NULL AND m.dead_at IS NULL
              AND m.leased_until > clock_timestamp()
            LIMIT 1
        ) AS held
    ))
      AND (SELECT %(durable)s::boolean OR set_config('synchronous_commit', 'off', true) IS NOT NULL)
    RETURNING q.id, q.dead_at IS NOT NULL AS dead
)
SELECT n.id, n.dead
FROM nacked n
WHERE (SELECT CASE
                  WHEN NOT %(notify)s::boolean THEN true
                  WHEN NOT %(ring)s::boolean AND pg_try_advisory_xact_lock_shared(%(door)s::bigint) THEN true
                  ELSE pg_notify(%(channel)s::text, '') IS NOT NULL
              END)
