-- Record an attempt alone: one whose outcome changes no step, as at undoing it.
INSERT INTO {prefix}step_attempts
    (workflow, run, step_name, task_index, attempt_type, attempt, status, error, instance_id, started_at, completed_at,
     duration)
SELECT w.id, w.run, %(step_name)s::text, COALESCE(%(task_index)s::integer, -1), %(attempt_type)s::smallint,
       %(attempt)s::integer, %(status)s::smallint, %(error)s::text::json, %(instance_id)s::text,
       clock_timestamp() - COALESCE(%(duration)s::interval, '0'), clock_timestamp(), %(duration)s::interval
FROM {prefix}workflows w
WHERE w.workflow_id = %(workflow_id)s::text
ON CONFLICT (workflow, run, step_name, task_index, attempt_type, attempt) DO UPDATE
SET attempt = EXCLUDED.attempt
RETURNING run
