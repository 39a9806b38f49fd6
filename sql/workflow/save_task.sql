-- Checkpoint one element of a map step and record the attempt at it, in one statement; guarded like save_step.
WITH saved AS (
    INSERT INTO {prefix}workflow_step_tasks AS t
        (workflow, run, step_name, task_index, status, result, error, attempt, started_at, completed_at, duration)
    SELECT w.id, w.run, %(step_name)s::text, %(task_index)s::integer, %(status)s::smallint, %(result)s::text::json,
           %(error)s::text::json, %(attempt)s::integer, clock_timestamp() - %(duration)s::interval,
           CASE WHEN %(status)s::smallint IN (4 /* COMPLETED */, 5 /* FAILED */) THEN clock_timestamp() END,
           %(duration)s::interval
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
      AND {{workflow/parts/fenced}}
    ON CONFLICT (workflow, run, step_name, task_index) DO UPDATE
    SET status = EXCLUDED.status, result = EXCLUDED.result, error = EXCLUDED.error, attempt = EXCLUDED.attempt,
        duration = EXCLUDED.duration,
        started_at = CASE WHEN (t.status, t.attempt) = (EXCLUDED.status, EXCLUDED.attempt) THEN t.started_at
                          ELSE EXCLUDED.started_at END,
        completed_at = CASE WHEN (t.status, t.attempt) = (EXCLUDED.status, EXCLUDED.attempt) THEN t.completed_at
                            ELSE EXCLUDED.completed_at END
    WHERE t.status <> 4 /* COMPLETED */
       OR (t.status = EXCLUDED.status AND t.attempt = EXCLUDED.attempt
           AND t.result::text IS NOT DISTINCT FROM EXCLUDED.result::text)
    RETURNING t.workflow, t.run
), step AS (
    INSERT INTO {prefix}workflow_steps (workflow, run, step_name, step_type)
    SELECT saved.workflow, saved.run, %(step_name)s::text, 2 /* MAP */
    FROM saved
    ON CONFLICT DO NOTHING
), attempted AS (
    INSERT INTO {prefix}step_attempts
        (workflow, run, step_name, task_index, attempt, status, error, instance_id, started_at, completed_at, duration)
    SELECT saved.workflow, saved.run, %(step_name)s::text, %(task_index)s::integer, %(attempt)s::integer,
           CASE WHEN %(error)s::text IS NULL THEN 4 /* COMPLETED */ ELSE 5 /* FAILED */ END, %(error)s::text::json,
           %(instance_id)s::text, clock_timestamp() - COALESCE(%(duration)s::interval, '0'), clock_timestamp(),
           %(duration)s::interval
    FROM saved
    ON CONFLICT DO NOTHING
)
SELECT w.status
FROM saved
JOIN {prefix}workflows w ON w.id = saved.workflow
