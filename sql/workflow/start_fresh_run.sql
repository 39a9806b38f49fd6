-- Move an ended run to the history and begin the next one under the same id, with the same steps or with others.
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
), fresh AS (
    UPDATE {prefix}workflows w
    SET run = w.run + 1, status = 1 /* PENDING */, result = NULL, error = NULL, started_at = NULL, completed_at = NULL,
        version = CASE WHEN %(keep_version)s::boolean THEN w.version ELSE %(version)s::text END,
        input = CASE WHEN %(keep_input)s::boolean THEN w.input ELSE %(input)s::text::json END,
        updated_at = clock_timestamp(), deadline_at = clock_timestamp() + %(deadline)s::interval, remaining = NULL,
        ending = false, retries = 0
    FROM ended
    WHERE w.id = ended.id
    RETURNING w.id, w.run
), revoked AS (
    DELETE FROM {prefix}workflow_leases l USING fresh WHERE l.workflow = fresh.id AND %(token)s::uuid IS NULL
), steps AS (
    INSERT INTO {prefix}workflow_steps (
        workflow, run, step_name, position, step_type, depends_on, dependents, pending_deps, metadata, queue, priority,
        pause, wake_at
    )
    SELECT fresh.id, fresh.run, s.step_name, s.position, s.step_type, s.depends_on, s.dependents,
           cardinality(s.depends_on), s.metadata, s.queue, s.priority, s.pause, s.wake_at
    FROM fresh, {{workflow/parts/steps_given}}
    UNION ALL
    SELECT fresh.id, fresh.run, s.step_name, s.position, s.step_type, s.depends_on, s.dependents,
           cardinality(s.depends_on), s.metadata, s.queue, s.priority, s.pause,
           CASE WHEN s.pause IS NULL THEN s.wake_at END
    FROM fresh
    JOIN {prefix}workflow_steps s ON s.workflow = fresh.id AND s.run = fresh.run - 1 AND s.position IS NOT NULL
    WHERE %(steps)s::text IS NULL
)
SELECT fresh.run
FROM fresh
