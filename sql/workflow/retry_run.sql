-- Let a run that is ending go on from the steps that failed, and from those that were never begun, after a pause.
WITH retried AS (
    UPDATE {prefix}workflows w
    SET retries = w.retries + 1, ending = false, status = 2 /* RUNNING */, updated_at = clock_timestamp()
    WHERE w.workflow_id = %(workflow_id)s::text AND w.remaining IS NOT NULL
      AND w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
      AND {{workflow/parts/fenced}}
    RETURNING w.id, w.run, w.workflow_id, w.workflow_name, w.version, w.namespace, w.deadline_at
), gone AS (
    DELETE FROM {prefix}step_queue t
    USING retried
    WHERE t.id = %(task)s::bigint AND t.workflow = retried.id AND t.step_name = ''
), elements AS (
    UPDATE {prefix}workflow_step_tasks e
    SET status = 1 /* PENDING */, completed_at = NULL
    FROM retried
    WHERE e.workflow = retried.id AND e.run = retried.run AND e.status = 5 /* FAILED */
), steps AS (
    UPDATE {prefix}workflow_steps s
    SET status = 1 /* PENDING */, completed_at = NULL
    FROM retried
    WHERE s.workflow = retried.id AND s.run = retried.run AND s.position IS NOT NULL AND s.pending_deps = 0
      AND s.status IN (1 /* PENDING */, 3 /* WAITING */, 5 /* FAILED */)
    RETURNING s.workflow, s.step_name, s.position, s.queue, s.priority, s.wake_at
), driven AS (
    SELECT r.id, r.run, r.workflow_id, r.workflow_name, r.version, r.namespace, r.deadline_at
    FROM retried r
), ready AS (
    SELECT s.workflow, s.step_name, s.position, s.queue, s.priority,
           GREATEST(s.wake_at, clock_timestamp() + %(pause)s::interval) AS wake_at
    FROM steps s
), tasks AS (
    {{workflow/parts/ready_tasks}}
), rung AS (
    SELECT 'step_queue.' || tasks.queue AS name
    FROM tasks
)
SELECT retried.run
FROM retried
WHERE {{bell/parts/rings}} IS NOT FALSE
