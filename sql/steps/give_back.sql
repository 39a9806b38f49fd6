-- Give leased tasks back, to wait again at their places, after a delay if asked, with their seats; and ring.
--
-- `attempts` is added to the attempt of each, `deliveries` taken off: a failure counts, what was not begun does not.
WITH given AS MATERIALIZED (
    SELECT g.id, g.lease, g.delay, g.attempts, g.deliveries, g.error
    FROM unnest(
        (SELECT %(ids)b::bigint[]), (SELECT %(leases)b::integer[]), (SELECT %(delays)b::interval[]),
        (SELECT %(attempts)b::integer[]), (SELECT %(deliveries)b::integer[]), (SELECT %(errors)b::text[])
    ) AS g (id, lease, delay, attempts, deliveries, error)
), seated AS MATERIALIZED (
    SELECT q.id, q.holds_seat
    FROM {prefix}step_queue q
    WHERE {{steps/parts/ours}}
    ORDER BY q.id
    FOR UPDATE
), back AS (
    UPDATE {prefix}step_queue q
    SET claimed_by = NULL, claimed_at = NULL, holds_seat = false, attempt = q.attempt + g.attempts,
        deliveries = q.deliveries - g.deliveries, error = COALESCE(g.error::json, q.error),
        gate = CASE WHEN g.delay > interval '0' THEN 1 ELSE 0 END,
        available_at = CASE WHEN g.delay > interval '0' THEN clock_timestamp() + g.delay END
    FROM given g
    JOIN seated s ON s.id = g.id
    WHERE q.id = g.id AND q.id = ANY ((SELECT %(ids)b::bigint[])::bigint[])
    RETURNING q.id, q.concurrency_key, s.holds_seat
), leavers AS (
    SELECT b.concurrency_key, b.holds_seat
    FROM back b
), {{steps/parts/leave_seats}}
SELECT b.id
FROM back b
WHERE (
    SELECT bool_and(CASE
                        WHEN pg_try_advisory_xact_lock_shared(r.door) THEN true
                        ELSE pg_notify(r.channel, '') IS NOT NULL
                    END)
    FROM unnest(%(doors)s::bigint[], %(channels)s::text[]) AS r (door, channel)
)
