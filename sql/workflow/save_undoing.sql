-- Record an attempt at undoing a step; one without an error has undone it.
WITH run AS MATERIALIZED (
    SELECT w.id, w.run, w.status
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
      AND {{workflow/parts/fenced}}
), attempted AS (
    INSERT INTO {prefix}step_attempts
        (workflow, run, step_name, attempt_type, attempt, status, error, instance_id, started_at, completed_at, duration)
    SELECT run.id, run.run, %(step_name)s::text, 2 /* COMPENSATION */, %(attempt)s::integer,
           CASE WHEN %(error)s::text IS NULL THEN 4 /* COMPLETED */ ELSE 5 /* FAILED */ END, %(error)s::text::json,
           %(instance_id)s::text, clock_timestamp() - %(duration)s::interval, clock_timestamp(), %(duration)s::interval
    FROM run
    ON CONFLICT DO NOTHING
), undone AS (
    UPDATE {prefix}workflow_steps s
    SET status = 8 /* COMPENSATED */
    FROM run
    WHERE s.workflow = run.id AND s.run = run.run AND s.step_name = %(step_name)s::text
      AND s.status = 4 /* COMPLETED */ AND %(error)s::text IS NULL
)
SELECT run.status
FROM run
