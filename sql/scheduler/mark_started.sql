-- Note the run that a tick has started; or, without one, why it could not be.
UPDATE {prefix}schedule_ticks t
SET workflow_id = COALESCE(%(workflow_id)s::text, t.workflow_id),
    status = CASE WHEN %(workflow_id)s::text IS NULL THEN 'cancelled' ELSE t.status END,
    settled_at = CASE WHEN %(workflow_id)s::text IS NULL THEN clock_timestamp() END,
    reason = COALESCE(%(reason)s::text, t.reason)
WHERE t.schedule = %(schedule)s::bigint AND t.number = %(number)s::bigint
