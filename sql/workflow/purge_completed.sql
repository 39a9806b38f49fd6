-- Delete one batch of ended workflows that ended long enough ago, with all that hangs on them.
--
-- statement_timestamp(), because a bound that is computed anew for each row, as by clock_timestamp(), uses no index; an
-- order and arrays, because any plan takes the indexes then.
WITH old AS MATERIALIZED (
    SELECT w.id
    FROM {prefix}workflows w
    WHERE w.completed_at < statement_timestamp() - %(older_than)s::interval
      AND w.status = ANY (%(statuses)s::smallint[])
    ORDER BY w.status, w.completed_at
    LIMIT %(batch)s::bigint
    FOR UPDATE OF w SKIP LOCKED
), runs AS (
    DELETE FROM {prefix}workflow_runs r WHERE r.workflow = ANY (ARRAY(SELECT id FROM old))
), steps AS (
    DELETE FROM {prefix}workflow_steps s WHERE s.workflow = ANY (ARRAY(SELECT id FROM old))
), tasks AS (
    DELETE FROM {prefix}workflow_step_tasks t WHERE t.workflow = ANY (ARRAY(SELECT id FROM old))
), attempts AS (
    DELETE FROM {prefix}step_attempts a WHERE a.workflow = ANY (ARRAY(SELECT id FROM old))
), signals AS (
    DELETE FROM {prefix}workflow_signals s WHERE s.workflow = ANY (ARRAY(SELECT id FROM old))
), leases AS (
    DELETE FROM {prefix}workflow_leases l WHERE l.workflow = ANY (ARRAY(SELECT id FROM old))
)
DELETE FROM {prefix}workflows w WHERE w.id = ANY (ARRAY(SELECT id FROM old))
