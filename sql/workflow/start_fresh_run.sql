-- Move an ended run to the history and begin the next one under the same id, with the same steps or with others; where
-- workers are to drive it, with the tasks of those that depend on none.
--
-- The lock on the workflow row makes concurrent callers take turns: the second finds the new run not ended and starts none.
-- A caller without a lease takes that of the last run's driver away, who would checkpoint old results in the new run.
WITH ended AS MATERIALIZED (
    SELECT w.id, w.run, w.status, w.version, w.input, w.result, w.error, w.metadata, w.created_at, w.started_at,
           w.completed_at
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
      AND w.status IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
      AND {{workflow/parts/fenced}}
    FOR UPDATE OF w
), archived AS (
    INSERT INTO {prefix}workflow_runs
        (workflow, run, status, version, input, result, error, metadata, created_at, started_at, completed_at)
    SELECT id, run, status, version, input, result, error, metadata, created_at, started_at, completed_at
    FROM ended
), given AS MATERIALIZED (
    SELECT g.step_name, g.position, g.step_type, g.depends_on, g.dependents, g.metadata, g.queue, g.priority, g.pause,
           CASE
               WHEN %(on_workers)s::boolean AND cardinality(g.depends_on) = 0
                   THEN COALESCE(g.wake_at, clock_timestamp() + g.pause)
               ELSE g.wake_at
           END AS wake_at
    FROM (
        SELECT s.step_name, s.position, s.step_type, s.depends_on, s.dependents, s.metadata, s.queue, s.priority, s.pause,
               s.wake_at
        FROM {{workflow/parts/steps_given}}
        UNION ALL
        SELECT s.step_name, s.position, s.step_type, s.depends_on, s.dependents, s.metadata, s.queue, s.priority, s.pause,
               CASE WHEN s.pause IS NULL THEN s.wake_at END
        FROM ended
        JOIN {prefix}workflow_steps s ON s.workflow = ended.id AND s.run = ended.run AND s.position IS NOT NULL
        WHERE %(steps)s::text IS NULL
    ) AS g
), terminal AS MATERIALIZED (
    SELECT count(*)::integer AS number
    FROM given
    WHERE cardinality(given.dependents) = 0
), fresh AS (
    UPDATE {prefix}workflows w
    SET run = w.run + 1, result = NULL, error = NULL, completed_at = NULL, ending = false, retries = 0,
        status = CASE WHEN %(on_workers)s::boolean THEN 2 /* RUNNING */ ELSE 1 /* PENDING */ END,
        started_at = CASE WHEN %(on_workers)s::boolean THEN clock_timestamp() END,
        remaining = CASE WHEN %(on_workers)s::boolean THEN terminal.number END,
        ends_in_task = %(ends_in_task)s::boolean OR w.parent_id IS NOT NULL OR terminal.number > 1,
        deadline_at = COALESCE(%(deadline_at)s::timestamptz, clock_timestamp() + %(deadline)s::interval),
        version = CASE WHEN %(keep_version)s::boolean THEN w.version ELSE %(version)s::text END,
        input = CASE WHEN %(keep_input)s::boolean THEN w.input ELSE %(input)s::text::json END,
        updated_at = clock_timestamp()
    FROM ended, terminal
    WHERE w.id = ended.id
    RETURNING w.id, w.run, w.workflow_id, w.workflow_name, w.version, w.namespace, w.deadline_at
), revoked AS (
    DELETE FROM {prefix}workflow_leases l USING fresh WHERE l.workflow = fresh.id AND %(token)s::uuid IS NULL
), steps AS (
    INSERT INTO {prefix}workflow_steps (
        workflow, run, step_name, position, step_type, depends_on, dependents, pending_deps, metadata, queue, priority,
        pause, wake_at
    )
    SELECT fresh.id, fresh.run, g.step_name, g.position, g.step_type, g.depends_on, g.dependents,
           cardinality(g.depends_on), g.metadata, g.queue, g.priority, g.pause, g.wake_at
    FROM fresh, given g
), driven AS (
    SELECT f.id, f.run, f.workflow_id, f.workflow_name, f.version, f.namespace, f.deadline_at
    FROM fresh f
    WHERE %(on_workers)s::boolean
), ready AS (
    SELECT d.id AS workflow, g.step_name, g.position, g.queue, g.priority, g.wake_at
    FROM driven d, given g
    WHERE cardinality(g.depends_on) = 0
), tasks AS (
    {{workflow/parts/ready_tasks}}
), rung AS (
    SELECT 'step_queue.' || tasks.queue AS name
    FROM tasks
)
SELECT fresh.run
FROM fresh
WHERE {{bell/parts/rings}} IS NOT FALSE
