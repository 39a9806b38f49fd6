-- Write a step and the attempt at it: the CTEs `saved`, which has the run if it was written, and `attempted`.
--
-- What is done is never written over. Sending the same outcome again, as after a lost connection, changes nothing and
-- succeeds; so does the attempt, whose number is its key.
saved AS (
    INSERT INTO {prefix}workflow_steps AS s
        (workflow, run, step_name, step_type, status, result, error, metadata, attempt, started_at, completed_at, duration)
    SELECT w.id, w.run, %(step_name)s::text, %(step_type)s::smallint, %(status)s::smallint, %(result)s::text::json,
           %(error)s::text::json, %(metadata)s::text::json, %(attempt)s::integer,
           clock_timestamp() - %(duration)s::interval,
           CASE WHEN %(status)s::smallint IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* SKIPPED */)
                THEN clock_timestamp() END,
           %(duration)s::interval
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
      AND {{workflow/parts/fenced}}
    ON CONFLICT (workflow, run, step_name) DO UPDATE
    SET status = EXCLUDED.status, result = EXCLUDED.result, error = EXCLUDED.error, attempt = EXCLUDED.attempt,
        metadata = COALESCE(EXCLUDED.metadata, s.metadata), duration = EXCLUDED.duration,
        started_at = CASE WHEN (s.status, s.attempt) = (EXCLUDED.status, EXCLUDED.attempt) THEN s.started_at
                          ELSE EXCLUDED.started_at END,
        completed_at = CASE WHEN (s.status, s.attempt) = (EXCLUDED.status, EXCLUDED.attempt) THEN s.completed_at
                            ELSE EXCLUDED.completed_at END
    WHERE s.status NOT IN (4 /* COMPLETED */, 6 /* SKIPPED */)
       OR (s.status = EXCLUDED.status AND s.attempt = EXCLUDED.attempt
           AND s.result::text IS NOT DISTINCT FROM EXCLUDED.result::text)
    RETURNING s.workflow, s.run
), attempted AS (
    INSERT INTO {prefix}step_attempts
        (workflow, run, step_name, attempt, status, error, instance_id, started_at, completed_at, duration)
    SELECT saved.workflow, saved.run, %(step_name)s::text, %(attempt)s::integer,
           CASE WHEN %(error)s::text IS NULL THEN 4 /* COMPLETED */ ELSE 5 /* FAILED */ END, %(error)s::text::json,
           %(instance_id)s::text, clock_timestamp() - COALESCE(%(duration)s::interval, '0'), clock_timestamp(),
           %(duration)s::interval
    FROM saved
    ON CONFLICT DO NOTHING
)
