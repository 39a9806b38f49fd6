-- Take the lease on a workflow, if it is free: never held, released, run out, or left behind by a dead connection.
--
-- A lease without an end belongs to whoever holds the advisory lock. A holder of that lock has just got it, so the old
-- lease is dead; a holder of rows tries the lock for an instant to see whether somebody has it.
WITH workflow AS (
    SELECT w.id
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
), free AS MATERIALIZED (
    SELECT workflow.id
    FROM workflow
    WHERE %(duration)s::interval IS NULL OR pg_try_advisory_xact_lock(%(key)s::bigint)
), taken AS (
    INSERT INTO {prefix}workflow_leases AS l (workflow, token, holder, expires_at)
    SELECT free.id, %(token)s::uuid, %(holder)s::text, clock_timestamp() + %(duration)s::interval
    FROM free
    ON CONFLICT (workflow) DO UPDATE
    SET token = EXCLUDED.token, holder = EXCLUDED.holder, expires_at = EXCLUDED.expires_at,
        acquired_at = clock_timestamp()
    WHERE l.expires_at IS NULL OR l.expires_at <= clock_timestamp()
    RETURNING l.token, l.expires_at
)
SELECT EXISTS (SELECT FROM workflow) AS found, taken.token IS NOT NULL AS taken, taken.expires_at
FROM (VALUES (1)) AS one (one)
LEFT JOIN taken ON true
