-- Delete one batch of ended workflows that ended long enough ago, with all that hangs on them.
WITH old AS MATERIALIZED (
    SELECT w.id
    FROM {prefix}workflows w
    WHERE w.completed_at < clock_timestamp() - %(older_than)s::interval AND w.status = ANY (%(statuses)s::smallint[])
    ORDER BY w.completed_at
    LIMIT %(batch)s::bigint
    FOR UPDATE OF w SKIP LOCKED
), runs AS (
    DELETE FROM {prefix}workflow_runs r USING old WHERE r.workflow = old.id
), steps AS (
    DELETE FROM {prefix}workflow_steps s USING old WHERE s.workflow = old.id
), tasks AS (
    DELETE FROM {prefix}workflow_step_tasks t USING old WHERE t.workflow = old.id
), attempts AS (
    DELETE FROM {prefix}step_attempts a USING old WHERE a.workflow = old.id
), signals AS (
    DELETE FROM {prefix}workflow_signals s USING old WHERE s.workflow = old.id
), leases AS (
    DELETE FROM {prefix}workflow_leases l USING old WHERE l.workflow = old.id
)
DELETE FROM {prefix}workflows w USING old WHERE w.id = old.id
