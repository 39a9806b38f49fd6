-- Let the tasks of `waiting` that still wait for `waits_for` be claimed again.
--
-- A task gets a new id, so that claimers find it behind their marks.
woken AS (
    UPDATE {prefix}step_queue t
    SET id = DEFAULT, gate = 0, available_at = NULL, waits_for = NULL
    FROM waiting n
    WHERE t.lane = hashtextextended(n.workflow_id, 0) AND t.run = n.run
      AND hashtextextended(t.step_name, 0) = hashtextextended(n.step_name, 0) AND (t.definition IS NULL) = false
      AND t.workflow = n.id AND t.step_name = n.step_name AND t.gate = 1 AND t.waits_for = n.waits_for
    RETURNING t.queue
), rung AS (
    SELECT 'workflows' AS name
    UNION ALL
    SELECT 'step_queue.' || woken.queue
    FROM woken
)
