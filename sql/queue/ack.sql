-- Delete messages whose lease is still held.
--
-- LIMIT 1 keeps the planner at one index look-up per message, whatever it believes of the sizes. The rows are then
-- touched by ctid: one that was claimed again in between has another, and is left alone.
DELETE FROM {queue} q
WHERE q.ctid = ANY (ARRAY(
    SELECT held.ctid
    FROM unnest((SELECT %(ids)s::text::bigint[]), (SELECT %(receipts)s::text::bigint[])) AS a (id, receipt)
    CROSS JOIN LATERAL (
        SELECT m.ctid
        FROM {queue} m
        WHERE m.id = a.id AND m.receipt = a.receipt AND m.due_at IS NULL AND m.dead_at IS NULL
          AND m.leased_until > clock_timestamp()
        LIMIT 1
    ) AS held
))
  AND (SELECT %(durable)s::boolean OR set_config('synchronous_commit', 'off', true) IS NOT NULL)
RETURNING q.id
