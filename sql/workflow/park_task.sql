-- Let a task wait without a worker: until a moment, a signal or the end of a child; unless that is there already.
--
-- Whoever delivers the signal holds its row, and whoever ends the child that of the child, until the task is woken by a
-- statement of his: whoever comes second here or there sees the other. Those rows are locked before the task. Of a run that
-- has ended, or is ending, the task waits for nothing: it is claimed again, to be settled.
WITH held AS MATERIALIZED (
    SELECT t.id, t.workflow, t.run, t.step_name
    FROM {prefix}step_queue t
    WHERE t.id = %(task)s::bigint AND t.claimed_by = %(claimed_by)s::text AND t.lease = %(task_lease)s::integer
      AND EXISTS (SELECT FROM {prefix}workers v WHERE v.id = %(claimed_by)s::text AND v.expires_at > clock_timestamp())
), locked AS MATERIALIZED (
    SELECT w.id, w.run, w.deadline_at, h.step_name
    FROM held h
    JOIN {prefix}workflows w ON w.id = h.workflow AND w.run = h.run
    WHERE w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */) AND NOT w.ending
    FOR KEY SHARE OF w
), met AS (
    {{workflow/parts/await_signal}}
), child AS MATERIALIZED (
    SELECT c.id
    FROM {prefix}workflows c
    WHERE c.workflow_id = %(child)s::text
      AND c.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */) AND EXISTS (SELECT FROM locked)
    FOR SHARE
), waits AS MATERIALIZED (
    SELECT locked.id, locked.run, locked.deadline_at, COALESCE(%(step_name)s::text, locked.step_name) AS step_name
    FROM locked
    WHERE NOT EXISTS (SELECT FROM met WHERE met.came)
      AND (%(child)s::text IS NULL OR EXISTS (SELECT FROM child))
), step AS (
    INSERT INTO {prefix}workflow_steps AS s
        (workflow, run, step_name, step_type, status, wake_at, signal_name, signal_timeout_at)
    SELECT
        waits.id, waits.run, waits.step_name,
        CASE
            WHEN %(signal)s::text IS NOT NULL THEN 6 /* SIGNAL */
            WHEN %(child)s::text IS NOT NULL THEN 7 /* SUBWORKFLOW */
            ELSE 5 /* SLEEP */
        END,
        3 /* WAITING */, CASE WHEN %(signal)s::text IS NULL THEN m.moment END, %(signal)s::text,
        CASE WHEN %(signal)s::text IS NOT NULL THEN m.moment END
    FROM waits, (
        SELECT COALESCE(%(until)s::timestamptz, clock_timestamp() + %(pause)s::interval) AS moment
    ) AS m
    ON CONFLICT (workflow, run, step_name) DO UPDATE
    SET status = CASE WHEN s.completed_at IS NULL THEN EXCLUDED.status ELSE s.status END,
        wake_at = COALESCE(s.wake_at, EXCLUDED.wake_at), signal_name = EXCLUDED.signal_name,
        signal_timeout_at = COALESCE(s.signal_timeout_at, EXCLUDED.signal_timeout_at)
    RETURNING COALESCE(s.signal_timeout_at, s.wake_at) AS moment
), parked AS (
    UPDATE {prefix}step_queue t
    SET id = DEFAULT, claimed_by = NULL, claimed_at = NULL, deliveries = 0, gate = CASE WHEN l.id IS NULL THEN 0 ELSE 1 END,
        available_at = LEAST(step.moment, l.deadline_at),
        waits_for = COALESCE('signal:' || %(signal)s::text, 'child:' || %(child)s::text)
    FROM held h
    LEFT JOIN locked l ON true
    LEFT JOIN waits ON true
    LEFT JOIN step ON true
    WHERE t.id = h.id AND t.claimed_by = %(claimed_by)s::text AND t.lease = %(task_lease)s::integer
      AND (l.id IS NULL OR waits.id IS NOT NULL)
    RETURNING t.id
)
SELECT EXISTS (SELECT FROM parked) AS parked, EXISTS (SELECT FROM locked) AS is_live
FROM held
