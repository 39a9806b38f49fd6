-- Let every step that waits for a signal look for it again, after deliver_signal: those of inline runs, and tasks.
--
-- A task gets a new id, so that claimers find it behind their marks.
WITH signal AS MATERIALIZED (
    SELECT w.id, w.run, w.workflow_id, s.waiting
    FROM {prefix}workflows w
    JOIN {prefix}workflow_signals s
      ON s.workflow = w.id AND s.run = w.run AND s.signal_name = %(signal_name)s::text
    WHERE w.workflow_id = %(workflow_id)s::text
), told AS (
    UPDATE {prefix}workflow_signals s
    SET waiting = '{}'
    FROM signal
    WHERE s.workflow = signal.id AND s.run = signal.run AND s.signal_name = %(signal_name)s::text
), woken AS (
    UPDATE {prefix}step_queue t
    SET id = DEFAULT, gate = 0, available_at = NULL, waits_for = NULL
    FROM signal, unnest(signal.waiting) AS n (step_name)
    WHERE t.lane = hashtextextended(signal.workflow_id, 0) AND t.run = signal.run
      AND hashtextextended(t.step_name, 0) = hashtextextended(n.step_name, 0) AND (t.definition IS NULL) = false
      AND t.workflow = signal.id AND t.step_name = n.step_name
      AND t.gate = 1 AND t.waits_for = 'signal:' || %(signal_name)s::text
    RETURNING t.queue
), rung AS (
    SELECT 'workflows' AS name
    UNION ALL
    SELECT 'step_queue.' || woken.queue
    FROM woken
)
SELECT {{bell/parts/rings}} AS rung
