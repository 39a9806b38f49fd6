-- Take the lease on a workflow, if it is free: never held, released, run out, or left behind by a dead connection.
--
-- A lease without an end belongs to whoever holds the advisory lock. A holder of that lock has just got it, so the old
-- lease is dead; a holder of rows tries the lock for an instant to see whether somebody has it. A lease that is plainly
-- alive is refused without a lock, which would wait for the writes under way. Losing one in a crash of the server loses
-- nothing: so it does not wait for the disk. A token that is there already is our own,
-- when the answer was lost.
WITH workflow AS (
    SELECT w.id
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
), free AS MATERIALIZED (
    SELECT workflow.id
    FROM workflow
    WHERE (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
      AND (%(duration)s::interval IS NULL OR pg_try_advisory_xact_lock(%(key)s::bigint))
      AND NOT EXISTS (
          SELECT FROM {prefix}workflow_leases l
          WHERE l.workflow = workflow.id AND l.token <> %(token)s::uuid AND l.expires_at > clock_timestamp()
      )
), taken AS (
    INSERT INTO {prefix}workflow_leases AS l (workflow, token, holder, expires_at, lock_key)
    SELECT free.id, %(token)s::uuid, %(holder)s::text, clock_timestamp() + %(duration)s::interval, %(key)s::bigint
    FROM free
    ON CONFLICT (workflow) DO UPDATE
    SET token = EXCLUDED.token, holder = EXCLUDED.holder, expires_at = EXCLUDED.expires_at,
        lock_key = EXCLUDED.lock_key, acquired_at = clock_timestamp()
    WHERE l.expires_at IS NULL OR l.expires_at <= clock_timestamp() OR l.token = EXCLUDED.token
    RETURNING l.token, l.expires_at
)
SELECT EXISTS (SELECT FROM workflow) AS found, taken.token IS NOT NULL AS taken, taken.expires_at
FROM (VALUES (1)) AS one (one)
LEFT JOIN taken ON true
