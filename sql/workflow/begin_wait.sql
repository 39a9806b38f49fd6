-- Record that a step of an inline run waits, for a moment or for a signal, unless that signal is there; and tell for how
-- long still.
--
-- The workflow row is locked before the signal row, as by a delivery, so that the two cannot deadlock. A moment computed
-- when the same step began to wait before stands.
WITH locked AS MATERIALIZED (
    SELECT w.id, w.run, %(step_name)s::text AS step_name
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
      AND w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
      AND {{workflow/parts/fenced}}
    FOR NO KEY UPDATE OF w
), met AS (
    {{workflow/parts/await_signal}}
), step AS (
    INSERT INTO {prefix}workflow_steps AS s
        (workflow, run, step_name, step_type, status, wake_at, signal_name, signal_timeout_at)
    SELECT locked.id, locked.run, %(step_name)s::text, %(step_type)s::smallint, 3 /* WAITING */,
           COALESCE(%(until)s::timestamptz, clock_timestamp() + %(pause)s::interval), %(signal)s::text,
           clock_timestamp() + %(timeout)s::interval
    FROM locked
    ON CONFLICT (workflow, run, step_name) DO UPDATE
    SET status = EXCLUDED.status, step_type = EXCLUDED.step_type, wake_at = COALESCE(s.wake_at, EXCLUDED.wake_at),
        signal_name = EXCLUDED.signal_name,
        signal_timeout_at = COALESCE(s.signal_timeout_at, EXCLUDED.signal_timeout_at)
    WHERE s.status NOT IN (4 /* COMPLETED */, 6 /* SKIPPED */)
    RETURNING COALESCE(s.wake_at, s.signal_timeout_at) AS due
)
SELECT EXISTS (SELECT FROM met WHERE met.came) AS came, step.due, step.due - clock_timestamp() AS due_in
FROM locked
LEFT JOIN step ON true
