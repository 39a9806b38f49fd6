-- Record a workflow and the steps of its first run; with a token also its lease, for whoever drives it at once.
--
-- ON CONFLICT DO NOTHING waits for a concurrent creator of the same id to commit or roll back: one of them wins, and the
-- other is told. The parent is locked as by start_run.
WITH parent AS MATERIALIZED (
    SELECT p.id, p.status
    FROM {prefix}workflows p
    WHERE p.workflow_id = %(parent_workflow_id)s::text
    FOR KEY SHARE
), created AS (
    INSERT INTO {prefix}workflows
        (workflow_id, workflow_name, workflow_type, namespace, version, parent_id, parent_step, input, metadata, deadline_at,
         status, started_at)
    SELECT %(workflow_id)s::text, %(workflow_name)s::text, %(workflow_type)s::text, %(namespace)s::text,
           %(version)s::text, (SELECT id FROM parent), %(parent_step)s::text, %(input)s::text::json,
           %(metadata)s::text::json, COALESCE(%(deadline_at)s::timestamptz, clock_timestamp() + %(deadline)s::interval),
           CASE WHEN %(token)s::uuid IS NULL THEN 1 /* PENDING */ ELSE 2 /* RUNNING */ END,
           CASE WHEN %(token)s::uuid IS NOT NULL THEN clock_timestamp() END
    WHERE %(parent_workflow_id)s::text IS NULL OR EXISTS (SELECT FROM parent WHERE parent.status <> 6 /* CANCELLED */)
    ON CONFLICT DO NOTHING
    RETURNING id, run
), steps AS (
    INSERT INTO {prefix}workflow_steps (
        workflow, run, step_name, position, step_type, depends_on, dependents, pending_deps, metadata, queue, priority,
        pause, wake_at
    )
    SELECT created.id, created.run, s.step_name, s.position, s.step_type, s.depends_on, s.dependents,
           cardinality(s.depends_on), s.metadata, s.queue, s.priority, s.pause, s.wake_at
    FROM created, {{workflow/parts/steps_given}}
), leased AS (
    INSERT INTO {prefix}workflow_leases (workflow, token, holder, expires_at, lock_key)
    SELECT created.id, %(token)s::uuid, %(holder)s::text, clock_timestamp() + %(duration)s::interval, %(key)s::bigint
    FROM created
    WHERE %(token)s::uuid IS NOT NULL
    RETURNING expires_at
)
SELECT EXISTS (SELECT FROM created) AS created, (SELECT status FROM parent) AS parent_status,
       (SELECT expires_at FROM leased) AS expires_at
