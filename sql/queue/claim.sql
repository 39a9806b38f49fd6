-- Lease the oldest waiting messages after a watermark.
--
-- The candidates are an array (an InitPlan, run once); `after` skips the dead index entries of what was claimed before,
-- which are what makes such queues slow. Messages whose lease ran out are candidates too, and those that were delivered
-- often enough are buried instead of delivered again. Losing a claim in a crash of the server only makes the messages
-- wait again, so this statement does not wait for the disk; whoever publishes or settles does. Few read created_at, and
-- making a datetime of it takes Python longer than the rest of the row: it comes as its bytes.
UPDATE {queue} q
SET leased_until = clock_timestamp() + %(visibility_timeout)s::interval, receipt = %(receipt)s::bigint,
    deliveries = q.deliveries + CASE WHEN q.deliveries < %(max_attempts)s::integer THEN 1 ELSE 0 END,
    dead_at = CASE WHEN q.deliveries >= %(max_attempts)s::integer THEN clock_timestamp() END,
    error = CASE
                WHEN q.deliveries >= %(max_attempts)s::integer AND q.error IS NULL
                    THEN 'delivered ' || q.deliveries || ' times and never acknowledged'
                ELSE q.error
            END
WHERE q.due_at IS NULL AND q.dead_at IS NULL AND q.id = ANY (ARRAY(
    SELECT m.id
    FROM {queue} m
    WHERE m.due_at IS NULL AND m.dead_at IS NULL AND m.id > (SELECT %(after)s::bigint)
      AND (m.leased_until IS NULL OR m.leased_until <= now())
      AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
    ORDER BY m.id
    LIMIT (SELECT %(limit)s::bigint)
    FOR UPDATE SKIP LOCKED
))
RETURNING q.id, q.receipt, q.value::text AS value, q.headers::text AS headers,
          timestamptz_send(q.created_at) AS created_at, q.deliveries, q.dead_at IS NOT NULL AS dead
