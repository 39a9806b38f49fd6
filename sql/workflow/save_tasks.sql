-- Checkpoint many elements of a step and record the attempts at them, in one statement; guarded like save_step.
WITH run AS MATERIALIZED (
    SELECT w.id, w.run, w.status
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
      AND {{workflow/parts/fenced}}
), given AS MATERIALIZED (
    SELECT g.task_index, g.status, g.result, g.error, g.attempt, g.duration
    FROM unnest(%(indexes)s::integer[], %(statuses)s::smallint[], %(results)s::text[], %(errors)s::text[],
                %(attempts)s::integer[], %(durations)s::interval[])
         AS g (task_index, status, result, error, attempt, duration)
), saved AS (
    INSERT INTO {prefix}workflow_step_tasks AS t
        (workflow, run, step_name, task_index, status, result, error, attempt, started_at, completed_at, duration)
    SELECT run.id, run.run, %(step_name)s::text, given.task_index, given.status, given.result::json, given.error::json,
           given.attempt, clock_timestamp() - given.duration,
           CASE WHEN given.status IN (4 /* COMPLETED */, 5 /* FAILED */) THEN clock_timestamp() END, given.duration
    FROM run, given
    ON CONFLICT (workflow, run, step_name, task_index) DO UPDATE
    SET status = EXCLUDED.status, result = EXCLUDED.result, error = EXCLUDED.error, attempt = EXCLUDED.attempt,
        duration = EXCLUDED.duration, started_at = EXCLUDED.started_at, completed_at = EXCLUDED.completed_at
    WHERE t.status <> 4 /* COMPLETED */
), attempted AS (
    INSERT INTO {prefix}step_attempts
        (workflow, run, step_name, task_index, attempt, status, error, instance_id, started_at, completed_at, duration)
    SELECT run.id, run.run, %(step_name)s::text, given.task_index, given.attempt,
           CASE WHEN given.error IS NULL THEN 4 /* COMPLETED */ ELSE 5 /* FAILED */ END, given.error::json,
           %(instance_id)s::text, clock_timestamp() - given.duration, clock_timestamp(), given.duration
    FROM run, given
    ON CONFLICT DO NOTHING
)
SELECT run.status
FROM run
