-- Let a run wait at a step, until a moment or for a signal, unless that signal is there or the step completed already.
--
-- The workflow row is locked before the signal row, as by a delivery, so that the two cannot deadlock. A moment computed
-- at an earlier suspension of the same step stands.
WITH locked AS MATERIALIZED (
    SELECT w.id, w.run, %(step_name)s::text AS step_name
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
      AND w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
      AND {{workflow/parts/fenced}}
    FOR NO KEY UPDATE OF w
), met AS (
    {{workflow/parts/await_signal}}
), waits AS (
    SELECT locked.id, locked.run
    FROM locked
    WHERE NOT EXISTS (SELECT FROM met WHERE met.came)
), step AS (
    INSERT INTO {prefix}workflow_steps AS s
        (workflow, run, step_name, step_type, status, wake_at, signal_name, signal_timeout_at)
    SELECT waits.id, waits.run, %(step_name)s::text, %(step_type)s::smallint, 3 /* WAITING */,
           COALESCE(%(until)s::timestamptz, clock_timestamp() + %(pause)s::interval), %(signal)s::text,
           clock_timestamp() + %(timeout)s::interval
    FROM waits
    ON CONFLICT (workflow, run, step_name) DO UPDATE
    SET status = EXCLUDED.status, step_type = EXCLUDED.step_type, wake_at = COALESCE(s.wake_at, EXCLUDED.wake_at),
        signal_name = EXCLUDED.signal_name,
        signal_timeout_at = COALESCE(s.signal_timeout_at, EXCLUDED.signal_timeout_at)
    WHERE s.status <> 4 /* COMPLETED */
    RETURNING s.workflow
), suspended AS (
    UPDATE {prefix}workflows w
    SET status = 3 /* SUSPENDED */, updated_at = clock_timestamp()
    FROM step
    WHERE w.id = step.workflow
)
SELECT EXISTS (SELECT FROM step) AS suspended
FROM locked
